//! Backing up SQLite: what others lost (write-ahead logs, locks, missing files), and what only the application understands.

use std::path::Path;
use std::time::{Duration, Instant};

use qbackd::engine::{RestoreRequest, SourceOptions, registry};
use qbackd::error::Kind;

use crate::support::fixture::{Fixture, SqliteFixture, is_root, open, sh, sqlite3};
use crate::support::memory::{back_up, run_in};
use crate::support::sqlite::{Shell, World, table};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_sqlite_file_is_no_empty_success() {
    let world = World::new();
    let error = world.refused().await;
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.line().contains("there is no such file"), "{error}");
    assert!(!world.db.exists(), "looking for it made it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_is_refused_by_name() {
    let world = World::new();
    std::fs::create_dir(&world.db).unwrap();
    assert!(world.refused().await.line().contains("it is a folder"));
    std::fs::remove_dir(&world.db).unwrap();
    for (content, why) in [
        (Vec::new(), "0 bytes are no database"),
        (b"hello".to_vec(), "not an SQLite database"),
        (vec![0x5a; 8192], "not an SQLite database, or it is encrypted"),
    ] {
        std::fs::write(&world.db, content).unwrap();
        let error = world.refused().await;
        assert!(error.line().contains(why), "{error}");
        assert!(error.line().contains(world.db.to_str().unwrap()) && error.remedy().is_some(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_any_object_is_refused() {
    for mode in ["DELETE", "WAL"] {
        let world = World::new();
        sqlite3(&world.db, &format!("PRAGMA journal_mode={mode}; CREATE TABLE t(x); DROP TABLE t;"));
        assert!(world.refused().await.line().contains("holds no tables"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_mode_writes_are_included() {
    let world = World::new();
    let mut app = Shell::on(&world.db);
    app.run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x);");
    app.run("INSERT INTO t VALUES (1), (2), (3);");
    assert!(std::fs::metadata(&world.db).unwrap().len() < 8192, "the rows are not only in the log");
    let before = (world.listing(), std::fs::read(&world.db).unwrap());
    let backup = world.back_up().await.unwrap();
    assert_eq!(table(&backup, "t"), Some(3));
    assert_eq!(sqlite3(&world.file_of(&backup), "SELECT sum(x) FROM t"), "6\n");
    assert_eq!((world.listing(), std::fs::read(&world.db).unwrap()), before, "the backup wrote to its source");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wal_database_that_nobody_uses_is_read_without_leaving_files_beside_it() {
    let world = World::new();
    sqlite3(&world.db, "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1);");
    assert_eq!(world.listing(), ["app.db"]);
    let backup = world.back_up().await.unwrap();
    assert_eq!(table(&backup, "t"), Some(1));
    assert_eq!(world.listing(), ["app.db"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_an_application_that_died_is_included() {
    for lose_shm in [false, true] {
        let world = World::new();
        let mut app = Shell::on(&world.db);
        app.run(
            "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x); INSERT INTO t VALUES (1), (2);",
        );
        app.kill();
        assert_eq!(world.listing(), ["app.db", "app.db-shm", "app.db-wal"]);
        if lose_shm {
            std::fs::remove_file(format!("{}-shm", world.db.display())).unwrap();
        }
        let before = world.listing();
        let backup = world.back_up().await.unwrap();
        assert_eq!(table(&backup, "t"), Some(2), "without -shm: {lose_shm}");
        assert_eq!(world.listing(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_a_crash_cut_off_is_undone_in_the_copy_alone() {
    let world = World::new();
    let mut app = Shell::on(&world.db);
    app.run("CREATE TABLE t(x); INSERT INTO t VALUES (1);");
    // A cache of a few pages makes SQLite write into the file before the commit.
    app.run("PRAGMA cache_size=5; BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 50000) INSERT INTO t SELECT i FROM n;");
    app.kill();
    assert_eq!(world.listing(), ["app.db", "app.db-journal"]);
    let before = (std::fs::read(&world.db).unwrap(), std::fs::read(format!("{}-journal", world.db.display())).unwrap());
    let backup = world.back_up().await.unwrap();
    assert_eq!(table(&backup, "t"), Some(1));
    let after = (std::fs::read(&world.db).unwrap(), std::fs::read(format!("{}-journal", world.db.display())).unwrap());
    assert!(before == after, "the backup wrote to its source");
}

/// Moves money between accounts for as long as `sqlite3` runs; every transaction keeps the sum.
fn transfers(world: &World, mode: &str) -> Shell {
    let mut app = Shell::on(&world.db);
    app.run(&format!(
        "PRAGMA journal_mode={mode}; PRAGMA synchronous=OFF;
         CREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER, padding BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 2000)
           INSERT INTO account SELECT i, 1000, randomblob(2000) FROM n;
         CREATE TABLE journal(moved INTEGER);"
    ));
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_taken_while_another_process_writes_is_of_one_moment() {
    for mode in ["WAL", "DELETE"] {
        let world = World::new();
        let mut app = transfers(&world, mode);
        let step = "BEGIN IMMEDIATE; UPDATE account SET amount = amount - 7 WHERE id = 1 + abs(random()) % 1000;
                    UPDATE account SET amount = amount + 7 WHERE id = 1001 + abs(random()) % 1000;
                    INSERT INTO journal VALUES (7); COMMIT;";
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let (busy, running) = std::sync::mpsc::channel::<()>();
        let writer = std::thread::spawn(move || {
            app.run(".timeout 20000");
            let mut count = 0u64;
            while stopped.try_recv().is_err() {
                app.run(step);
                count += 1;
                let _ = busy.send(());
            }
            (app, count)
        });
        let mut moved = Vec::new();
        for _ in 0..6 {
            // Between two backups the writer got on.
            running.recv().unwrap();
            while running.try_recv().is_ok() {}
            running.recv().unwrap();
            let backup = world.back_up().await.unwrap();
            let copy = world.file_of(&backup);
            assert_eq!(sqlite3(&copy, "SELECT sum(amount) FROM account"), "2000000\n", "{mode}");
            assert_eq!(sqlite3(&copy, "PRAGMA integrity_check"), "ok\n");
            moved.push(table(&backup, "journal").unwrap());
        }
        stop.send(()).unwrap();
        let (mut app, count) = writer.join().unwrap();
        assert!(moved.is_sorted() && moved[0] < moved[5] && moved[5] <= count, "{mode}: {moved:?} of {count}");
        assert_eq!(app.run("SELECT count(*) FROM journal;"), count.to_string(), "{mode}: a commit failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exclusively_locked_database_fails_in_bounded_time_and_says_why() {
    let world = World::new();
    let mut app = Shell::on(&world.db);
    app.run("CREATE TABLE t(x); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1);");
    let start = Instant::now();
    let error = world.refused().await;
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(error.kind(), Kind::TryAgain);
    assert!(error.line().contains("exclusive lock") && error.remedy().unwrap().contains("fuser"), "{error}");
    app.run("COMMIT;");
    world.back_up().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wal_database_in_exclusive_locking_mode_is_never_read_half_way() {
    let world = World::new();
    let mut app = Shell::on(&world.db);
    app.run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1);");
    assert_eq!(world.listing(), ["app.db", "app.db-wal"]);
    let error = world.refused().await;
    assert_eq!(error.kind(), Kind::TryAgain);
    assert!(error.line().contains("locked it for itself"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_source_fails_the_backup() {
    let world = World::new();
    SqliteFixture { path: world.db.clone() }.seed();
    sqlite3(&world.db, "PRAGMA journal_mode=DELETE");
    let mut bytes = std::fs::read(&world.db).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 9000].fill(0xff);
    std::fs::write(&world.db, bytes).unwrap();
    let error = world.refused().await;
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.line().contains("integrity_check"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_tables_are_counted_and_the_copy_opens_anywhere() {
    let world = World::new();
    SqliteFixture { path: world.db.clone() }.seed();
    let backup = world.back_up().await.unwrap();
    assert_eq!(backup.artifacts.keys().next().unwrap().as_str(), "shop.db");
    let names: Vec<&str> =
        backup.manifest().objects.iter().filter(|o| o.kind == "table").map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["customer", "odd \" näme", "words"], "shadow tables and views are not listed");
    assert_eq!(table(&backup, "customer"), Some(20_000));
    assert_eq!(table(&backup, "odd \" näme"), Some(2));
    assert_eq!(table(&backup, "words"), Some(500));
    // Bytes 18 and 19: 1 is a rollback journal, which needs nothing beside the file.
    assert_eq!(backup.content()[18..20], [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_application_understands_does_not_fail_the_backup() {
    let world = World::new();
    sqlite3(
        &world.db,
        "CREATE TABLE t(x TEXT COLLATE uint PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES ('a2'), ('a10');
         CREATE TABLE plain(y); INSERT INTO plain VALUES (1);
         PRAGMA writable_schema=ON;
         INSERT INTO sqlite_schema VALUES ('table', 'strange', 'strange', 0, 'CREATE VIRTUAL TABLE strange USING unheard_of(x)');",
    );
    let engine = world.engine();
    let backup = world.back_up().await.unwrap();
    assert_eq!(table(&backup, "plain"), Some(1));
    assert_eq!(table(&backup, "strange"), None);
    let notes = backup.manifest().notes.join("\n");
    assert!(notes.contains("uint") && notes.contains("strange"), "{notes}");
    engine
        .restore(&backup, &RestoreRequest { overwrite: true, ..RestoreRequest::default() }, &world.run)
        .await
        .unwrap();
    assert_eq!(sqlite3(&world.db, "SELECT group_concat(x) FROM t"), "a2,a10\n");
}

/// Runs as root: starts this test once more as nobody, on that database, and expects it to pass.
fn as_nobody(test: &str, db: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let binary = dir.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let drop = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--", "env"];
    let db = format!("QBACKD_TEST_DB={}", db.display());
    let said = sh("setpriv", &[&drop[..], &[&db, binary.to_str().unwrap(), test, "--exact"]].concat());
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wal_database_in_a_folder_that_may_not_be_written_is_read_in_every_state() {
    if let Some(db) = std::env::var_os("QBACKD_TEST_DB") {
        let dir = tempfile::tempdir().unwrap();
        let engine = open("sqlite", &format!("url = \"sqlite:{}\"", db.display()));
        let backup = back_up(engine.as_ref(), "sqlite", &run_in(dir.path(), "shop")).await.unwrap();
        assert_eq!(table(&backup, "t"), Some(2));
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let folder = world.db.parent().unwrap();
    std::fs::set_permissions(world.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let read = async || {
        let test = "engines::sqlite::a_wal_database_in_a_folder_that_may_not_be_written_is_read_in_every_state";
        if is_root() {
            as_nobody(test, &world.db);
        } else {
            std::fs::set_permissions(folder, PermissionsExt::from_mode(0o555)).unwrap();
            assert_eq!(table(&world.back_up().await.unwrap(), "t"), Some(2));
            std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
        }
    };
    let mut app = Shell::on(&world.db);
    app.run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x); INSERT INTO t VALUES (1), (2);");
    read().await;
    app.kill();
    assert_eq!(world.listing(), ["app.db", "app.db-shm", "app.db-wal"]);
    read().await;
    std::fs::remove_file(folder.join("app.db-shm")).unwrap();
    read().await;
    sqlite3(&world.db, "SELECT 1 FROM t");
    assert_eq!(world.listing(), ["app.db"]);
    read().await;
    assert_eq!(world.listing(), ["app.db"]);
}

#[test]
fn an_sqlite_url_without_an_absolute_path_is_an_error_of_its_key() {
    let open = registry::by_name("sqlite").unwrap().open.unwrap();
    for keys in ["", "url = \"sqlite:app.db\"", "url = \"sqlite://host/app.db\""] {
        let error = open(&toml::from_str::<SourceOptions>(keys).unwrap()).err().unwrap();
        assert_eq!(error.key, "url");
    }
}
