//! What a run that ended changes.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::job::standing::edited;

fn start() -> Timestamp {
    "2026-11-20T02:00:00Z".parse().unwrap()
}

/// A database whose backups end one after the other, an hour apart.
struct Story {
    condition: Condition,
    now: Timestamp,
    pause_after: u32,
    good: Vec<Run>,
}

impl Story {
    fn new(pause_after: u32) -> Self {
        Self { condition: Condition::new(start()), now: start(), pause_after, good: Vec::new() }
    }

    fn run(&mut self, outcome: Outcome) -> Run {
        self.now += SignedDuration::from_hours(1);
        Run::example(self.now, outcome)
    }

    fn ended(&mut self, run: Run, again: bool) -> Vec<Event> {
        let limit = measure(&self.condition, run.started);
        let before = self.good.iter().rev().filter(|one| one.started < limit).take(USUAL).cloned().collect();
        let rules = Rules { pause_after: self.pause_after, tables: "t1".into(), host: "db1".into(), again, before };
        let told = after_run(&mut self.condition, &run, &rules, self.now);
        assert!(told.iter().all(|notice| notice.run.as_ref() == Some(&run.id) && notice.host == "db1"));
        if run.outcome == Some(Outcome::Succeeded) {
            self.good.push(run);
        }
        told.into_iter().map(|notice| notice.event).collect()
    }

    fn ends(&mut self, outcome: Outcome) -> Vec<Event> {
        let run = self.run(outcome);
        self.ended(run, false)
    }

    fn sized(&mut self, bytes: u64, tables: u64) -> Vec<Event> {
        let mut run = self.run(Outcome::Succeeded);
        (run.plain_bytes, run.tables) = (Some(bytes), Some(tables));
        self.ended(run, false)
    }
}

#[test]
fn the_third_failure_in_a_row_pauses_and_the_first_success_recovers() {
    let mut story = Story::new(3);
    assert_eq!(story.ends(Outcome::Succeeded), [Event::Succeeded]);
    assert_eq!(story.ends(Outcome::Failed), [Event::Failed]);
    assert_eq!(story.ends(Outcome::TimedOut), [Event::Failed]);
    assert_eq!(story.ends(Outcome::Failed), [Event::Failed, Event::Paused]);
    let pause = story.condition.pause.clone().unwrap();
    assert_eq!((pause.by, pause.at, pause.tables.as_deref()), (PausedBy::Failures, story.now, Some("t1")));
    assert_eq!(pause.why, "3 failures, the last: connection refused");
    // One that was started by hand meanwhile.
    assert_eq!(story.ends(Outcome::Failed), [Event::Failed], "nobody is told twice that it is paused");
    assert_eq!(story.ends(Outcome::Succeeded), [Event::Recovered, Event::Succeeded]);
    assert_eq!((story.condition.failures, story.condition.failing_since, &story.condition.pause), (0, None, &None));
    assert_eq!(story.ends(Outcome::Succeeded), [Event::Succeeded]);
}

#[test]
fn a_failure_tells_what_went_wrong_without_repeating_the_database() {
    let run = Run::example(start(), Outcome::TimedOut);
    let rules = Rules { pause_after: 0, tables: String::new(), host: "db1".into(), again: false, before: Vec::new() };
    let told = after_run(&mut Condition::new(start()), &run, &rules, start());
    assert_eq!(told[0].text, "backup timed out: connection refused");
    assert_eq!((told[0].error.as_deref(), told[0].backup.as_ref()), (Some("connection refused"), None));
    assert_eq!(told[0].database.as_ref().map(Name::as_str), Some("shop"));
}

#[test]
fn a_run_that_will_be_tried_again_is_no_failure_yet() {
    let mut story = Story::new(1);
    let run = story.run(Outcome::Failed);
    assert_eq!(story.ended(run, true), []);
    assert_eq!(story.condition, Condition::new(start()));
    assert_eq!(story.ends(Outcome::Succeeded), [Event::Succeeded], "nothing had failed");
}

#[test]
fn other_kinds_of_runs_count_for_nothing() {
    let mut story = Story::new(1);
    for kind in [RunKind::Copy, RunKind::Restore, RunKind::Verify, RunKind::Prune, RunKind::Delete, RunKind::Drill] {
        for outcome in [Outcome::Failed, Outcome::Succeeded] {
            let mut run = story.run(outcome);
            run.kind = kind;
            assert_eq!(story.ended(run, false), []);
        }
    }
    assert_eq!(story.condition, Condition::new(start()));
}

#[test]
fn an_operators_pause_outlives_a_success_and_failures_and_an_edit() {
    let mut story = Story::new(2);
    let by = PausedBy::Operator("alice".into());
    let pause = Pause { at: start(), by, why: "moving".into(), tables: None };
    story.condition.pause = Some(pause.clone());
    for outcome in [Outcome::Succeeded, Outcome::Failed, Outcome::Failed, Outcome::Failed] {
        assert!(!story.ends(outcome).contains(&Event::Paused));
    }
    assert!(!edited(&mut story.condition, "t2"));
    assert_eq!((story.condition.pause.as_ref(), story.condition.failures), (Some(&pause), 3));
}

#[test]
fn an_edit_of_the_tables_ends_a_pause_by_failures_and_nothing_else_does() {
    let mut story = Story::new(1);
    story.ends(Outcome::Failed);
    assert!(!edited(&mut story.condition, "t1"), "nothing was edited");
    assert!(story.condition.pause.is_some());
    assert!(edited(&mut story.condition, "t2"));
    assert_eq!((story.condition.failures, &story.condition.pause), (0, &None));
    assert!(!edited(&mut story.condition, "t3"));
}

const MIB: u64 = 1 << 20;

#[test]
fn a_backup_of_less_than_half_the_usual_size_is_suspicious_until_one_is_normal() {
    let mut story = Story::new(3);
    for size in [90, 100, 110] {
        assert_eq!(story.sized(size * MIB, 84), [Event::Succeeded]);
    }
    assert_eq!(story.sized(50 * MIB, 84), [Event::Succeeded], "half is not less than half");
    assert_eq!(story.sized(40 * MIB, 84), [Event::Succeeded, Event::SuspiciousSize]);
    let hold = story.condition.hold.clone().unwrap();
    assert_eq!(Some(&hold.backup), story.good.last().unwrap().backup.as_ref());
    // However long it stays small it does not become the measure; the hold is that of the first one.
    for _ in 0..2 * USUAL {
        assert_eq!(story.sized(40 * MIB, 84), [Event::Succeeded, Event::SuspiciousSize]);
        assert_eq!(story.condition.hold, Some(hold.clone()));
    }
    assert_eq!(story.sized(95 * MIB, 84), [Event::Succeeded]);
    assert_eq!(story.condition.hold, None);
}

#[test]
fn losing_more_than_half_of_the_tables_is_suspicious_whatever_the_size() {
    let mut story = Story::new(3);
    (0..3).for_each(|_| drop(story.sized(100 * MIB, 84)));
    assert_eq!(story.sized(100 * MIB, 42), [Event::Succeeded]);
    assert_eq!(story.sized(100 * MIB, 41), [Event::Succeeded, Event::SuspiciousSize]);
    assert!(story.condition.hold.is_some());
}

#[test]
fn without_three_good_backups_before_it_nothing_is_suspicious() {
    let mut story = Story::new(3);
    for size in [100, 1, 40] {
        assert_eq!(story.sized(size * MIB, 84), [Event::Succeeded]);
    }
}

#[test]
fn a_size_that_was_accepted_is_the_usual_one_from_then_on() {
    let mut story = Story::new(3);
    (0..5).for_each(|_| drop(story.sized(100 * MIB, 84)));
    story.sized(10 * MIB, 84);
    let hold = story.condition.hold.take().unwrap();
    story.condition.usual_since = Some(hold.since);
    for _ in 0..4 {
        assert_eq!(story.sized(10 * MIB, 84), [Event::Succeeded]);
    }
    assert_eq!(story.sized(4 * MIB, 84), [Event::Succeeded, Event::SuspiciousSize]);
}

fn outcomes() -> impl Strategy<Value = Vec<(Outcome, bool)>> {
    let all = [
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::Interrupted,
        Outcome::Vetoed,
        Outcome::Skipped,
    ];
    prop::collection::vec((prop::sample::select(all.to_vec()), any::<bool>()), 0..40)
}

proptest! {
    #[test]
    fn whatever_ends_failures_are_counted_since_the_last_success_and_the_pause_begins_exactly_at_its_number(
        runs in outcomes(),
        pause_after in 0u32..5,
    ) {
        let mut story = Story::new(pause_after);
        let mut streak = 0;
        for (outcome, again) in runs {
            let was_paused = story.condition.pause.is_some();
            let run = story.run(outcome);
            let told = story.ended(run, again);
            let failed = matches!(outcome, Outcome::Failed | Outcome::TimedOut) && !again;
            let recovered = outcome == Outcome::Succeeded && streak > 0;
            match outcome {
                Outcome::Succeeded => streak = 0,
                _ if failed => streak += 1,
                _ => {}
            }
            let known = &story.condition;
            prop_assert_eq!(known.failures, streak);
            prop_assert_eq!(known.failing_since.is_some(), streak > 0);
            prop_assert_eq!(known.pause.is_some(), pause_after > 0 && streak >= pause_after);
            prop_assert_eq!(told.contains(&Event::Paused), known.pause.is_some() && !was_paused);
            prop_assert_eq!(told.contains(&Event::Failed), failed);
            prop_assert_eq!(told.contains(&Event::Recovered), recovered);
            prop_assert_eq!(told.contains(&Event::Succeeded), outcome == Outcome::Succeeded);
        }
    }
}
