//! The history file: migrations, one writer, dead runs, damage.

mod databases;
mod file;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use qbackd::error::{Error, Kind};
use qbackd::history::{Damage, Ending, Filter, History, Level, Lock, NewRun, Phase, Reader, StateDir, lock};
use qbackd::model::{BackupId, BackupType, Clock, Name, Outcome, RunId, RunKind, SystemClock};

/// Names the state directory to a test that plays its own second process.
const CHILD: &str = "QBACKD_TEST_CHILD";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn open(dir: &Path) -> (Arc<StateDir>, History, Option<Damage>) {
    let state = Arc::new(StateDir::prepare(dir).unwrap());
    let (history, damage) = History::open(state.clone(), "db1", Arc::new(SystemClock)).unwrap();
    (state, history, damage)
}

fn refused(dir: &Path) -> Error {
    let state = Arc::new(StateDir::prepare(dir).unwrap());
    match History::open(state, "db1", Arc::new(SystemClock)) {
        Ok(_) => panic!("the history in {} was opened", dir.display()),
        Err(error) => error,
    }
}

fn backup_of(database: &str) -> NewRun {
    NewRun {
        id: None,
        kind: RunKind::Backup,
        database: name(database),
        destinations: vec!["local".into()],
        backup: Some(BackupId::new(SystemClock.now(), BackupType::Full)),
        initiated_by: "a test".into(),
        due: None,
        attempt: None,
    }
}

fn take(state: &StateDir, database: &str) -> Lock {
    lock::try_lock(state, &name(database)).unwrap().expect("the lock is free")
}

/// This test once more in a process of its own, as its second part.
fn again(test: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("history::{test}"), "--nocapture"])
        .env(CHILD, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_run_reads_back_as_it_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let (state, history, damage) = open(&dir.path().join("state"));
    assert_eq!(damage, None);
    let held = take(&state, "shop");
    let new = backup_of("shop");
    let id = history.begin(new.clone(), Some(&held)).unwrap();
    assert!(id.as_str().contains("-db1-"), "{id}");
    let begun = history.read().run(id.as_str()).unwrap();
    assert_eq!((begun.outcome, begun.ended, &begun.backup), (None, None, &new.backup));
    history.line(&id, Level::Info, "84 tables");
    history.line(&id, Level::Warning, "`tmp` vanished");
    let ending = Ending {
        plain_bytes: Some(1 << 40),
        stored_bytes: Some(7),
        tables: Some(84),
        rows: Some(12_402),
        notes: vec!["copy to offsite failed".into()],
        phases: vec![Phase { phase: "dump".into(), ms: 1200 }, Phase { phase: "publish".into(), ms: 3 }],
        ..Ending::new(Outcome::Succeeded)
    };
    history.finish(&id, ending.clone()).unwrap();
    let run = history.read().run(&id.as_str()[..20]).unwrap();
    assert_eq!((run.id.clone(), run.kind, run.database.as_str()), (id.clone(), RunKind::Backup, "shop"));
    assert_eq!((run.destinations, run.backup), (new.destinations, new.backup));
    assert_eq!((run.outcome, run.error, run.hint), (Some(Outcome::Succeeded), None, None));
    assert_eq!((run.plain_bytes, run.stored_bytes), (Some(1 << 40), Some(7)));
    assert_eq!((run.tables, run.rows, run.notes, run.phases), (Some(84), Some(12_402), ending.notes, ending.phases));
    assert!(run.ended.unwrap() >= run.started);
    let lines = history.read().lines(&id, 0).unwrap();
    let lines: Vec<_> = lines.iter().map(|line| (line.number, line.level, line.text.as_str())).collect();
    assert_eq!(lines, [(1, Level::Info, "84 tables"), (2, Level::Warning, "`tmp` vanished")]);
    assert_eq!(history.read().lines(&id, 1).unwrap().len(), 1);

    let twice = history.finish(&id, Ending::new(Outcome::Failed)).unwrap_err();
    assert!(twice.line().contains("has an end already"), "{twice}");
    assert_eq!(history.read().run(id.as_str()).unwrap().outcome, Some(Outcome::Succeeded));
}

#[test]
fn a_failed_run_keeps_its_error_and_its_hint() {
    let dir = tempfile::tempdir().unwrap();
    let (_, history, _) = open(&dir.path().join("state"));
    let outcome = |kind| {
        let id = history.begin(backup_of("shop"), None).unwrap();
        let error = Error::new(kind, "cannot dump shop").because("no such host").hint("check the url");
        history.finish(&id, Ending::of(&error)).unwrap();
        let run = history.read().run(id.as_str()).unwrap();
        assert_eq!(run.error.as_deref(), Some("cannot dump shop: no such host"));
        assert_eq!(run.hint.as_deref(), Some("check the url"));
        run.outcome.unwrap()
    };
    assert_eq!(outcome(Kind::Unavailable), Outcome::Failed);
    assert_eq!(outcome(Kind::TimedOut), Outcome::TimedOut);
    assert_eq!(outcome(Kind::Interrupted), Outcome::Interrupted);
}

#[test]
fn runs_are_listed_newest_first_and_found_by_a_unique_prefix_only() {
    let dir = tempfile::tempdir().unwrap();
    let (_, history, _) = open(&dir.path().join("state"));
    let ids: Vec<RunId> =
        ["shop", "blog", "shop"].iter().map(|db| history.begin(backup_of(db), None).unwrap()).collect();
    let listed = |filter: &Filter, limit| {
        history.read().recent(filter, limit).unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(&Filter::default(), 50), [ids[2].clone(), ids[1].clone(), ids[0].clone()]);
    assert_eq!(listed(&Filter::default(), 1), [ids[2].clone()]);
    assert_eq!(listed(&Filter { database: Some(name("shop")) }, 50), [ids[2].clone(), ids[0].clone()]);
    let error = |prefix: &str| history.read().run(prefix).unwrap_err();
    assert_eq!(error("2").line(), "more than one run begins with `2`");
    assert_eq!(error("%").line(), "no run begins with `%`");
    assert_eq!(error("%").kind(), Kind::NotFound);
}

#[test]
fn two_processes_write_at_once_and_nothing_is_lost() {
    const RUNS: usize = 40;
    if let Some(dir) = std::env::var_os(CHILD) {
        let (_, history, _) = open(Path::new(&dir));
        for _ in 0..RUNS {
            let id = history.begin(backup_of("shop"), None).unwrap();
            (0..3).for_each(|n| history.line(&id, Level::Info, format!("line {n}")));
            history.finish(&id, Ending::new(Outcome::Succeeded)).unwrap();
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let children: Vec<_> = (0..2).map(|_| again("two_processes_write_at_once_and_nothing_is_lost", &path)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let reader = Reader::open(&StateDir::open(&path).unwrap()).unwrap().unwrap();
    let runs = reader.recent(&Filter::default(), 1000).unwrap();
    assert_eq!(runs.len(), 2 * RUNS);
    for run in runs {
        assert_eq!(run.outcome, Some(Outcome::Succeeded), "{}", run.id);
        let lines: Vec<_> = reader.lines(&run.id, 0).unwrap().into_iter().map(|line| line.text).collect();
        assert_eq!(lines, ["line 0", "line 1", "line 2"]);
    }
    assert_eq!(std::fs::read_dir(path.join("lock")).unwrap().count(), 0, "locks of ended runs are left");
}

#[test]
fn a_run_whose_process_was_killed_becomes_interrupted() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let (state, history, _) = open(Path::new(&dir));
        let held = take(&state, "shop");
        let backup = history.begin(backup_of("shop"), Some(&held)).unwrap();
        let verify = history.begin(NewRun { kind: RunKind::Verify, ..backup_of("shop") }, None).unwrap();
        println!("begun {backup} {verify}");
        std::io::stdout().flush().unwrap();
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let (state, history, _) = open(&path);
    let mut child = again("a_run_whose_process_was_killed_becomes_interrupted", &path);
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let begun = said.find(|line| line.starts_with("begun ")).unwrap();
    let ids: Vec<_> = begun.split(' ').skip(1).map(RunId::from_text).collect();

    // As long as it lives nobody else runs the database, and its runs are nobody's to end.
    assert!(lock::try_lock(&state, &name("shop")).unwrap().is_none());
    let busy = lock::busy(&state, &name("shop"));
    let holder = format!("(pid {}, run {})", child.id(), ids[0]);
    assert!(busy.kind() == Kind::TryAgain && busy.line().contains(&holder), "{busy}");
    let running = history.read().running().unwrap();
    assert_eq!(running.len(), 2);
    assert!(running.iter().all(|run| history.read().alive(&state, run).unwrap()));
    assert_eq!(history.recover(None).unwrap(), []);

    child.kill().unwrap();
    child.wait().unwrap();
    let running = history.read().running().unwrap();
    assert!(running.iter().all(|run| !history.read().alive(&state, run).unwrap()));

    // The next backup of shop takes its lock first, then ends what died with it.
    let held = take(&state, "shop");
    let dead = history.recover(Some(&held)).unwrap();
    let mut recovered: Vec<_> = dead.iter().map(|run| run.id.clone()).collect();
    recovered.sort();
    let mut expected = ids;
    expected.sort();
    assert_eq!(recovered, expected);
    assert!(dead.iter().all(|run| run.backup.is_some() && run.outcome == Some(Outcome::Interrupted)));
    assert!(dead[0].error.as_deref().unwrap().contains("ended without a word"), "{:?}", dead[0].error);
    assert_eq!(history.recover(Some(&held)).unwrap(), []);
    let left: Vec<_> = std::fs::read_dir(path.join("lock")).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left, ["shop"]);
}

#[test]
fn a_living_run_of_this_process_is_never_taken_for_dead() {
    let dir = tempfile::tempdir().unwrap();
    let (state, history, _) = open(&dir.path().join("state"));
    let held = take(&state, "shop");
    let id = history.begin(backup_of("shop"), Some(&held)).unwrap();
    assert_eq!(history.recover(Some(&held)).unwrap(), []);
    assert_eq!(history.recover(None).unwrap(), []);
    history.finish(&id, Ending::new(Outcome::Succeeded)).unwrap();
    drop(held);
    assert!(lock::try_lock(&state, &name("shop")).unwrap().is_some());
}

#[test]
fn what_root_makes_belongs_to_the_owner_of_the_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    std::fs::create_dir(&path).unwrap();
    // Without root there is only one owner it can be.
    let own = std::fs::metadata(&path).unwrap().uid();
    let owner = if own == 0 { 12_345 } else { own };
    chown(&path, Some(owner), None).unwrap();
    let (state, history, _) = open(&path);
    let held = take(&state, "shop");
    let id = history.begin(backup_of("shop"), Some(&held)).unwrap();
    history.begin(backup_of("blog"), None).unwrap();
    for file in ["history.db", "history.db-wal", "history.db-shm", "history.db.lock", "lock", "lock/shop"] {
        let meta = std::fs::metadata(path.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let mode = if meta.is_dir() { 0o750 } else { 0o640 };
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (owner, mode), "{file}");
    }
    history.finish(&id, Ending::new(Outcome::Succeeded)).unwrap();
}

#[test]
fn a_history_that_was_never_written_reads_as_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::prepare(&dir.path().join("state")).unwrap();
    assert!(Reader::open(&state).unwrap().is_none());
    std::fs::write(state.path().join("history.db"), "").unwrap();
    assert!(Reader::open(&state).unwrap().is_none());
}
