//! Names that are no names, and names that nothing answers to.

use super::{contents, with_a_backup};
use crate::support::fixture::{CommandFixture, Fixture};

const NO_NAMES: [&str; 9] = ["../shop", "/etc", "Shop", "shop ", "s hop", "shöp", "", "-", "shop/../../etc"];

#[test]
fn a_name_that_is_none_on_the_command_line() {
    let bench = with_a_backup::<CommandFixture>();
    let before = contents(&bench.path(""));
    for name in NO_NAMES {
        for verb in [
            &["backup"][..],
            &["list"],
            &["show"],
            &["verify"],
            &["restore", "--yes"],
            &["delete", "--yes"],
            &["download", "-o", "out"],
        ] {
            let output = bench.run(&[verb, &["--", name]].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{verb:?} {name:?}: {said}");
            let told = ["is not a name", "is not the beginning of a backup id"];
            assert!(told.iter().any(|words| said.contains(words)), "{verb:?} {name:?}: {said}");
        }
    }
    for to in ["../other", "Local"] {
        let said = bench.fails(2, &["backup", "shop", "--to", to]);
        assert!(said.contains(to) && said.contains("is not a name"), "{said}");
    }
    assert!(contents(&bench.path("")) == before, "something was written");
}

#[test]
fn a_name_that_is_none_in_the_configuration() {
    let bench = with_a_backup::<CommandFixture>();
    let sound = bench.configuration();
    let root = contents(&bench.root());
    for name in NO_NAMES.into_iter().filter(|name| *name != "-") {
        for table in ["database.shop", "destination.local", "encryption.team", "policy.plain"] {
            let (kind, old) = table.split_once('.').unwrap();
            bench.set_configuration(&sound.replace(&format!("[{table}]"), &format!("[{kind}.\"{name}\"]")));
            let said = bench.fails(78, &["backup", "--all"]);
            assert!(said.contains("qbackd.toml:") && said.contains("nothing was done"), "{old} {name:?}: {said}");
            assert!(name.is_empty() || said.contains(name), "{said}");
        }
    }
    assert!(contents(&bench.root()) == root);
    bench.set_configuration(&sound);
    assert_eq!(bench.outcomes(), ["succeeded"]);
    bench.restores_to_what_it_was();
}

#[test]
fn a_name_or_an_id_that_nothing_answers_to() {
    let bench = with_a_backup::<CommandFixture>();
    let said = bench.fails(2, &["backup", "shpo"]);
    assert!(said.contains("there is no database `shpo`") && said.contains("there are shop"), "{said}");
    let said = bench.fails(2, &["list", "shpo"]);
    assert!(said.contains("there is no database `shpo`"), "{said}");
    let said = bench.fails(2, &["restore", "shop", "--from", "lokal", "--yes"]);
    assert!(said.contains("there is no destination `lokal`") && said.contains("there are local"), "{said}");
    for id in ["shop/20200101T000000Z-full-aaaaaaaa", "20200101", "shpo@latest"] {
        for verb in
            [&["show"][..], &["verify"], &["restore", "--yes"], &["delete", "--yes"], &["download", "-o", "out"]]
        {
            let said = bench.fails(1, &[verb, &[id]].concat());
            assert!(said.contains("there is no backup") || said.contains("no backup's id begins with"), "{id}: {said}");
            assert!(said.contains("hint: `qbackd list` shows what there is"), "{said}");
        }
    }
    bench.ok(&["backup", "shop"]);
    let said = bench.fails(2, &["show", "shop/20"]);
    assert!(said.contains("20 is the beginning of several backups") && said.contains("give more of the id"), "{said}");
    let said = bench.fails(1, &["restore", "shop", "--from", "./no/such/folder", "--yes"]);
    assert!(said.contains("there is no folder") && said.contains("no/such/folder"), "{said}");
    assert_eq!(bench.fixture.fingerprint(), bench.before());
    assert!(bench.runs("restore").iter().all(|run| run["outcome"] == "failed"));
}
