//! What the history keeps of a database between its runs: conditions, what was due, events, and what is forgotten.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use qbackd::history::{
    Condition, Ending, Entry, EventFilter, Filter, History, Hold, LastDue, NewRun, Pause, PausedBy, StateDir,
};
use qbackd::model::{BackupId, BackupType, Clock, Event, FixedClock, Notice, Outcome, RunId, RunKind};

use super::{CHILD, again, backup_of, name, open};
use crate::support::fixture::sqlite3;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A history with a clock that is moved by hand.
fn held(dir: &Path) -> (History, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::new(at("2026-11-20T02:00:00Z")));
    let state = Arc::new(StateDir::prepare(dir).unwrap());
    (History::open(state, "db1", clock.clone()).unwrap().0, clock)
}

fn ran(history: &History, new: NewRun, outcome: Outcome) -> RunId {
    let id = history.begin(new, None).unwrap();
    history.finish(&id, Ending::new(outcome)).unwrap();
    id
}

fn due(database: &str, due: &str, attempt: u32) -> NewRun {
    NewRun { due: Some(at(due)), attempt: Some(attempt), ..backup_of(database) }
}

#[test]
fn what_a_run_was_due_for_is_known_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let (history, _) = held(&path);
    assert_eq!(history.read().last_due(&name("shop"), Timestamp::MAX).unwrap(), None);
    ran(&history, due("shop", "2026-11-20T01:00:00Z", 1), Outcome::Succeeded);
    let first = ran(&history, due("shop", "2026-11-20T02:00:00Z", 1), Outcome::Failed);
    ran(&history, backup_of("shop"), Outcome::Succeeded);
    let told = |history: &History| history.read().last_due(&name("shop"), Timestamp::MAX).unwrap().unwrap();
    assert_eq!((told(&history).run, told(&history).outcome), (first, Some(Outcome::Failed)));
    let second = history.begin(due("shop", "2026-11-20T02:00:00Z", 2), None).unwrap();
    // An older instant, caught up later, does not hide the newer one.
    ran(&history, due("shop", "2026-11-19T02:00:00Z", 3), Outcome::Succeeded);
    ran(&history, due("blog", "2026-11-18T02:00:00Z", 1), Outcome::Skipped);
    let run = history.read().run(second.as_str()).unwrap();
    assert_eq!((run.due, run.attempt), (Some(at("2026-11-20T02:00:00Z")), Some(2)));
    drop(history);
    let (history, _) = held(&path);
    let expected = LastDue { due: at("2026-11-20T02:00:00Z"), attempt: 2, outcome: None, ended: None, run: second };
    assert_eq!(told(&history), expected);
    let all = history.read().all_last_due(Timestamp::MAX).unwrap();
    assert_eq!((all.len(), &all[&name("shop")]), (2, &expected));
    assert_eq!(all[&name("blog")].outcome, Some(Outcome::Skipped));
}

#[test]
fn what_a_wrong_clock_dated_into_the_future_counts_only_if_there_is_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = held(&dir.path().join("state"));
    for (database, instant) in [
        ("shop", "2026-11-20T02:00:00Z"),
        ("shop", "2036-01-01T02:00:00Z"),
        ("blog", "2036-01-02T02:00:00Z"),
        ("wiki", "2026-11-19T02:00:00Z"),
    ] {
        ran(&history, due(database, instant, 1), Outcome::Succeeded);
    }
    let (reader, believable) = (history.read(), at("2026-11-21T12:00:00Z"));
    let all = reader.all_last_due(believable).unwrap();
    for (database, expected) in
        [("shop", "2026-11-20T02:00:00Z"), ("blog", "2036-01-02T02:00:00Z"), ("wiki", "2026-11-19T02:00:00Z")]
    {
        assert_eq!(all[&name(database)].due, at(expected));
        assert_eq!(reader.last_due(&name(database), believable).unwrap().unwrap().due, at(expected));
    }
    assert_eq!(reader.all_last_due(at("2036-02-01T00:00:00Z")).unwrap()[&name("shop")].due, at("2036-01-01T02:00:00Z"));
}

#[test]
fn a_scheduled_run_that_somebody_cancelled_counts_as_skipped_and_one_that_was_cut_short_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (history, clock) = held(&dir.path().join("state"));
    let told = |history: &History| history.read().last_due(&name("shop"), Timestamp::MAX).unwrap().unwrap().outcome;
    let first = ran(&history, due("shop", "2026-11-20T01:00:00Z", 1), Outcome::Interrupted);
    assert_eq!(told(&history), Some(Outcome::Interrupted));
    history.event(Entry::cancel(clock.now(), &name("shop"), &first, "alice")).unwrap();
    assert_eq!(told(&history), Some(Outcome::Skipped));
    // The next one is another run; and a cancel that came too late changes nothing.
    let second = ran(&history, due("shop", "2026-11-20T02:00:00Z", 1), Outcome::Interrupted);
    assert_eq!(told(&history), Some(Outcome::Interrupted));
    let third = ran(&history, due("shop", "2026-11-20T03:00:00Z", 1), Outcome::Failed);
    history.event(Entry::cancel(clock.now(), &name("shop"), &third, "alice")).unwrap();
    assert_eq!(told(&history), Some(Outcome::Failed));
    assert_eq!(history.read().run(second.as_str()).unwrap().outcome, Some(Outcome::Interrupted));
}

#[test]
fn the_condition_of_a_database_reads_back_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let (history, clock) = held(&path);
    let begun = clock.now();
    history.seen([&name("shop"), &name("blog")]).unwrap();
    clock.step(SignedDuration::from_hours(1));
    history.seen([&name("shop"), &name("wiki")]).unwrap();
    ran(&history, backup_of("late"), Outcome::Succeeded);
    let all = history.read().all_conditions().unwrap();
    let seen: HashMap<_, _> = all.iter().map(|(name, known)| (name.as_str(), known.first_seen)).collect();
    let later = clock.now();
    assert_eq!(seen, HashMap::from([("shop", begun), ("blog", begun), ("wiki", later), ("late", later)]));

    let whole = Condition {
        first_seen: begun,
        failures: 3,
        failing_since: Some(begun),
        pause: Some(Pause {
            at: later,
            by: PausedBy::Operator("alice".into()),
            why: "moving house".into(),
            tables: Some("abc".into()),
        }),
        reminded: Some(later),
        stale_told: Some(begun),
        hold: Some(Hold { since: later, backup: BackupId::new(later, BackupType::Full) }),
        usual_since: Some(begun),
    };
    let written = whole.clone();
    let failures = history
        .amend(&name("shop"), move |known| {
            *known = written;
            known.failures
        })
        .unwrap();
    assert_eq!(failures, 3);
    history
        .amend(&name("new"), |known| {
            known.pause =
                Some(Pause { at: known.first_seen, by: PausedBy::Failures, why: "3 failures".into(), tables: None });
        })
        .unwrap();
    drop(history);
    let (history, _) = held(&path);
    assert_eq!(history.read().condition(&name("shop")).unwrap(), Some(whole));
    let new = history.read().condition(&name("new")).unwrap().unwrap();
    assert_eq!((new.first_seen, new.pause.unwrap().by), (later, PausedBy::Failures));
    assert_eq!(history.read().condition(&name("nobody")).unwrap(), None);
}

#[test]
fn what_people_were_told_is_recorded_of_all_or_of_none_and_changes_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let (history, clock) = held(&path);
    let now = clock.now();
    let known = Condition { stale_told: Some(now), reminded: Some(now), ..Condition::new(now) };
    let tell = |names: [&str; 2]| {
        let stale = |of: &str| Entry::from(&Notice::new(Event::Stale, now, "db1", Some(&name(of)), "silent"));
        history.told(names.map(|of| (name(of), known.clone())).into(), names.map(stale).into())
    };
    let events = || history.read().events(&EventFilter::default(), 10).unwrap().len();
    // Somebody counts a failure meanwhile; of the other nothing was known yet.
    history.amend(&name("shop"), |known| known.failures = 3).unwrap();
    tell(["shop", "blog"]).unwrap();
    assert_eq!(history.read().condition(&name("shop")).unwrap(), Some(Condition { failures: 3, ..known.clone() }));
    assert_eq!(history.read().condition(&name("blog")).unwrap(), Some(known.clone()));
    assert_eq!(events(), 2);

    let refuse =
        "CREATE TRIGGER no BEFORE INSERT ON events WHEN new.database = 'mail' BEGIN SELECT raise(ABORT, 'no'); END";
    sqlite3(&path.join("history.db"), refuse);
    assert!(tell(["wiki", "mail"]).unwrap_err().line().starts_with("cannot record what people were told in "));
    assert_eq!((history.read().condition(&name("wiki")).unwrap(), events()), (None, 2));
}

#[test]
fn two_processes_count_failures_and_none_is_lost() {
    const TIMES: u32 = 50;
    if let Some(dir) = std::env::var_os(CHILD) {
        let (_, history, _) = open(Path::new(&dir));
        (0..TIMES).for_each(|_| history.amend(&name("shop"), |known| known.failures += 1).unwrap());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let test = "databases::two_processes_count_failures_and_none_is_lost";
    let children: Vec<_> = (0..2).map(|_| again(test, &path)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let (_, history, _) = open(&path);
    assert_eq!(history.read().condition(&name("shop")).unwrap().unwrap().failures, 2 * TIMES);
}

#[test]
fn the_newest_runs_are_told_by_type_and_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let (history, clock) = held(&dir.path().join("state"));
    let of = |kind, backup| NewRun { kind, backup: Some(BackupId::new(clock.now(), backup)), ..backup_of("shop") };
    let step = || clock.step(SignedDuration::from_hours(1));
    let full = ran(&history, of(RunKind::Backup, BackupType::Full), Outcome::Succeeded);
    step();
    let incremental = ran(&history, of(RunKind::Backup, BackupType::Incremental), Outcome::Succeeded);
    step();
    let failed = ran(&history, of(RunKind::Backup, BackupType::Full), Outcome::TimedOut);
    step();
    ran(&history, of(RunKind::Backup, BackupType::Full), Outcome::Interrupted);
    let proof = ran(&history, of(RunKind::Verify, BackupType::Full), Outcome::Succeeded);
    step();
    ran(&history, of(RunKind::Verify, BackupType::Full), Outcome::Failed);
    ran(&history, of(RunKind::Delete, BackupType::Full), Outcome::Succeeded);
    ran(&history, backup_of("blog"), Outcome::Failed);
    let newest = history.read().newest(&name("shop")).unwrap();
    let ids = [&newest.full, &newest.incremental, &newest.failed, &newest.proof].map(|run| run.clone().unwrap().id);
    assert_eq!(ids, [full.clone(), incremental, failed, proof]);
    let all = history.read().all_newest().unwrap();
    assert_eq!((all.len(), &all[&name("shop")]), (2, &newest));
    assert!(all[&name("blog")].full.is_none() && all[&name("blog")].failed.is_some());
    let good = history.read().good_backups(&name("shop"), BackupType::Full, clock.now(), 10).unwrap();
    assert_eq!(good.iter().map(|run| &run.id).collect::<Vec<_>>(), [&full]);
    assert_eq!(history.read().good_backups(&name("shop"), BackupType::Full, good[0].started, 10).unwrap(), []);
}

#[test]
fn events_and_actions_read_back_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let (history, clock) = held(&dir.path().join("state"));
    let shop = name("shop");
    let notice = Notice {
        error: Some("connection refused".into()),
        ..Notice::new(Event::Failed, clock.now(), "db1", Some(&shop), "backup failed: connection refused")
    };
    history.event(&notice).unwrap();
    clock.step(SignedDuration::from_hours(1));
    history.event(Entry::action(clock.now(), "pause", Some(&shop), "alice", "paused: moving house")).unwrap();
    history.event(Entry::action(clock.now(), "reload", None, "root", "2 databases added")).unwrap();
    let words = |filter: EventFilter| {
        history.read().events(&filter, 10).unwrap().into_iter().map(|entry| entry.word).collect::<Vec<_>>()
    };
    assert_eq!(words(EventFilter::default()), ["reload", "pause", "failed"]);
    let of_shop = EventFilter { database: Some(shop.clone()), ..EventFilter::default() };
    assert_eq!(words(of_shop.clone()), ["pause", "failed"]);
    assert_eq!(words(EventFilter { since: Some(clock.now()), ..of_shop.clone() }), ["pause"]);
    assert_eq!(words(EventFilter { word: Some("failed".into()), ..EventFilter::default() }), ["failed"]);
    let all = history.read().events(&of_shop, 10).unwrap();
    assert_eq!((all[0].who.as_deref(), &all[0].notice), (Some("alice"), &None));
    assert_eq!((all[1].who.as_deref(), all[1].at, all[1].text.as_str()), (None, notice.at, notice.text.as_str()));
    assert_eq!(all[1].notice.as_ref().unwrap()["error"], "connection refused");
}

#[test]
fn what_is_old_is_forgotten_but_not_what_tells_where_a_database_stands() {
    let dir = tempfile::tempdir().unwrap();
    let (history, clock) = held(&dir.path().join("state"));
    for _ in 0..600 {
        ran(&history, backup_of("shop"), Outcome::Succeeded);
        clock.step(SignedDuration::from_secs(1));
    }
    let of = |kind| NewRun { kind, ..backup_of("shop") };
    ran(&history, of(RunKind::Verify), Outcome::Succeeded);
    clock.step(SignedDuration::from_secs(1));
    let mut kept = vec![
        ran(&history, backup_of("shop"), Outcome::Succeeded),
        ran(&history, of(RunKind::Verify), Outcome::Succeeded),
        ran(&history, due("shop", "2026-11-20T02:00:00Z", 1), Outcome::Failed),
        history.begin(backup_of("shop"), None).unwrap(),
    ];
    let gone = ran(&history, backup_of("blog"), Outcome::Failed);
    history.line(&gone, qbackd::history::Level::Info, "hello");
    history.event(Entry::action(clock.now(), "pause", None, "alice", "old")).unwrap();
    clock.step(SignedDuration::from_hours(24));
    let limit = clock.now();
    kept.push(ran(&history, backup_of("blog"), Outcome::Failed));
    history.event(Entry::action(clock.now(), "resume", None, "alice", "young")).unwrap();

    assert_eq!(history.forget_before(limit).unwrap(), 602);
    let mut left: Vec<_> =
        history.read().recent(&Filter::default(), 1000).unwrap().into_iter().map(|run| run.id).collect();
    left.sort();
    kept.sort();
    assert_eq!(left, kept);
    assert_eq!(history.read().lines(&gone, 0).unwrap(), []);
    let words: Vec<_> =
        history.read().events(&EventFilter::default(), 10).unwrap().into_iter().map(|entry| entry.word).collect();
    assert_eq!(words, ["resume"]);
    assert_eq!(history.forget_before(limit).unwrap(), 0);
}
