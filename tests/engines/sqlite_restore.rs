//! Restoring SQLite: swaps that lose nothing, wherever they stop.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use qbackd::engine::{RestoreRequest, Selection};
use qbackd::error::Kind;

use crate::support::fixture::{Fixture, SqliteFixture, open, sqlite3};
use crate::support::memory::{back_up, run_in};
use crate::support::sqlite::{Shell, World};

fn overwrite() -> RestoreRequest {
    RestoreRequest { overwrite: true, ..RestoreRequest::default() }
}

fn to(path: &Path) -> RestoreRequest {
    RestoreRequest { to: Some(path.display().to_string()), ..RestoreRequest::default() }
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

/// Restores two databases over each other for ever, each time after a commit that lies in the old one's log alone.
async fn restore_for_ever(dir: &Path) {
    let target = dir.join("data/app.db");
    let engine = open("sqlite", &format!("url = \"sqlite:{}\"", target.display()));
    let run = run_in(dir, "shop");
    let mut backups = Vec::new();
    for mark in ["a", "b"] {
        let _ = std::fs::remove_file(&target);
        let sql = format!(
            "PRAGMA journal_mode=WAL; CREATE TABLE mark(m); INSERT INTO mark VALUES ('{mark}'); CREATE TABLE extra(x);
             CREATE TABLE bulk(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300)
             INSERT INTO bulk SELECT randomblob(1000) FROM n;"
        );
        sqlite3(&target, &sql);
        backups.push(back_up(engine.as_ref(), "sqlite", &run).await.unwrap());
    }
    for backup in backups.iter().cycle() {
        let commit = ".dbconfig no_ckpt_on_close on\nINSERT INTO extra VALUES (1);\nSELECT m FROM mark;";
        let mut app = std::process::Command::new("sqlite3");
        let mut app = app.arg(&target).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        app.stdin.take().unwrap().write_all(commit.as_bytes()).unwrap();
        let said = app.wait_with_output().unwrap().stdout;
        let mark = String::from_utf8(said).unwrap().lines().last().unwrap().to_owned();
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(dir.join("journal"))
            .unwrap()
            .write_all(mark.as_bytes())
            .unwrap();
        engine.restore(backup, &overwrite(), &run).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_leaves_one_whole_database_in_place() {
    if let Some(dir) = std::env::var_os("QBACKD_TEST_RESTORE") {
        return restore_for_ever(Path::new(&dir)).await;
    }
    for round in 0..25 {
        let world = World::new();
        let journal = world.dir.path().join("journal");
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engines::sqlite_restore::a_kill_at_any_moment_leaves_one_whole_database_in_place"])
            .env("QBACKD_TEST_RESTORE", world.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // In the middle of the second restore or later: each round a little further into it.
        while std::fs::metadata(&journal).map_or(0, |m| m.len()) < 2 {
            assert!(child.try_wait().unwrap().is_none(), "the restores ended");
        }
        let start = std::time::Instant::now();
        while start.elapsed() < std::time::Duration::from_micros(700 * round) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let committed = std::fs::read_to_string(&journal).unwrap().chars().last().unwrap().to_string();
        let found = sqlite3(
            &world.db,
            "PRAGMA integrity_check; SELECT m FROM mark; SELECT count(*) FROM extra; SELECT count(*) FROM bulk;",
        );
        let other = if committed == "a" { "b" } else { "a" };
        // The old one with its last commit, the new one, or the new one with the next commit.
        let whole =
            [format!("ok\n{committed}\n1\n300\n"), format!("ok\n{other}\n0\n300\n"), format!("ok\n{other}\n1\n300\n")];
        assert!(whole.contains(&found), "round {round}, after a commit to {committed}: {found}");
    }
}
