//! What is special to the sqlite engine: what others lost (write-ahead logs, locks, missing files), and swaps that lose nothing.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use qbackd::engine::{RestoreRequest, Run, Selection, SourceOptions, registry};
use qbackd::error::{Error, Kind};

use crate::support::fixture::{Fixture, SqliteFixture, open, sqlite3};
use crate::support::memory::{MemoryBackup, MemorySink, back_up, dump, run_in};

/// A real `sqlite3` that stays, in a process of its own.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Shell {
    fn on(path: &Path) -> Self {
        let mut child = Command::new("sqlite3")
            .args(["-batch", "-bail"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests need `sqlite3`");
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    /// Runs SQL and waits until it is done; the last line it printed.
    fn run(&mut self, sql: &str) -> String {
        writeln!(self.stdin, "{sql}\nSELECT 'done';").unwrap();
        let mut last = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "sqlite3 ended at {sql}");
            if line == "done\n" {
                return last;
            }
            last = line.trim_end().to_owned();
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct World {
    dir: tempfile::TempDir,
    db: PathBuf,
    run: Run,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let run = run_in(dir.path(), "shop");
        Self { db: data.join("app.db"), run, dir }
    }

    fn engine(&self) -> Box<dyn qbackd::engine::Engine> {
        open("sqlite", &format!("url = \"sqlite:{}\"", self.db.display()))
    }

    async fn back_up(&self) -> qbackd::error::Result<MemoryBackup> {
        back_up(self.engine().as_ref(), "sqlite", &self.run).await
    }

    async fn refused(&self) -> Error {
        let (engine, sink) = (self.engine(), MemorySink::default());
        let error = dump(engine.as_ref(), &self.run, &sink).await.unwrap_err();
        assert!(sink.finished().await.is_empty(), "a refused dump left an artifact");
        error
    }

    /// The names in the database's folder.
    fn listing(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.db.parent().unwrap())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A backup's content as a file that the real `sqlite3` opens.
    fn file_of(&self, backup: &MemoryBackup) -> PathBuf {
        let copy = self.dir.path().join("copy.db");
        std::fs::write(&copy, backup.content()).unwrap();
        copy
    }
}

fn table(backup: &MemoryBackup, name: &str) -> Option<u64> {
    let tables = &backup.manifest().objects;
    tables.iter().find(|o| o.kind == "table" && o.name == name).unwrap_or_else(|| panic!("no table {name}")).count
}

fn overwrite() -> RestoreRequest {
    RestoreRequest { overwrite: true, ..RestoreRequest::default() }
}

fn to(path: &Path) -> RestoreRequest {
    RestoreRequest { to: Some(path.display().to_string()), ..RestoreRequest::default() }
}

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
    engine.restore(&backup, &overwrite(), &world.run).await.unwrap();
    assert_eq!(sqlite3(&world.db, "SELECT group_concat(x) FROM t"), "a2,a10\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_keeps_owner_mode_and_journal_mode_of_what_it_replaces() {
    let world = World::new();
    let fixture = SqliteFixture { path: world.db.clone() };
    fixture.seed();
    let before = fixture.fingerprint();
    let backup = world.back_up().await.unwrap();
    sqlite3(&world.db, "DELETE FROM customer");
    std::fs::set_permissions(&world.db, PermissionsExt::from_mode(0o664)).unwrap();
    let root = std::fs::metadata(&world.db).unwrap().uid() == 0;
    if root {
        std::os::unix::fs::chown(&world.db, Some(4242), Some(4343)).unwrap();
    }
    let restored = world.engine().restore(&backup, &overwrite(), &world.run).await.unwrap();
    assert_eq!(restored.warnings, Vec::<String>::new());
    let meta = std::fs::metadata(&world.db).unwrap();
    assert_eq!(meta.mode() & 0o7777, 0o664);
    if root {
        assert_eq!((meta.uid(), meta.gid()), (4242, 4343));
    }
    assert_eq!(world.listing(), ["app.db"]);
    assert_eq!(sqlite3(&world.db, "PRAGMA journal_mode"), "wal\n");
    assert_eq!(fixture.fingerprint(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_log_beside_the_target_never_gets_into_the_restored_database() {
    let world = World::new();
    sqlite3(&world.db, "CREATE TABLE t(x); INSERT INTO t VALUES (1);");
    let backup = world.back_up().await.unwrap();
    // An application dies in the middle of later work; what it committed lies in its log.
    let mut app = Shell::on(&world.db);
    app.run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; INSERT INTO t VALUES (2);");
    app.kill();
    world.engine().restore(&backup, &overwrite(), &world.run).await.unwrap();
    assert_eq!(world.listing(), ["app.db"]);
    assert_eq!(sqlite3(&world.db, "SELECT group_concat(x) FROM t"), "1\n");
    // The same when the database file itself was lost, and when it was damaged.
    for damage in [true, false] {
        let mut app = Shell::on(&world.db);
        app.run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; INSERT INTO t VALUES (3);");
        app.kill();
        if damage {
            std::fs::write(&world.db, [0x5a; 4096]).unwrap()
        } else {
            std::fs::remove_file(&world.db).unwrap()
        }
        world.engine().restore(&backup, &overwrite(), &world.run).await.unwrap();
        assert_eq!(world.listing(), ["app.db"]);
        assert_eq!(sqlite3(&world.db, "SELECT group_concat(x) FROM t"), "1\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_use_is_not_replaced_and_the_user_is_named() {
    for mode in ["WAL", "DELETE"] {
        let world = World::new();
        let mut app = Shell::on(&world.db);
        app.run(&format!("PRAGMA journal_mode={mode}; CREATE TABLE t(x); INSERT INTO t VALUES (1);"));
        let backup = world.back_up().await.unwrap();
        let engine = world.engine();
        app.run("INSERT INTO t VALUES (2);");
        let plan = engine.plan_restore(&backup, &overwrite(), &world.run).await.unwrap();
        let pid = app.child.id().to_string();
        assert!(plan.sessions.len() == 1 && plan.sessions[0].contains(&pid), "{:?}", plan.sessions);
        let error = engine.restore(&backup, &overwrite(), &world.run).await.unwrap_err();
        assert_eq!(error.kind(), Kind::TryAgain);
        assert!(error.line().contains(&pid), "{error}");
        assert_eq!(app.run("SELECT count(*) FROM t;"), "2");
        drop(app);
        assert!(world.listing().iter().all(|name| !name.contains("qbackd")), "{:?}", world.listing());
        engine.restore(&backup, &overwrite(), &world.run).await.unwrap();
        assert_eq!(sqlite3(&world.db, "SELECT count(*) FROM t"), "1\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_beside_leaves_the_original_alone() {
    let world = World::new();
    let fixture = SqliteFixture { path: world.db.clone() };
    fixture.seed();
    let before = fixture.fingerprint();
    let backup = world.back_up().await.unwrap();
    let beside = world.dir.path().join("beside.db");
    let engine = world.engine();
    for request in [to(&beside), RestoreRequest { to: Some(format!("sqlite:{}", beside.display())), ..overwrite() }] {
        engine.restore(&backup, &request, &world.run).await.unwrap();
        assert_eq!(SqliteFixture { path: beside.clone() }.fingerprint(), before);
        assert_eq!(std::fs::metadata(&beside).unwrap().mode() & 0o777, 0o600);
    }
    assert_eq!(fixture.fingerprint(), before);
    let error =
        engine.restore(&backup, &to(&world.dir.path().join("no/such/folder.db")), &world.run).await.unwrap_err();
    assert!(error.remedy().unwrap().starts_with("mkdir -p"), "{error}");
    let link = world.dir.path().join("link.db");
    std::os::unix::fs::symlink(&beside, &link).unwrap();
    engine.restore(&backup, &RestoreRequest { overwrite: true, ..to(&link) }, &world.run).await.unwrap();
    assert!(link.is_symlink(), "the link was replaced instead of the file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_not_what_its_manifest_says_replaces_nothing() {
    let world = World::new();
    sqlite3(&world.db, "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2);");
    let mut backup = world.back_up().await.unwrap();
    let whole = backup.content().to_vec();
    let other = world.dir.path().join("other.db");
    sqlite3(&other, "CREATE TABLE t(x); INSERT INTO t VALUES (1);");
    let mut flipped = whole.clone();
    flipped[4096 + 1] ^= 0xff;
    let cases = [
        (std::fs::read(&other).unwrap(), "table t has 1 rows instead of 2"),
        (flipped, "integrity_check"),
        (whole[..4096].to_vec(), "malformed"),
        (Vec::new(), "table t is missing"),
        (vec![0x5a; 8192], "not a database"),
    ];
    for (content, why) in cases {
        backup.set_content(content);
        for error in [
            world.engine().restore(&backup, &overwrite(), &world.run).await.unwrap_err(),
            world.engine().parse(&backup, &world.run).await.unwrap_err(),
        ] {
            assert!(error.line().contains(why), "{why}: {error}");
        }
        assert_eq!(sqlite3(&world.db, "SELECT count(*) FROM t"), "2\n");
        assert_eq!(world.listing(), ["app.db"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_database_are_refused_with_the_way_by_hand() {
    let world = World::new();
    sqlite3(&world.db, "CREATE TABLE t(x);");
    let backup = world.back_up().await.unwrap();
    let only = Selection { tables: vec!["t".into()], ..Selection::default() };
    let request = RestoreRequest { only, ..overwrite() };
    let error = world.engine().restore(&backup, &request, &world.run).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.remedy().unwrap().contains(".dump TABLE"), "{error}");
}

#[test]
fn an_sqlite_url_without_an_absolute_path_is_an_error_of_its_key() {
    let open = registry::by_name("sqlite").unwrap().open.unwrap();
    for keys in ["", "url = \"sqlite:app.db\"", "url = \"sqlite://host/app.db\""] {
        let error = open(&toml::from_str::<SourceOptions>(keys).unwrap()).err().unwrap();
        assert_eq!(error.key, "url");
    }
}
