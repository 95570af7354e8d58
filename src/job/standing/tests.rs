//! States, silence and reminders.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::options::DatabaseOptions;
use crate::engine::{SourceOptions, registry};
use crate::history::{Hold, Pause as Paused};
use crate::model::Outcome;

fn start() -> Timestamp {
    "2026-11-20T02:00:00Z".parse().unwrap()
}

fn after(hours: i64) -> Timestamp {
    start() + SignedDuration::from_hours(hours)
}

fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

fn database(policy: Policy) -> Database {
    Database {
        name: "shop".parse().unwrap(),
        engine: registry::by_name("command").unwrap(),
        source: SourceOptions::default(),
        options: DatabaseOptions::default(),
        policy: Arc::new(policy),
    }
}

fn enabled() -> Database {
    database(Policy::default())
}

fn facts() -> Facts {
    Facts { condition: Condition::new(start()), newest: Newest::default(), running: None, stale_after: Some(hours(48)) }
}

fn with_backup(at: Timestamp) -> Newest {
    Newest { full: Some(Run::example(at, Outcome::Succeeded)), ..Newest::default() }
}

fn paused(by: PausedBy) -> Option<Paused> {
    Some(Paused { at: start(), by, why: "3 failures".into(), tables: Some("t".into()) })
}

#[test]
fn the_state_is_the_first_of_the_table_that_is_so() {
    let (shop, off) = (enabled(), database(Policy { enabled: false, ..Policy::default() }));
    let new = facts();
    let good = Facts { newest: with_backup(start()), ..facts() };
    let failing = Facts { condition: Condition { failures: 1, ..Condition::new(start()) }, ..good.clone() };
    let by_failures = Condition { pause: paused(PausedBy::Failures), ..failing.condition.clone() };
    let halted = Facts { condition: by_failures, ..good.clone() };
    let by_hand = Condition { pause: paused(PausedBy::Operator("alice".into())), ..Condition::new(start()) };
    let held = Facts { condition: by_hand, ..good.clone() };
    for (database, facts, state, degraded) in [
        (Some(&shop), &new, State::Validating, false),
        (Some(&shop), &good, State::Active, false),
        (Some(&shop), &failing, State::Failing, true),
        (Some(&shop), &halted, State::Paused, true),
        (Some(&shop), &held, State::Paused, true),
        (Some(&off), &halted, State::Disabled, false),
        (None, &halted, State::Detached, false),
    ] {
        let told = standing(&shop.name, database, facts, Some(after(2)), after(1));
        assert_eq!((told.state, told.degraded()), (state, degraded));
        // What is paused, disabled or gone has no next run, whatever its calendar says.
        let runs = matches!(state, State::Validating | State::Active | State::Failing);
        assert_eq!(told.next.is_some(), runs, "{state}");
    }
}

#[test]
fn a_suspicious_backup_is_shown_and_degrades() {
    let hold = Hold { since: start(), backup: crate::model::BackupId::new(start(), crate::model::BackupType::Full) };
    let mut known = Facts { newest: with_backup(start()), ..facts() };
    known.condition.hold = Some(hold.clone());
    let told = standing(&enabled().name, Some(&enabled()), &known, None, after(1));
    assert_eq!(told.suspicious, Some(Suspicion { backup: hold.backup, since: start() }));
    assert!(told.degraded() && told.state == State::Active);
}

#[test]
fn it_is_stale_without_a_success_for_too_long_also_when_nothing_ever_ran() {
    let stale = |last, hours_later, limit| is_stale(start(), last, limit, after(hours_later));
    assert!(!stale(None, 48, Some(hours(48))));
    assert!(stale(None, 49, Some(hours(48))));
    assert!(!stale(Some(after(10)), 49, Some(hours(48))));
    assert!(stale(Some(after(10)), 59, Some(hours(48))));
    assert!(!stale(None, 100_000, None), "nobody waits for it");
}

#[test]
fn stale_after_is_what_was_said_or_one_and_a_half_gaps_or_two_days() {
    let daily = || vec!["02:00".parse().unwrap()];
    let weekly = Some(hours(7 * 24));
    let scheduled = Policy { full: daily(), ..Policy::default() };
    assert_eq!(stale_after(&scheduled, Some(hours(24))), Some(hours(48)));
    assert_eq!(stale_after(&scheduled, weekly), Some(hours(252)));
    assert_eq!(stale_after(&scheduled, None), Some(hours(48)));
    assert_eq!(stale_after(&Policy::default(), None), None, "by hand only");
    let said = Policy { full: daily(), stale_after: Some(Timespan(hours(3))), ..Policy::default() };
    assert_eq!(stale_after(&said, weekly), Some(hours(3)));
}

/// What is told when it is looked at every hour, with the hour.
fn told(
    condition: &mut Condition,
    database: &Database,
    last: Option<Timestamp>,
    from: i64,
    to: i64,
) -> Vec<(i64, Event)> {
    let mut all = Vec::new();
    for hour in from..to {
        let limit = Some(hours(48));
        all.extend(look(condition, database, last, limit, "db1", after(hour)).into_iter().map(|n| (hour, n.event)));
    }
    all
}

#[test]
fn a_stale_database_alarms_once_then_daily_and_is_quiet_after_a_success() {
    let (shop, mut known) = (enabled(), Condition::new(start()));
    let stale = |hour| (hour, Event::Stale);
    assert_eq!(told(&mut known, &shop, None, 0, 100), [stale(49), stale(73), stale(97)]);
    assert_eq!(told(&mut known, &shop, Some(after(100)), 100, 149), []);
    assert_eq!(known.stale_told, None);
    assert_eq!(told(&mut known, &shop, Some(after(100)), 149, 160), [stale(149)], "a new silence is a new alarm");
    let off = database(Policy { enabled: false, ..Policy::default() });
    assert_eq!(told(&mut Condition::new(start()), &off, None, 0, 200), []);
}

#[test]
fn a_clock_that_was_set_back_silences_no_alarm() {
    let (shop, mut known) = (enabled(), Condition::new(start()));
    known.stale_told = Some(after(50_000));
    assert_eq!(told(&mut known, &shop, None, 60, 62), [(60, Event::Stale)]);
}

#[test]
fn a_pause_by_failures_is_called_to_mind_daily_an_operators_is_not() {
    let (shop, last) = (enabled(), Some(after(0)));
    let mut known = Condition { pause: paused(PausedBy::Failures), reminded: Some(start()), ..Condition::new(start()) };
    assert_eq!(told(&mut known, &shop, last, 0, 48), [(24, Event::Paused)]);
    let operator = paused(PausedBy::Operator("alice".into()));
    let mut known = Condition { pause: operator, ..Condition::new(start()) };
    assert_eq!(told(&mut known, &shop, last, 0, 48), []);
}

#[test]
fn any_edit_of_the_tables_changes_their_fingerprint_and_nothing_else_does() {
    let before = fingerprint(&enabled());
    assert_eq!(before, fingerprint(&enabled()));
    let mut other = enabled();
    other.source.files = vec!["/srv".into()];
    assert_ne!(before, fingerprint(&other));
    assert_ne!(before, fingerprint(&database(Policy { pause_after: 4, ..Policy::default() })));
}

proptest! {
    #[test]
    fn however_often_it_is_looked_at_nothing_is_told_twice_within_a_day(
        steps in prop::collection::vec(1i64..100_000, 1..60),
    ) {
        let (shop, mut known, mut now, mut last) = (enabled(), Condition::new(start()), start(), None);
        known.pause = paused(PausedBy::Failures);
        for step in steps {
            now += SignedDuration::from_secs(step);
            let notices = look(&mut known, &shop, None, Some(hours(48)), "db1", now);
            for notice in notices.iter().filter(|notice| notice.event == Event::Stale) {
                prop_assert!(now.duration_since(start()) > SignedDuration::from_hours(48));
                prop_assert!(last.is_none_or(|last| now.duration_since(last) >= REMIND));
                last = Some(notice.at);
            }
            // And nothing that is stale stays untold.
            let silent = now.duration_since(start()) > SignedDuration::from_hours(48);
            prop_assert_eq!(last.is_some_and(|last| now.duration_since(last) < REMIND), silent);
        }
    }
}
