//! What a restore may and may not do to what is there.

use std::fmt::Write;

use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, FilesFixture, Fixture, SqliteFixture, sqlite3, tree_fingerprint};

on_every_engine!(
    a_dry_run_changes_nothing,
    a_dry_run_with_verify_finds_a_flipped_bit,
    nothing_that_is_there_is_replaced_without_a_yes,
);

/// Everything of the bench but the record of runs and the temporary folders, down to the nanosecond.
fn everything<F: Fixture>(bench: &Bench<F>) -> String {
    let mut all = String::new();
    for folder in ["data", "backups", "etc"] {
        writeln!(all, "== {folder}\n{}", tree_fingerprint(&bench.path(folder))).unwrap();
    }
    all
}

fn a_dry_run_changes_nothing<F: Fixture>() {
    let bench = Bench::<F>::new();
    bench.ok(&["backup", "shop"]);
    let before = everything(&bench);
    for args in [&["--dry-run"][..], &["--dry-run", "--verify"], &["--dry-run", "--overwrite", "--yes"]] {
        let said = bench.ok(&[&["restore", "shop"], args].concat());
        assert!(said.contains("REPLACES") && said.contains("nothing was changed"), "{said}");
        assert!(everything(&bench) == before, "restore {args:?} changed something");
    }
    assert!(bench.runs("restore").is_empty(), "a dry run is no run");
    let planned = bench.json(&["restore", "shop", "--dry-run", "--verify"]);
    assert_eq!((&planned["backup"], &planned["verified"]), (&bench.listed().remove(0).into(), &true.into()));
}

fn a_dry_run_with_verify_finds_a_flipped_bit<F: Fixture>() {
    let bench = Bench::<F>::new();
    bench.ok(&["backup", "shop"]);
    let id = bench.listed().remove(0);
    bench.flip_a_bit(&id);
    bench.ok(&["restore", "shop", "--dry-run"]);
    let said = bench.fails(1, &["restore", "shop", "--dry-run", "--verify"]);
    assert!(said.contains(&id) && said.contains("hint:"), "{said}");
    assert_eq!(bench.fixture.fingerprint(), bench.before());
}

fn nothing_that_is_there_is_replaced_without_a_yes<F: Fixture>() {
    let bench = Bench::<F>::new();
    bench.ok(&["backup", "shop"]);
    let before = everything(&bench);
    for args in [&[][..], &["--overwrite"], &["--backup-first"]] {
        let said = bench.fails(2, &[&["restore", "shop"], args].concat());
        assert!(said.contains("cannot ask without a terminal") && said.contains("--yes"), "{said}");
        assert!(everything(&bench) == before, "restore {args:?} changed something");
    }
    assert!(bench.runs("restore").is_empty(), "nothing was begun");
    bench.fixture.wipe();
    if bench.fixture.sees_its_target() {
        bench.ok(&["restore", "shop"]);
    } else {
        // What a command writes over nobody knows, so it always takes a yes.
        bench.fails(2, &["restore", "shop"]);
        bench.ok(&["restore", "shop", "--yes"]);
    }
    assert_eq!(bench.fixture.fingerprint(), bench.before());
}

/// Backs up, lets `change` have its way, restores with `--backup-first`: both states can be had.
fn both_can_be_had<F: Fixture>(change: fn(&F), undo: fn(&F)) {
    let bench = Bench::<F>::new();
    bench.ok(&["backup", "shop"]);
    change(&bench.fixture);
    let changed = bench.fixture.fingerprint();
    assert_ne!(changed, bench.before());
    bench.ok(&["restore", "shop", "--backup-first", "--overwrite", "--yes"]);
    undo(&bench.fixture);
    assert_eq!(bench.fixture.fingerprint(), bench.before());
    let listed = bench.listed();
    assert_eq!(listed.len(), 2, "{listed:?}");
    bench.fixture.wipe();
    bench.ok(&["restore", &listed[1], "--yes"]);
    assert_eq!(bench.fixture.fingerprint(), changed);
}

#[test]
fn backup_first_keeps_the_database_that_is_replaced() {
    both_can_be_had::<SqliteFixture>(
        |fixture| drop(sqlite3(&fixture.path, "DELETE FROM customer WHERE id > 10")),
        |_| (),
    );
}

#[test]
fn backup_first_keeps_the_files_that_are_replaced() {
    let note = |fixture: &FilesFixture| fixture.tree.join("with space/a new file");
    both_can_be_had::<FilesFixture>(|fixture| std::fs::write(fixture.tree.join("large"), "small now").unwrap(), |_| ());
    let bench = Bench::<FilesFixture>::new();
    bench.ok(&["backup", "shop"]);
    std::fs::write(note(&bench.fixture), "stays").unwrap();
    bench.ok(&["restore", "shop", "--yes"]);
    assert_eq!(std::fs::read_to_string(note(&bench.fixture)).unwrap(), "stays", "what is not in the backup stays");
}

#[test]
fn backup_first_keeps_the_state_that_a_command_replaces() {
    both_can_be_had::<CommandFixture>(|fixture| std::fs::write(&fixture.state, "other").unwrap(), |_| ());
}

#[test]
fn nothing_is_restored_if_what_is_there_cannot_be_backed_up_first() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    std::fs::write(&bench.fixture.path, "no database any more, but somebody may want it").unwrap();
    let said = bench.fails(1, &["restore", "shop", "--backup-first", "--yes"]);
    assert!(said.contains("nothing was restored") && said.contains("app.db"), "{said}");
    assert!(std::fs::read_to_string(&bench.fixture.path).unwrap().starts_with("no database any more"));
    assert_eq!(bench.outcomes(), ["failed", "succeeded"]);
}

#[test]
fn with_backup_first_and_nothing_there_nothing_is_backed_up() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    bench.fixture.wipe();
    bench.ok(&["restore", "shop", "--backup-first"]);
    assert_eq!(bench.fixture.fingerprint(), bench.before());
    assert_eq!(bench.outcomes(), ["succeeded"]);
    // What lies at another place is not the database.
    bench.fails(2, &["restore", "shop", "--backup-first", "--to", "copy.db"]);
}
