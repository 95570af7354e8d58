//! Restoring to another place, from another place, on another machine, and parts only.

use std::path::Path;
use std::process::Command;

use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, FilesFixture, Fixture, SqliteFixture, sqlite3, tree_fingerprint};

/// Where a tree lies that was restored below `out`.
fn below(out: &Path, tree: &Path) -> std::path::PathBuf {
    out.join(tree.strip_prefix("/").unwrap())
}

#[test]
fn a_database_restored_to_another_path_leaves_the_original_alone() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    let (copy, original) = (bench.path("copy.db"), tree_fingerprint(&bench.path("data")));
    for to in [copy.display().to_string(), format!("sqlite:{}", copy.display())] {
        bench.ok(&["restore", "shop", "--to", &to]);
        assert_eq!(sqlite3(&copy, ".dump"), bench.before());
        std::fs::remove_file(&copy).unwrap();
    }
    // A path is relative to where the caller stands.
    bench.ok(&["restore", "shop@latest", "--to", "copy.db"]);
    assert_eq!(sqlite3(&copy, ".dump"), bench.before());
    let said = bench.fails(2, &["restore", "shop", "--to", "copy.db"]);
    assert!(said.contains("--yes"), "{said}");
    assert!(tree_fingerprint(&bench.path("data")) == original);
}

#[test]
fn a_tree_restored_to_another_folder_leaves_the_original_alone() {
    let bench = Bench::<FilesFixture>::new();
    bench.ok(&["backup", "shop"]);
    for (option, out) in [("--to", bench.path("one")), ("--files-to", bench.path("two"))] {
        bench.ok(&["restore", "shop", option, out.to_str().unwrap()]);
        assert_eq!(tree_fingerprint(&below(&out, &bench.fixture.tree)), bench.before());
    }
    assert_eq!(bench.fixture.fingerprint(), bench.before());
    bench.fails(2, &["restore", "shop", "--to", "a", "--files-to", "b"]);
}

#[test]
fn parts_of_a_tree_come_back_alone() {
    let bench = Bench::<FilesFixture>::new();
    bench.ok(&["backup", "shop"]);
    let (tree, out) = (bench.fixture.tree.display().to_string(), bench.path("parts"));
    let part = format!("{tree}/with space");
    let file = format!("{tree}/large");
    bench.ok(&["restore", "shop", "--file", &part, "--file", &file, "--files-to", out.to_str().unwrap()]);
    let restored = below(&out, &bench.fixture.tree);
    let mut names = crate::support::bench::names(&restored);
    names.sort();
    assert_eq!(names, ["large", "with space"]);
    assert_eq!(
        tree_fingerprint(&restored.join("with space")),
        tree_fingerprint(&bench.fixture.tree.join("with space"))
    );
    let said = bench.fails(1, &["restore", "shop", "--file", "/no/such/file", "--to", "nowhere"]);
    assert!(said.contains("/no/such/file"), "{said}");
    std::fs::remove_file(bench.fixture.tree.join("large")).unwrap();
    bench.ok(&["restore", "shop", "--file", &file, "--yes"]);
    assert!(bench.fixture.tree.join("large").exists());
}

#[test]
fn a_command_that_names_the_place_can_restore_beside() {
    let bench = Bench::<CommandFixture>::new();
    let state = bench.fixture.state.display().to_string();
    let database =
        |restore: &str| format!("dump = [\"cat\", \"{state}\"]\nrestore = [\"sh\", \"-c\", \"{restore}\"]\n");
    bench.configure(&database(&format!("cat > {state}")), "");
    bench.ok(&["backup", "shop"]);
    let said = bench.fails(2, &["restore", "shop", "--to", "beside", "--yes"]);
    assert!(said.contains("QBACKD_RESTORE_TO") && said.contains("write over the original"), "{said}");
    bench.configure(&database(&format!("cat > ${{QBACKD_RESTORE_TO:-{state}}}")), "");
    bench.fixture.wipe();
    bench.ok(&["restore", "shop", "--to", bench.path("beside").to_str().unwrap(), "--yes"]);
    assert_eq!(bench.fixture.fingerprint(), "absent");
    std::fs::rename(bench.path("beside"), &bench.fixture.state).unwrap();
    assert_eq!(bench.fixture.fingerprint(), bench.before());
}

/// qbackd on a machine that has nothing of it: no configuration, no state; only what is carried in by hand.
fn on_a_bare_machine<F: Fixture>(bench: &Bench<F>, state: &str, args: &[&str]) -> Command {
    let carried = bench.path("carried");
    if !carried.exists() {
        let copied = Command::new("cp").arg("-a").arg(bench.root()).arg(&carried).status().unwrap();
        assert!(copied.success());
    }
    let mut command =
        bench.command(&[&[args[0], "--config", "no/such/folder", "--from", "./carried"], &args[1..]].concat());
    command.env("STATE_DIRECTORY", bench.path(state));
    command
}

fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_bare_machine_needs_the_folder_and_the_identity_only() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    let identity = bench.keys.identity_file().display().to_string();
    // The first machine is gone.
    std::fs::rename(bench.path("etc"), bench.path("gone")).unwrap();
    bench.fixture.wipe();
    // Whether a record of runs can be kept there or not.
    for (state, recorded) in [("bare-state", true), ("no/such/parent/state", false)] {
        let listed = succeeds(on_a_bare_machine(&bench, state, &["list", "--json"]));
        assert!(listed.contains("\"shop/"), "{listed}");
        succeeds(on_a_bare_machine(&bench, state, &["show", "shop@latest"]));
        succeeds(on_a_bare_machine(&bench, state, &["verify", "shop"]));
        let refused = on_a_bare_machine(&bench, state, &["restore", "shop", "--to", "new.db"]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("no identity is given") && said.contains("--identity FILE"), "{said}");
        succeeds(on_a_bare_machine(&bench, state, &["restore", "shop", "--identity", &identity, "--to", "new.db"]));
        assert_eq!(sqlite3(&bench.path("new.db"), ".dump"), bench.before());
        std::fs::remove_file(bench.path("new.db")).unwrap();
        assert_eq!(bench.path(state).exists(), recorded);
        // Where it came from, if nobody says otherwise.
        succeeds(on_a_bare_machine(&bench, state, &["restore", "shop", "--identity", &identity]));
        assert_eq!(bench.fixture.fingerprint(), bench.before());
        bench.fixture.wipe();
    }
}

#[test]
fn a_bare_machine_brings_a_tree_back() {
    let bench = Bench::<FilesFixture>::new();
    bench.ok(&["backup", "shop"]);
    let identity = bench.keys.identity_file().display().to_string();
    std::fs::rename(bench.path("etc"), bench.path("gone")).unwrap();
    succeeds(on_a_bare_machine(&bench, "bare", &["restore", "shop", "--identity", &identity, "--to", "out"]));
    assert_eq!(tree_fingerprint(&below(&bench.path("out"), &bench.fixture.tree)), bench.before());
}

#[test]
fn a_broken_configuration_does_not_keep_a_folder_from_being_restored() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    bench.set_configuration("[destination.local\n");
    bench.fails(78, &["restore", "shop", "--to", "new.db"]);
    let identity = bench.keys.identity_file();
    let mut command = bench.command(&["restore", "shop", "--from", "./backups", "--to", "new.db", "--identity"]);
    command.arg(identity).env("STATE_DIRECTORY", bench.path("state"));
    succeeds(command);
    assert_eq!(sqlite3(&bench.path("new.db"), ".dump"), bench.before());
}
