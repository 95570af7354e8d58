//! The file itself: older and newer versions, strangers, damage.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use qbackd::error::Kind;
use qbackd::history::{Ending, Filter, Level, Phase, Reader, StateDir};
use qbackd::model::Outcome;
use rusqlite::Connection;

use super::{CHILD, backup_of, open, refused};

#[test]
fn start_and_end_of_a_run_are_on_the_disk_before_anybody_goes_on() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let (_, history, _) = open(Path::new(&dir));
        // What stands on stderr stands in the trace too, between the calls before and after it.
        eprintln!("begin");
        let id = history.begin(backup_of("shop"), None).unwrap();
        eprintln!("line");
        history.line(&id, Level::Info, "hello");
        eprintln!("finish");
        history.finish(&id, Ending::new(Outcome::Succeeded)).unwrap();
        eprintln!("done");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let traced = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=write,fsync,fdatasync", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "history::file::start_and_end_of_a_run_are_on_the_disk_before_anybody_goes_on",
            "--nocapture",
        ])
        .env(CHILD, dir.path().join("state"))
        .output()
        .unwrap();
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stderr));
    let trace = std::fs::read_to_string(trace).unwrap();
    let between = |from: &str, to: &str| {
        let at = |word: &str| trace.find(&format!("\"{word}\\n\"")).unwrap_or_else(|| panic!("no {word} in {trace}"));
        let part = &trace[at(from)..at(to)];
        part.lines().filter(|call| call.contains("sync(") && call.contains("history.db-wal")).count()
    };
    assert_eq!((between("begin", "line"), between("finish", "done")), (1, 1), "{trace}");
}

/// A history as version 1 wrote it.
fn version_1(dir: &Path) -> Connection {
    std::fs::create_dir(dir).unwrap();
    let db = Connection::open(dir.join("history.db")).unwrap();
    db.execute_batch(include_str!("../fixtures/history-1.sql")).unwrap();
    db
}

#[test]
fn a_history_of_version_1_is_brought_up_to_date_with_its_runs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    drop(version_1(&path));
    let (_, history, damage) = open(&path);
    assert_eq!(damage, None);
    let runs = history.read().recent(&Filter::default(), 10).unwrap();
    let ended: Vec<_> = runs.iter().map(|run| (run.database.as_str(), run.outcome)).collect();
    assert_eq!(ended, [("blog", None), ("shop", Some(Outcome::Succeeded))]);
    assert_eq!(runs[1].phases, [Phase { phase: "dump".into(), ms: 40 }]);
    assert_eq!(history.recover(None).unwrap()[0].database.as_str(), "blog");
    let id = history.begin(backup_of("shop"), None).unwrap();
    history.line(&id, Level::Info, "hello");
    history.finish(&id, Ending::new(Outcome::Succeeded)).unwrap();
    assert_eq!(history.read().lines(&id, 0).unwrap()[0].text, "hello");
}

#[test]
fn a_migration_that_fails_leaves_the_version_it_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let db = version_1(&path);
    db.execute_batch("CREATE TABLE lines (mine TEXT); INSERT INTO lines VALUES ('keep')").unwrap();
    let error = refused(&path);
    assert!(error.line().contains("to version 2") && error.line().contains("already exists"), "{error}");
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let kept: String = db.query_row("SELECT mine FROM lines", [], |row| row.get(0)).unwrap();
    assert_eq!((version, kept.as_str()), (1, "keep"));
}

#[test]
fn what_is_not_our_history_is_refused_and_never_touched() {
    for (sql, expected) in [
        ("PRAGMA user_version = 99; PRAGMA application_id = 1902275428;", "was written by a newer qbackd"),
        ("CREATE TABLE accounts (id); PRAGMA user_version = 1;", "is not a history of qbackd"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        std::fs::create_dir(&path).unwrap();
        let file = path.join("history.db");
        let db = Connection::open(&file).unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        let before = std::fs::read(&file).unwrap();
        let error = refused(&path);
        assert!(error.line().contains(expected), "{error}");
        assert!(error.remedy().is_some());
        assert_eq!(std::fs::read(&file).unwrap(), before);
        let reading = Reader::open(&StateDir::open(&path).unwrap()).unwrap_err();
        assert!(reading.line().contains(expected), "{reading}");
    }
}

/// A state directory whose history holds some runs.
fn with_runs(path: &Path) {
    let (_, history, _) = open(path);
    for _ in 0..20 {
        let id = history.begin(backup_of("shop"), None).unwrap();
        history.line(&id, Level::Info, "x".repeat(2000));
        history.finish(&id, Ending::new(Outcome::Succeeded)).unwrap();
    }
}

#[test]
fn a_damaged_history_is_moved_aside_whole_and_a_new_one_begun() {
    type Spoil = fn(&Path);
    let ways: [(&str, Spoil); 4] = [
        ("not a database", |file| std::fs::write(file, "this is a letter, not a database\n".repeat(99)).unwrap()),
        ("wrong magic", |file| edit(file, 0, b"SQLite format 4\0")),
        ("cut short", |file| std::fs::File::options().write(true).open(file).unwrap().set_len(9000).unwrap()),
        ("a page overwritten", |file| edit(file, 2 * 4096, &[0xff; 4096])),
    ];
    for (way, spoil) in ways {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        with_runs(&path);
        let file = path.join("history.db");
        spoil(&file);
        std::fs::write(path.join("history.db-wal"), "old").unwrap();
        let spoiled = std::fs::read(&file).unwrap();

        let (_, history, damage) = open(&path);
        let damage = damage.unwrap_or_else(|| panic!("{way}: the damage was not noticed"));
        assert_eq!(std::fs::read(&damage.moved_to).unwrap(), spoiled, "{way}");
        let moved = damage.moved_to.to_str().unwrap();
        assert!(moved.contains("/history.db.damaged-20"), "{moved}");
        assert_eq!(std::fs::read(format!("{moved}-wal")).unwrap(), b"old", "{way}");
        assert!(!damage.why.is_empty());
        assert_eq!(history.read().recent(&Filter::default(), 50).unwrap(), [], "{way}");
        let id = history.begin(backup_of("shop"), None).unwrap();
        history.finish(&id, Ending::new(Outcome::Succeeded)).unwrap();
        drop(history);
        assert_eq!(open(&path).2, None, "{way}: the new history is damaged too");
    }
}

#[test]
fn who_closes_the_history_leaves_one_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let (_, history, _) = open(&path);
    let id = history.begin(backup_of("shop"), None).unwrap();
    history.finish(&id, Ending::new(Outcome::Succeeded)).unwrap();
    assert_eq!(history.read().recent(&Filter::default(), 50).unwrap().len(), 1);
    assert!(path.join("history.db-wal").exists());
    drop(history);
    assert!(!path.join("history.db-wal").exists());
}

fn edit(file: &Path, at: u64, bytes: &[u8]) {
    std::fs::File::options().write(true).open(file).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn a_damaged_history_that_is_in_use_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    with_runs(&path);
    let (_, _user, _) = open(&path);
    edit(&path.join("history.db"), 0, b"SQLite format 4\0");
    let error = refused(&path);
    assert_eq!(error.kind(), Kind::TryAgain, "{error}");
    let names: Vec<_> = std::fs::read_dir(&path).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(!names.iter().any(|n| n.to_string_lossy().contains("damaged")), "{names:?}");
}

#[test]
fn damage_met_in_a_large_history_has_the_next_opening_read_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let (_, history, _) = open(&path);
    let id = history.begin(backup_of("shop"), None).unwrap();
    (0..600).for_each(|_| history.line(&id, Level::Info, "x".repeat(10_000)));
    history.finish(&id, Ending::new(Outcome::Succeeded)).unwrap();
    drop(history);
    let file = path.join("history.db");
    assert!(std::fs::metadata(&file).unwrap().len() > 5 << 20);
    // Every page but the first few, which hold the schema and the run.
    edit(&file, 16 * 4096, &vec![0xff; 4 << 20]);

    let (_, history, damage) = open(&path);
    assert_eq!(damage, None, "a large file is read whole at every opening");
    history.read().lines(&id, 0).unwrap_err();
    drop(history);
    let (_, _, damage) = open(&path);
    assert!(damage.is_some(), "the damage that was met is forgotten");
    assert_eq!(open(&path).2, None);
}
