//! When a database is due next: its calendars, what of them is done with, a retry that waits. Pure: whoever asks brings the time.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::{Database, Policy};
use crate::history::LastDue;
use crate::model::Outcome;
use crate::schedule::{Calendar, Schedule, Window, delay, open_from};

/// A clock that was set back by less than this fires nothing again. One that was set back further was wrong before, or is now.
const CLOCK_SLIP: SignedDuration = SignedDuration::from_hours(24);

/// After so many attempts that ended with the process they wait like failed ones: a backup that kills its daemon must not do so
/// for ever.
const DEATHS: u32 = 3;

/// A run that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// When it may start: the calendar's instant, its delay, no blackout window.
    pub(super) at: Timestamp,
    /// The calendar's instant, by which the history knows it.
    pub(super) due: Timestamp,
    /// 1 for the first.
    pub(super) attempt: u32,
}

/// The agenda of one database.
#[derive(Debug)]
pub(super) struct Agenda {
    rules: Rules,
    calendars: Vec<Calendar>,
    delay: SignedDuration,
    /// Instants up to this one are done with.
    settled: Timestamp,
    /// The same, but only as long as the clock is so far behind `settled` that one of both cannot be right.
    meanwhile: Option<Timestamp>,
    /// A retry, or a run that is due without the calendar.
    again: Option<Due>,
    next: Option<Due>,
}

/// What of the configuration the times depend on.
#[derive(Debug, Clone, PartialEq)]
struct Rules {
    schedules: Vec<Schedule>,
    windows: Vec<Window>,
    delay: SignedDuration,
    enabled: bool,
    zone: TimeZone,
}

impl Rules {
    fn of(database: &Database, zone: &TimeZone) -> Self {
        let policy: &Policy = &database.policy;
        Self {
            schedules: policy.full.clone(),
            windows: policy.not_between.clone(),
            delay: delay(database.name.as_str(), policy.randomized_delay),
            enabled: policy.enabled,
            zone: zone.clone(),
        }
    }

    fn calendars(&self) -> Vec<Calendar> {
        // What cannot be computed was refused when the files were read.
        self.schedules.iter().filter_map(|schedule| Calendar::new(schedule, &self.zone).ok()).collect()
    }
}

impl Agenda {
    /// The agenda of a database at start-up, or of one that came with a reload. `last` is the newest scheduled run in the history;
    /// `proven` when its newest good backup was made.
    pub(super) fn new(
        database: &Database,
        zone: &TimeZone,
        last: Option<&LastDue>,
        proven: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let rules = Rules::of(database, zone);
        let policy = &database.policy;
        let mut settled = last.map_or(now, |last| last.due);
        let again = match last {
            None => proven.is_none().then_some(Due { at: now, due: now, attempt: 1 }),
            Some(last) => another_attempt(policy, last, proven, now),
        };
        if !policy.persistent {
            settled = settled.max(now);
        }
        let calendars = rules.calendars();
        let delay = rules.delay;
        let mut agenda = Self { rules, calendars, delay, settled, meanwhile: None, again, next: None };
        agenda.plan(now);
        agenda
    }

    /// Takes over what a reload says of the database. A schedule the edit did not touch keeps its times; one that it did begins now.
    pub(super) fn adopt(&mut self, database: &Database, zone: &TimeZone, now: Timestamp) {
        let rules = Rules::of(database, zone);
        if rules == self.rules {
            return;
        }
        if rules.schedules != self.rules.schedules || rules.zone != self.rules.zone {
            self.settled = self.settled.max(now);
            self.calendars = rules.calendars();
        }
        self.delay = rules.delay;
        self.rules = rules;
        self.plan(now);
    }

    /// The run that is to be made next, if there is any.
    pub(super) fn next(&self) -> Option<Due> {
        self.next
    }

    /// The calendars, for who wants to know how far apart their times are.
    pub(super) fn calendars(&self) -> &[Calendar] {
        &self.calendars
    }

    /// Its schedules as written; those of two agendas that are alike have the same calendars.
    pub(super) fn texts(&self) -> Vec<String> {
        self.rules.schedules.iter().map(|schedule| schedule.text.clone()).collect()
    }

    /// What is to be started now: it is due, and no window forbids it. It is done with from then on, whatever becomes of it.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Due> {
        // Looked at anew: a clock that was set, a suspend or a long queue may have moved it into a window or out of one.
        self.plan(now);
        let due = self.next.filter(|next| next.at <= now)?;
        self.settled = self.settled.max(due.due);
        if let Some(meanwhile) = &mut self.meanwhile {
            *meanwhile = due.due.min(now).max(*meanwhile);
        }
        self.again = None;
        self.plan(now);
        Some(due)
    }

    /// A run that failed is to be tried again at `at`.
    pub(super) fn retry(&mut self, due: Timestamp, attempt: u32, at: Timestamp, now: Timestamp) {
        self.again = Some(Due { at, due, attempt });
        self.plan(now);
    }

    /// There is a backup, whoever asked for it: nothing has to be tried again.
    pub(super) fn succeeded(&mut self, now: Timestamp) {
        self.again = None;
        self.plan(now);
    }

    /// What was due until then is done with: a backup that was not made for it does.
    pub(super) fn settle(&mut self, until: Timestamp, now: Timestamp) {
        self.settled = self.settled.max(until);
        self.succeeded(now);
    }

    /// Works out the next run anew.
    pub(super) fn plan(&mut self, now: Timestamp) {
        let ahead = |of: Timestamp| of.duration_since(now) > CLOCK_SLIP;
        // Should the clock come back to what is settled, all of that counts again: a machine without a battery boots in 1970.
        self.meanwhile = ahead(self.settled).then(|| self.meanwhile.filter(|since| !ahead(*since)).unwrap_or(now));
        self.next = self.find(now);
    }

    fn find(&self, now: Timestamp) -> Option<Due> {
        if !self.rules.enabled || self.rules.schedules.is_empty() {
            return None;
        }
        let next = match (self.again, self.by_calendar(now)) {
            // What is due anew makes up for what failed.
            (Some(again), Some(calendar)) if calendar.at <= again.at.max(now) => calendar,
            (Some(again), _) => again,
            (None, calendar) => calendar?,
        };
        // One that is late and not forbidden keeps its time, so that asking twice gives the same.
        let at = if next.at > now { next.at } else { now };
        let open = open_from(&self.rules.windows, at, &self.rules.zone)?;
        Some(Due { at: if open == at { next.at } else { open }, ..next })
    }

    fn by_calendar(&self, now: Timestamp) -> Option<Due> {
        let settled = self.meanwhile.unwrap_or(self.settled);
        let first = self.calendars.iter().filter_map(|calendar| calendar.next_after(settled)).min()?;
        let late = |due: Timestamp| due.saturating_add(self.delay).unwrap_or(due);
        // However many were missed, the newest of them is made up for.
        let before = now.saturating_sub(self.delay).unwrap_or(now);
        let missed = || self.calendars.iter().filter_map(|calendar| calendar.latest_until(before)).max();
        let due = if late(first) <= now { missed().map_or(first, |newest| newest.max(first)) } else { first };
        let at = late(due);
        Some(Due { at, due, attempt: 1 })
    }
}

/// Up to when an instant in the history can be one of a clock that was right.
pub(super) fn believable(now: Timestamp) -> Timestamp {
    now.saturating_add(CLOCK_SLIP).unwrap_or(now)
}

/// Whether and when what the history knows of a run is to be tried again, if there was no backup since.
fn another_attempt(policy: &Policy, last: &LastDue, proven: Option<Timestamp>, now: Timestamp) -> Option<Due> {
    let ended = last.ended.unwrap_or(last.due);
    if proven.is_some_and(|proven| proven >= ended) {
        return None;
    }
    let attempt = last.attempt.saturating_add(1);
    let later = ended.saturating_add(span(policy.retry.after.0)).unwrap_or(ended);
    let at = match last.outcome {
        Some(Outcome::Interrupted) | None if policy.persistent => {
            if attempt > DEATHS {
                later
            } else {
                now
            }
        }
        Some(Outcome::Failed | Outcome::TimedOut) if attempt <= policy.retry.attempts => later,
        _ => return None,
    };
    Some(Due { at, due: last.due, attempt })
}

/// A length of time in the calendar's terms.
pub(super) fn span(length: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests;
