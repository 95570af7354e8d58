//! Deleting one backup by hand.

use crate::support::bench::Bench;
use crate::support::fixture::{Fixture, SqliteFixture, sh};

#[test]
fn one_backup_goes_and_the_others_stay() {
    let bench = Bench::<SqliteFixture>::new();
    for _ in 0..3 {
        bench.ok(&["backup", "shop"]);
    }
    let listed = bench.listed();
    let said = bench.fails(2, &["delete", &listed[1]]);
    assert!(said.contains("--yes") && said.contains(&listed[1]), "{said}");
    assert_eq!(bench.listed(), listed, "it only asked");

    bench.ok(&["delete", &listed[1], "--yes"]);
    assert_eq!(bench.listed(), [listed[0].clone(), listed[2].clone()]);
    assert!(!bench.folder(&listed[1]).exists(), "data was left behind");
    let deleted = &bench.runs("delete")[0];
    assert_eq!((&deleted["outcome"], &deleted["backup"]), (&"succeeded".into(), &listed[1][5..].into()));
    let said = bench.fails(1, &["delete", &listed[1], "--yes"]);
    assert!(said.contains("no backup's id begins with") && said.contains("qbackd list"), "{said}");
    bench.restores_to_what_it_was();
    bench.fixture.wipe();
    bench.ok(&["restore", &listed[0]]);
    assert_eq!(bench.fixture.fingerprint(), bench.before());
}

#[test]
fn the_last_backup_is_warned_about() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    bench.ok(&["backup", "shop"]);
    let warned = |id: &str| {
        let output = bench.run(&["delete", id, "--yes"]);
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap().contains("the last backup of shop")
    };
    let listed = bench.listed();
    assert!(!warned(&listed[0]));
    assert!(warned("shop@latest"));
    assert!(bench.listed().is_empty());
    let said = bench.fails(2, &["delete", "shop", "--yes"]);
    assert!(said.contains("is a database, not a backup"), "{said}");
}

#[test]
fn a_damaged_backup_goes_by_its_id_and_the_plan_says_what_it_is() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    bench.ok(&["backup", "shop"]);
    let listed = bench.listed();
    std::fs::write(bench.folder(&listed[0]).join("manifest.json"), "{}").unwrap();
    let run = bench.run(&["list"]);
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success() && said.contains("1 damaged backup; `qbackd delete ID` removes one"), "{said}");

    let said = bench.fails(2, &["delete", &listed[0]]);
    assert!(said.contains("which is damaged") && said.contains("missing field") && said.contains("--yes"), "{said}");
    assert!(bench.folder(&listed[0]).exists(), "it only asked");
    bench.ok(&["delete", &listed[0], "--yes"]);
    assert!(!bench.folder(&listed[0]).exists(), "data was left behind");
    assert_eq!(bench.listed(), listed[1..]);
    let deleted = &bench.runs("delete")[0];
    assert_eq!((&deleted["outcome"], &deleted["stored_bytes"]), (&"succeeded".into(), &serde_json::Value::Null));
    bench.restores_to_what_it_was();
}

#[test]
fn a_backup_is_deleted_from_where_from_says() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    let id = bench.listed().pop().unwrap();
    sh("cp", &["-a", bench.root().to_str().unwrap(), bench.path("copy").to_str().unwrap()]);
    bench.ok(&["delete", &id, "--from", "./copy", "--yes"]);
    assert_eq!(bench.json(&["list", "--from", "./copy"])["backups"], serde_json::json!([]));
    assert_eq!(bench.listed(), [id.clone()]);
    let said = bench.fails(1, &["delete", &id, "--from", "./copy", "--yes"]);
    assert!(said.contains("no backup's id begins with"), "{said}");
    bench.ok(&["delete", &id, "--from", "local", "--yes"]);
    assert!(bench.listed().is_empty());
}
