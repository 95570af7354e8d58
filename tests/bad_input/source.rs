//! Sources that are not there, not readable, empty, or something else.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::{all_restore, backup_fails, with_a_backup};
use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, FilesFixture, Fixture, SqliteFixture};

fn locked(path: &std::path::Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
}

#[test]
fn a_database_that_is_not_there() {
    let bench = with_a_backup::<SqliteFixture>();
    bench.fixture.wipe();
    backup_fails(&bench, 69, &["backup of shop failed", "data/app.db", "there is no such file", "`url`"]);
    all_restore(&bench);
}

#[test]
fn a_folder_that_is_not_there() {
    let bench = with_a_backup::<FilesFixture>();
    bench.fixture.wipe();
    backup_fails(&bench, 69, &["data/tree", "there is no such file or folder", "`files`", "mounted"]);
    all_restore(&bench);
}

#[test]
fn a_database_that_is_empty_a_folder_or_something_else() {
    let bench = with_a_backup::<SqliteFixture>();
    bench.fixture.wipe();
    std::fs::write(&bench.fixture.path, "").unwrap();
    backup_fails(&bench, 1, &["app.db", "it is empty", "`url`"]);
    std::fs::write(&bench.fixture.path, "Dear diary, this is no database, whatever its name may say.").unwrap();
    backup_fails(&bench, 1, &["app.db", "not an SQLite database", "`files`"]);
    bench.fixture.wipe();
    std::fs::create_dir(&bench.fixture.path).unwrap();
    backup_fails(&bench, 1, &["app.db", "it is a folder", "names the database file itself"]);
    std::fs::remove_dir(&bench.fixture.path).unwrap();
    crate::support::fixture::sqlite3(&bench.fixture.path, "CREATE TABLE t(x); DROP TABLE t;");
    backup_fails(&bench, 1, &["app.db", "holds no tables", "`url`"]);
    all_restore(&bench);
}

#[test]
fn a_folder_without_files() {
    let bench = with_a_backup::<FilesFixture>();
    bench.fixture.wipe();
    std::fs::create_dir_all(bench.fixture.tree.join("nothing/but/folders")).unwrap();
    backup_fails(&bench, 1, &["data/tree", "holds no files", "`files`", "`exclude`"]);
    all_restore(&bench);
}

#[test]
fn a_command_that_prints_nothing() {
    let bench = with_a_backup::<CommandFixture>();
    let configuration = bench.configuration();
    bench.edit("dump = [\"cat\", ", "dump = [\"test\", \"-e\", ");
    backup_fails(&bench, 1, &["`test`", "printed nothing", "standard output"]);
    bench.set_configuration(&configuration);
    std::fs::write(&bench.fixture.state, "").unwrap();
    backup_fails(&bench, 1, &["`cat`", "printed nothing"]);
    all_restore(&bench);
}

#[test]
fn a_database_that_may_not_be_read() {
    let mut bench = Bench::<SqliteFixture>::new();
    bench.give_up_root();
    bench.ok(&["backup", "shop"]);
    locked(&bench.fixture.path);
    backup_fails(&bench, 77, &["app.db", "ermission denied", "permissions"]);
    bench.fixture.wipe();
    all_restore(&bench);
}

#[test]
fn a_file_or_a_folder_that_may_not_be_read() {
    let mut bench = Bench::<FilesFixture>::new();
    // What only root could archive and give back.
    bench.fixture.wipe();
    std::fs::create_dir_all(bench.fixture.tree.join("folder")).unwrap();
    for file in ["open", "secret", "folder/within"] {
        std::fs::write(bench.fixture.tree.join(file), file).unwrap();
    }
    bench.give_up_root();
    bench.ok(&["backup", "shop"]);
    let before = bench.fixture.fingerprint();
    locked(&bench.fixture.tree.join("secret"));
    backup_fails(&bench, 77, &["data/tree/secret", "exclude them", "CAP_DAC_READ_SEARCH"]);
    locked(&bench.fixture.tree.join("folder"));
    backup_fails(&bench, 77, &["data/tree/secret", "data/tree/folder", "exclude them"]);
    std::fs::set_permissions(bench.fixture.tree.join("folder"), Permissions::from_mode(0o700)).unwrap();
    bench.fixture.wipe();
    bench.ok(&["restore", "shop"]);
    assert_eq!(bench.fixture.fingerprint(), before);
}
