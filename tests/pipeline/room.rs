//! A restore where there is no room for it is refused with the plan, before anybody agrees to anything.

use std::path::Path;

use crate::support::bench::{Bench, names};
use crate::support::fixture::{SqliteFixture, sh, sqlite3};
use crate::support::memory::sha256;
use crate::support::mounts;

/// A refusal that names the folder, both sizes and the remedy.
fn refused(said: &str, folder: &Path) {
    let lacking = format!("not enough space in {}: ", folder.display());
    for words in
        ["cannot restore shop/", &lacking, " are needed, ", " are free", "\nhint: nothing was changed; free some"]
    {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
}

#[test]
fn a_database_that_does_not_fit_is_refused_before_the_question_and_nothing_is_changed() {
    if !mounts::of_our_own(
        "pipeline::room::a_database_that_does_not_fit_is_refused_before_the_question_and_nothing_is_changed",
    ) {
        return;
    }
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    let small = bench.path("small");
    mounts::tmpfs(&small, "size=256k");
    let target = small.join("app.db");
    sqlite3(&target, "CREATE TABLE older(v); INSERT INTO older VALUES ('precious')");
    let before = sha256(&std::fs::read(&target).unwrap());
    let to = target.to_str().unwrap();
    for flags in [&[][..], &["--overwrite"], &["--overwrite", "--yes"]] {
        let output = bench.run(&[&["restore", "shop", "--to", to], flags].concat());
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {err}");
        refused(&err, &small);
        let needs = out.lines().find(|line| line.starts_with("needs    ")).unwrap_or_else(|| panic!("{out}"));
        assert!(needs.contains(&format!(" in {}, ", small.display())) && needs.ends_with(" free"), "{needs}");
        // It is known like any other restore that failed.
        let run = &bench.runs("restore")[0];
        assert_eq!(run["outcome"], "failed", "{run}");
        assert!(err.contains(run["error"].as_str().unwrap()), "{run}");
    }
    assert_eq!(bench.runs("restore").len(), 3);

    let dry = bench.run(&["--json", "restore", "shop", "--to", to, "--dry-run"]);
    assert_eq!(dry.status.code(), Some(1));
    refused(&String::from_utf8(dry.stderr).unwrap(), &small);
    let plan: serde_json::Value = serde_json::from_slice(&dry.stdout).unwrap();
    let need = &plan["plan"]["needs"][0];
    assert_eq!(need["folder"], small.to_str().unwrap());
    assert!(need["bytes"].as_u64().unwrap() > need["free"].as_u64().unwrap(), "{plan}");
    let said = bench.fails(1, &["restore", "shop", "--to", to, "--dry-run"]);
    refused(&said, &small);
    assert_eq!(bench.runs("restore").len(), 3, "what is only looked at is recorded nowhere");

    assert_eq!(sha256(&std::fs::read(&target).unwrap()), before);
    assert_eq!(names(&small), ["app.db"]);
    bench.restores_to_what_it_was();
}

/// A bench whose database is a tree of 2 MB in files of 200 kB.
fn tree() -> Bench<SqliteFixture> {
    let bench = Bench::<SqliteFixture>::new();
    let www = bench.path("www/deep");
    std::fs::create_dir_all(&www).unwrap();
    for n in 0..10u8 {
        std::fs::write(www.join(n.to_string()), vec![n; 200_000]).unwrap();
    }
    bench.edit("engine = \"sqlite\"", "engine = \"files\"");
    let url = format!("url = \"sqlite:{}\"", bench.fixture.path.display());
    bench.edit(&url, &format!("files = [\"{}\"]", bench.path("www").display()));
    bench.ok(&["backup", "shop"]);
    bench
}

#[test]
fn a_tree_that_does_not_fit_is_refused_and_one_that_is_only_written_over_is_not() {
    if !mounts::of_our_own(
        "pipeline::room::a_tree_that_does_not_fit_is_refused_and_one_that_is_only_written_over_is_not",
    ) {
        return;
    }
    let bench = tree();
    let www = bench.path("www").display().to_string();
    let small = bench.path("small");
    mounts::tmpfs(&small, "size=1m");
    // A folder that is to be made is on the file system of the one above it.
    let to = small.join("new/one");
    refused(&bench.fails(1, &["restore", "shop", "--to", to.to_str().unwrap()]), &small);
    assert_eq!(names(&small), Vec::<String>::new());
    bench.ok(&["restore", "shop", "--to", to.to_str().unwrap(), "--file", &format!("{www}/deep/7")]);

    let larger = bench.path("larger");
    mounts::tmpfs(&larger, "size=3m");
    let to = larger.to_str().unwrap();
    bench.ok(&["restore", "shop", "--to", to]);
    // What is free would not be enough for a second one.
    bench.ok(&["restore", "shop", "--to", to, "--overwrite", "--yes"]);
    sh("diff", &["-r", &www, &format!("{to}{www}")]);
}

#[test]
fn a_tree_with_a_file_system_mounted_in_it_is_not_measured_by_the_one_around_it() {
    if !mounts::of_our_own(
        "pipeline::room::a_tree_with_a_file_system_mounted_in_it_is_not_measured_by_the_one_around_it",
    ) {
        return;
    }
    let bench = tree();
    let www = bench.path("www").display().to_string();
    let small = bench.path("small");
    mounts::tmpfs(&small, "size=64k");
    let to = small.to_str().unwrap();
    refused(&bench.fails(1, &["restore", "shop", "--to", to]), &small);
    mounts::tmpfs(Path::new(&format!("{to}{www}/deep")), "size=4m");
    assert!(!bench.ok(&["restore", "shop", "--to", to, "--yes"]).contains("needs"));
    sh("diff", &["-r", &www, &format!("{to}{www}")]);
}
