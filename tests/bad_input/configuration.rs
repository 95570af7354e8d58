//! Configurations that cannot be used, engines that are not built, a state directory that is closed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::{all_restore, contents, says, with_a_backup};
use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, Fixture, SqliteFixture};

#[test]
fn one_with_errors_stops_every_verb_and_changes_nothing() {
    let bench = with_a_backup::<CommandFixture>();
    let sound = bench.configuration();
    bench.edit("destinations = [\"local\"]", "destinations = [\"lokal\"]\ncompresion = \"none\"");
    let before = contents(&bench.path(""));
    for verb in [
        &["backup", "shop"][..],
        &["list"],
        &["show", "shop@latest"],
        &["verify", "shop"],
        &["restore", "shop", "--yes"],
        &["delete", "shop@latest", "--yes"],
        &["download", "shop@latest", "-o", "out"],
        &["check"],
    ] {
        let said = bench.fails(78, verb);
        for word in ["unknown destination `lokal`", "did you mean `local`", "compresion", "2 errors"] {
            assert!(said.contains(word), "{verb:?}: {word:?} is not in\n{said}");
        }
    }
    assert!(contents(&bench.path("")) == before, "something was written");
    bench.set_configuration(&sound);
    all_restore(&bench);
}

#[test]
fn one_that_is_not_there() {
    let bench = with_a_backup::<CommandFixture>();
    let elsewhere = |folder: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_qbackd"))
            .args(["backup", "shop", "--config", folder])
            .current_dir(bench.path(""))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(78));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = elsewhere("no/such/folder");
    assert!(said.contains("no/such/folder"), "{said}");
    std::fs::create_dir(bench.path("empty")).unwrap();
    let said = elsewhere("empty");
    assert!(said.contains("empty"), "{said}");
    all_restore(&bench);
}

#[test]
fn an_engine_that_is_not_built() {
    let bench = with_a_backup::<SqliteFixture>();
    let sound = bench.configuration();
    for (engine, url) in [("postgresql", "postgresql://backup@db1/shop"), ("redis", "redis://cache/0")] {
        let text = sound.split("[database.shop]").next().unwrap();
        bench.set_configuration(&format!("{text}[database.shop]\nurl = \"{url}\"\npolicy = \"plain\"\n"));
        let runs = bench.runs("backup").len();
        let said = bench.fails(69, &["backup", "shop"]);
        says(&said, &[&format!("the engine `{engine}` is not built"), "CHANGELOG.md"]);
        let recorded = bench.runs("backup");
        assert_eq!((recorded.len(), &recorded[0]["outcome"]), (runs + 1, &"failed".into()));
        let checked = bench.run(&["check"]);
        assert!(checked.status.success(), "`check` warns only");
        assert!(String::from_utf8_lossy(&checked.stderr).contains(engine));
    }
    bench.set_configuration(&sound);
    assert_eq!((bench.listed().len(), bench.unpublished().len()), (1, 0));
    all_restore(&bench);
}

#[test]
fn a_service_that_is_not_built() {
    let bench = with_a_backup::<SqliteFixture>();
    let sound = bench.configuration();
    bench.edit("service = \"fs\"", "service = \"s3\"\nbucket = \"backups\"");
    let root = format!("root = \"{}\"\nmin_free = \"0%\"\n", bench.root().display());
    bench.edit(&root, "");
    let said = bench.fails(69, &["backup", "shop"]);
    says(&said, &["cannot open local", "the service `s3` is not built"]);
    bench.set_configuration(&sound);
    assert_eq!(bench.outcomes(), ["failed", "succeeded"]);
    all_restore(&bench);
}

#[test]
fn a_state_directory_that_may_not_be_written() {
    let mut bench = Bench::<SqliteFixture>::new();
    bench.give_up_root();
    bench.ok(&["backup", "shop"]);
    let (id, there) = (bench.listed().remove(0), contents(&bench.root()));
    let mode = |mode| std::fs::set_permissions(bench.path("state"), Permissions::from_mode(mode)).unwrap();
    mode(0o500);
    for verb in [&["backup", "shop"][..], &["delete", &id, "--yes"], &["restore", "shop", "--backup-first", "--yes"]] {
        let said = bench.fails(77, verb);
        says(&said, &["cannot write to the state directory", "/state", "state_dir in [daemon]"]);
    }
    assert!(contents(&bench.root()) == there);
    // Data comes back all the same; that it did is recorded nowhere.
    for verb in [&["list"][..], &["verify", "shop"], &["restore", "shop", "--yes"]] {
        bench.ok(verb);
    }
    assert_eq!(bench.fixture.fingerprint(), bench.before());
    mode(0o700);
    assert_eq!((bench.outcomes(), bench.runs("restore").len()), (vec!["succeeded".to_owned()], 0));
}

#[test]
fn a_state_directory_on_a_file_system_that_is_not_there() {
    let bench = with_a_backup::<SqliteFixture>();
    let state = format!("state_dir = \"{}\"", bench.path("state").display());
    bench.edit(&state, "state_dir = \"$HERE/not/mounted\"");
    let said = bench.fails(78, &["backup", "shop"]);
    says(&said, &["not/mounted is absent", "mkdir -p"]);
    assert!(!bench.path("not").exists());
    bench.edit("state_dir = \"$HERE/not/mounted\"", &state);
    all_restore(&bench);
}
