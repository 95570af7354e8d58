//! An agenda against the plain meaning of its rules, under a clock that does what clocks do.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::load_texts;
use crate::model::{Name, RunId};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The database `shop` with these keys of its policy.
fn shop(keys: &str) -> Arc<Database> {
    let text = format!(
        "[destination.local]\nservice = 'memory'\n[policy.p]\ndestinations = ['local']\nencryption = 'none'\n\
         [database.shop]\nengine = 'command'\ndump = ['true']\npolicy = 'p'\n{keys}"
    );
    let loaded = load_texts(vec![("q.toml".into(), text.clone())]).unwrap_or_else(|report| panic!("{text}\n{report}"));
    Arc::clone(&loaded.plan.databases[&"shop".parse::<Name>().unwrap()])
}

/// An agenda of a database that was backed up before and has nothing in its history that is due.
fn quiet(keys: &str, now: Timestamp) -> Agenda {
    Agenda::new(&shop(keys), &TimeZone::UTC, None, Some(now), now)
}

fn last(due: Timestamp, attempt: u32, outcome: Outcome, ended: Timestamp) -> LastDue {
    LastDue { due, attempt, outcome: Some(outcome), ended: Some(ended), run: RunId::new(ended, "db1") }
}

/// The instants that are taken now, one after the other.
fn taken(agenda: &mut Agenda, now: Timestamp) -> Vec<Timestamp> {
    std::iter::from_fn(|| agenda.take(now)).map(|due| due.due).collect()
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What happens to a daemon and its clock.
#[derive(Debug, Clone)]
enum Step {
    /// Some time goes by: the daemon slept, or somebody set the clock.
    On(SignedDuration),
    /// The clock is set back, by less than counts as wrong.
    Back(SignedDuration),
    /// An edit that is none of the schedule's.
    Unrelated,
    /// The daemon starts again.
    Restart,
    /// What was taken last failed, and is to be tried again so much later.
    Fail(SignedDuration),
    /// The database was backed up by hand.
    Succeed,
}

fn step() -> impl Strategy<Value = Step> {
    let time = |most: i64| (1..most).prop_map(SignedDuration::from_secs);
    prop_oneof![
        8 => Just(Step::On(MINUTE)),
        4 => time(3 * 60 * 60).prop_map(Step::On),
        2 => time(9 * 24 * 60 * 60).prop_map(Step::On),
        2 => time(20 * 60 * 60).prop_map(Step::Back),
        1 => Just(Step::Unrelated),
        1 => Just(Step::Restart),
        2 => time(2 * 60 * 60).prop_map(Step::Fail),
        1 => Just(Step::Succeed),
    ]
}

/// Keys of a policy.
fn rules() -> impl Strategy<Value = String> {
    let schedule = prop::sample::select(
        &[
            "'02:00'",
            "'every 1h'",
            "'every 15m'",
            "'Sun 02:30'",
            "['Sun 02:00', '*-*-* 14:00']",
            "'*/7 * * * *'",
            "['02:00', '02:00']",
            "'02:30 Europe/Berlin'",
        ][..],
    );
    let window = prop::sample::select(&["[]", "['Mon..Fri 08:00-18:00']", "['22:00-03:00', 'Sat 00:00-24:00']"][..]);
    let delay = prop::sample::select(&["0s", "10m", "5h"][..]);
    (schedule, window, delay).prop_map(|(schedule, window, delay)| {
        format!("full = {schedule}\nnot_between = {window}\nrandomized_delay = '{delay}'\n")
    })
}

/// What a daemon would have done.
struct World {
    database: Arc<Database>,
    agenda: Agenda,
    now: Timestamp,
    begun: Timestamp,
    done: Vec<Due>,
    /// A retry that was asked for and neither came nor was made up for yet.
    failed: Option<Due>,
    proven: Timestamp,
}

impl World {
    fn new(keys: &str, now: Timestamp) -> Self {
        let database = shop(keys);
        let agenda = Agenda::new(&database, &TimeZone::UTC, None, Some(now), now);
        Self { database, agenda, now, begun: now, done: Vec::new(), failed: None, proven: now }
    }

    fn windows(&self) -> &[Window] {
        &self.database.policy.not_between
    }

    /// Instants of the calendars in a span of time, by brute force over what the calendar says.
    fn newest(&self, until: Timestamp) -> Option<Timestamp> {
        self.agenda.calendars().iter().filter_map(|calendar| calendar.latest_until(until)).max()
    }

    fn newest_done(&self) -> Timestamp {
        self.done.iter().map(|due| due.due).max().unwrap_or(self.begun).max(self.begun)
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::On(by) => self.now += *by,
            Step::Back(by) => self.now = (self.now - *by).max(self.newest_done() - HOUR * 23),
            Step::Unrelated => {
                let before = self.agenda.next();
                self.agenda.adopt(&self.database, &TimeZone::UTC, self.now);
                assert_eq!(self.agenda.next(), before, "an edit of something else moved it");
            }
            Step::Restart => {
                let newest = self.done.iter().max_by_key(|due| (due.due, due.attempt));
                let outcome = if self.failed.is_some() { Outcome::Failed } else { Outcome::Succeeded };
                let last = newest.map(|due| last(due.due, due.attempt, outcome, self.now));
                if last.is_none() {
                    self.begun = self.now;
                }
                // So many attempts are never made here that they run out.
                self.agenda = Agenda::new(&self.database, &TimeZone::UTC, last.as_ref(), Some(self.proven), self.now);
                self.failed = self.failed.and(self.agenda.again);
            }
            Step::Fail(after) => {
                if let Some(due) = self.done.last().copied().filter(|due| due.attempt < 20 && self.failed.is_none()) {
                    let again = Due { at: self.now + *after, attempt: due.attempt + 1, ..due };
                    self.agenda.retry(again.due, again.attempt, again.at, self.now);
                    self.failed = Some(again);
                }
            }
            Step::Succeed => {
                self.agenda.succeeded(self.now);
                (self.failed, self.proven) = (None, self.now);
            }
        }
        self.agenda.plan(self.now);
        self.work();
        self.nothing_is_lost();
    }

    /// Everything that is due is begun, and rightly so.
    fn work(&mut self) {
        while let Some(due) = self.agenda.take(self.now) {
            let open = open_from(self.windows(), self.now, &TimeZone::UTC);
            assert_eq!(open, Some(self.now), "it was begun in a window");
            match self.failed.take().filter(|failed| (failed.due, failed.attempt) == (due.due, due.attempt)) {
                Some(failed) => assert!(failed.at <= self.now, "it was tried again before its time"),
                None => {
                    assert_eq!(due.attempt, 1);
                    assert!(due.due > self.newest_done(), "{} is done twice, or late after a newer one", due.due);
                    assert!(due.due + self.agenda.delay <= self.now, "{} came before its delay", due.due);
                    let is_one = self.agenda.calendars().iter().any(|c| c.latest_until(due.due) == Some(due.due));
                    assert!(is_one, "{} is in no calendar", due.due);
                }
            }
            self.done.push(due);
        }
    }

    /// Every instant that has come is done, or made up for by a newer one, or a window is to blame; and something will come.
    fn nothing_is_lost(&self) {
        let newest = self.newest(self.now - self.agenda.delay);
        let open = open_from(self.windows(), self.now, &TimeZone::UTC) == Some(self.now);
        if open && let Some(newest) = newest {
            assert!(newest <= self.newest_done(), "{newest} is lost, it is {}", self.now);
        }
        let next = self.agenda.next().expect("there is always a next one");
        assert!(!open || next.at > self.now);
        // A retry hides no instant that comes before it.
        let first = self.agenda.calendars().iter().filter_map(|c| c.next_after(self.newest_done())).min().unwrap();
        let first = open_from(self.windows(), (first + self.agenda.delay).max(self.now), &TimeZone::UTC).unwrap();
        assert!(next.at <= first, "next is {next:?}, though {first} comes before");
        assert!(self.failed.is_some() || next.at == first || !open, "next is {next:?}, not {first}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(200), ..ProptestConfig::default() })]

    #[test]
    fn every_instant_is_done_once_or_made_up_for_whatever_the_clock_does(
        keys in rules(),
        start in 1_767_225_600i64..1_800_000_000,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let keys = format!("{keys}retry = {{ attempts = 30, after = '10m' }}\n");
        let mut world = World::new(&keys, Timestamp::from_second(start).unwrap());
        for step in &steps {
            world.step(step);
        }
    }

    #[test]
    fn while_the_clock_only_ticks_no_instant_is_left_out(
        keys in prop::sample::select(&["'every 15m'", "'*/7 * * * *'", "['02:00', '*:30']", "'*/20 * * * * *'"][..]),
        delay in prop::sample::select(&["0s", "90s", "7h"][..]),
        start in 1_767_225_600i64..1_800_000_000,
    ) {
        let start = Timestamp::from_second(start).unwrap();
        let mut agenda = quiet(&format!("full = {keys}\nrandomized_delay = '{delay}'\n"), start);
        let (mut now, mut done) = (start, Vec::new());
        // Nobody asks but when the timer says so.
        while now < start + HOUR * 30 {
            now = agenda.next().unwrap().at;
            done.extend(taken(&mut agenda, now));
        }
        let all = |after: &Timestamp| agenda.calendars().iter().filter_map(|c| c.next_after(*after)).min();
        let expected: Vec<_> = std::iter::successors(all(&start), all).take(done.len()).collect();
        prop_assert_eq!(done, expected);
    }
}

#[test]
fn one_run_makes_up_for_all_that_were_missed() {
    let now = at("2026-11-20T12:34:00Z");
    let done = last(at("2026-11-01T02:00:00Z"), 1, Outcome::Succeeded, at("2026-11-01T02:05:00Z"));
    let start = |keys: &str| Agenda::new(&shop(keys), &TimeZone::UTC, Some(&done), Some(done.due), now);
    let mut agenda = start("full = ['02:00', 'Sun 03:00']\n");
    assert_eq!(taken(&mut agenda, now), [at("2026-11-20T02:00:00Z")]);
    assert_eq!(agenda.next().unwrap().at, at("2026-11-21T02:00:00Z"));
    let mut agenda = start("full = '02:00'\npersistent = false\n");
    assert_eq!(taken(&mut agenda, now), []);
    assert_eq!(agenda.next().unwrap().at, at("2026-11-21T02:00:00Z"));
}

#[test]
fn without_a_backup_it_is_due_at_once_and_without_a_schedule_never() {
    let now = at("2026-11-20T12:34:00Z");
    let mut agenda = Agenda::new(&shop("full = '02:00'\n"), &TimeZone::UTC, None, None, now);
    assert_eq!(taken(&mut agenda, now), [now]);
    let mut agenda = Agenda::new(&shop(""), &TimeZone::UTC, None, None, now);
    assert_eq!(agenda.next(), None);
    agenda.adopt(&shop("full = '02:00'\n"), &TimeZone::UTC, now + HOUR);
    assert_eq!(taken(&mut agenda, now + HOUR).len(), 1);
    agenda.retry(now, 2, now + HOUR, now);
    agenda.adopt(&shop(""), &TimeZone::UTC, now + HOUR);
    assert_eq!(agenda.next(), None, "it is tried again, though it is to be backed up by hand only");
}

#[test]
fn a_schedule_that_was_edited_begins_with_the_edit() {
    let begun = at("2026-11-20T00:00:00Z");
    let (mut agenda, now) = (quiet("full = '02:00'\n", begun), at("2026-11-20T12:00:00Z"));
    agenda.adopt(&shop("full = '04:00'\n"), &TimeZone::UTC, now);
    assert_eq!(taken(&mut agenda, now), []);
    assert_eq!(agenda.next().unwrap().at, at("2026-11-21T04:00:00Z"));
    // What is no schedule leaves what is due as it is.
    agenda.adopt(&shop("full = '04:00'\nenabled = false\n"), &TimeZone::UTC, now);
    assert_eq!(agenda.next(), None);
    agenda.adopt(&shop("full = '04:00'\nrandomized_delay = '1h'\n"), &TimeZone::UTC, now);
    assert_eq!(agenda.next().unwrap().at, at("2026-11-21T04:33:10.723Z"));
}

#[test]
fn what_died_is_done_again_at_once_three_times_and_then_as_what_failed() {
    let (due, now) = (at("2026-11-20T02:00:00Z"), at("2026-11-20T02:10:00Z"));
    let again = |attempt, outcome, keys: &str| {
        let last = last(due, attempt, outcome, now);
        let keys = format!("full = '02:00'\n{keys}");
        let agenda = Agenda::new(&shop(&keys), &TimeZone::UTC, Some(&last), Some(at("2026-11-19T02:00:00Z")), now);
        agenda.next().map(|next| (next.at, next.attempt)).unwrap()
    };
    let tomorrow = (at("2026-11-21T02:00:00Z"), 1);
    for attempt in 1..=2 {
        assert_eq!(again(attempt, Outcome::Interrupted, ""), (now, attempt + 1));
    }
    assert_eq!(again(3, Outcome::Interrupted, ""), (now + MINUTE * 10, 4));
    assert_eq!(again(9, Outcome::Interrupted, "retry = { after = '2h' }\n"), (now + HOUR * 2, 10));
    assert_eq!(again(1, Outcome::Interrupted, "persistent = false\n"), tomorrow);
    assert_eq!(again(1, Outcome::Failed, ""), (now + MINUTE * 10, 2));
    assert_eq!(again(2, Outcome::Failed, ""), tomorrow);
    for outcome in [Outcome::Vetoed, Outcome::Skipped, Outcome::Succeeded] {
        assert_eq!(again(1, outcome, ""), tomorrow);
    }
    // A backup by hand has made up for it.
    let last = last(due, 1, Outcome::Failed, now);
    let agenda = Agenda::new(&shop("full = '02:00'\n"), &TimeZone::UTC, Some(&last), Some(now + MINUTE), now + HOUR);
    assert_eq!(agenda.next().map(|next| (next.at, next.attempt)), Some(tomorrow));
}

#[test]
fn a_clock_that_was_far_ahead_silences_nothing() {
    let now = at("2026-11-20T12:00:00Z");
    let ahead = last(at("2036-01-01T02:00:00Z"), 1, Outcome::Failed, at("2036-01-01T02:01:00Z"));
    let mut agenda = Agenda::new(&shop("full = '02:00'\n"), &TimeZone::UTC, Some(&ahead), Some(now), now);
    agenda.retry(at("2036-01-01T02:00:00Z"), 2, at("2036-01-01T02:10:00Z"), now);
    assert_eq!(agenda.next().unwrap().at, at("2026-11-21T02:00:00Z"));
    for day in ["2026-11-21", "2026-11-22"] {
        let morning = at(&format!("{day}T02:00:30Z"));
        assert_eq!(taken(&mut agenda, morning), [at(&format!("{day}T02:00:00Z"))]);
    }
}

#[test]
fn a_clock_that_begins_in_1970_does_nothing_twice_once_it_is_right() {
    let (boot, right) = (at("1970-01-01T00:00:10Z"), at("2026-11-20T12:00:00Z"));
    let done = last(at("2026-11-20T02:00:00Z"), 1, Outcome::Succeeded, at("2026-11-20T02:01:00Z"));
    let mut agenda = Agenda::new(&shop("full = '02:00'\n"), &TimeZone::UTC, Some(&done), Some(done.due), boot);
    assert_eq!(taken(&mut agenda, boot), []);
    // Nobody set it yet, and it is 02:00 there.
    assert_eq!(taken(&mut agenda, boot + HOUR * 2), [at("1970-01-01T02:00:00Z")]);
    assert_eq!(taken(&mut agenda, right), []);
    assert_eq!(agenda.next().unwrap().at, at("2026-11-21T02:00:00Z"));
}

#[test]
fn the_end_of_a_window_is_when_it_starts() {
    let now = at("2026-11-20T08:30:00Z");
    let mut agenda = quiet("full = '09:00'\nnot_between = ['Mon..Fri 08:00-18:00']\n", now);
    assert_eq!(agenda.next().unwrap().at, at("2026-11-20T18:00:00Z"));
    assert_eq!(taken(&mut agenda, at("2026-11-20T17:59:59Z")), []);
    assert_eq!(taken(&mut agenda, at("2026-11-20T18:00:00Z")), [at("2026-11-20T09:00:00Z")]);
}
