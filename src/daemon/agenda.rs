//! When a database is due next: its calendars, what of them is done with, a retry that waits. Pure: whoever asks brings the time.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::{Database, Policy};
use crate::history::LastDue;
use crate::model::Outcome;
use crate::schedule::{Calendar, Schedule, Window, delay, open_from};

/// A clock that was set back by less than this fires nothing again; one that was set back further was wrong before.
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
    /// `proven` whether it ever had a backup.
    pub(super) fn new(
        database: &Database,
        zone: &TimeZone,
        last: Option<&LastDue>,
        proven: bool,
        now: Timestamp,
    ) -> Self {
        let rules = Rules::of(database, zone);
        let policy = &database.policy;
        let mut settled = last.map_or(now, |last| last.due);
        let mut again = None;
        match last {
            None if !proven && !rules.schedules.is_empty() => again = Some(Due { at: now, due: now, attempt: 1 }),
            None => {}
            Some(last) => {
                let attempt = last.attempt.saturating_add(1);
                let ended = last.ended.unwrap_or(last.due);
                let later = ended.saturating_add(span(policy.retry.after.0)).unwrap_or(ended);
                match last.outcome {
                    Some(Outcome::Interrupted) | None if policy.persistent => {
                        let at = if attempt > DEATHS { later } else { now };
                        again = Some(Due { at, due: last.due, attempt });
                    }
                    Some(Outcome::Failed | Outcome::TimedOut) if attempt <= policy.retry.attempts => {
                        again = Some(Due { at: later, due: last.due, attempt });
                    }
                    _ => {}
                }
            }
        }
        if !policy.persistent {
            settled = settled.max(now);
        }
        let calendars = rules.calendars();
        let delay = rules.delay;
        let mut agenda = Self { rules, calendars, delay, settled, again, next: None };
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
        self.again = None;
        self.plan(now);
        Some(due)
    }

    /// A run that failed is to be tried again at `at`.
    pub(super) fn retry(&mut self, due: Timestamp, attempt: u32, at: Timestamp, now: Timestamp) {
        self.again = Some(Due { at, due, attempt });
        self.plan(now);
    }

    /// Works out the next run anew.
    pub(super) fn plan(&mut self, now: Timestamp) {
        if self.settled.duration_since(now) > CLOCK_SLIP {
            self.settled = now;
        }
        self.next = self.find(now);
    }

    fn find(&self, now: Timestamp) -> Option<Due> {
        if !self.rules.enabled {
            return None;
        }
        let calendar = self.by_calendar(now);
        let next = match (self.again, calendar) {
            (Some(again), Some(calendar)) if calendar.at <= again.at.max(now) && calendar.due > again.due => calendar,
            (Some(again), _) => again,
            (None, calendar) => calendar?,
        };
        // One that is late and not forbidden keeps its time, so that asking twice gives the same.
        let at = if next.at > now { next.at } else { now };
        let open = open_from(&self.rules.windows, at, &self.rules.zone)?;
        Some(Due { at: if open == at { next.at } else { open }, ..next })
    }

    fn by_calendar(&self, now: Timestamp) -> Option<Due> {
        let first = self.calendars.iter().filter_map(|calendar| calendar.next_after(self.settled)).min()?;
        let late = |due: Timestamp| due.saturating_add(self.delay).unwrap_or(due);
        // However many were missed, the newest of them is made up for.
        let before = now.saturating_sub(self.delay).unwrap_or(now);
        let missed = || self.calendars.iter().filter_map(|calendar| calendar.latest_until(before)).max();
        let due = if late(first) <= now { missed().map_or(first, |newest| newest.max(first)) } else { first };
        let at = late(due);
        Some(Due { at, due, attempt: 1 })
    }
}

/// A length of time in the calendar's terms.
pub(super) fn span(length: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX)
}
