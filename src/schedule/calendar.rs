//! The instants at which a schedule is due. They follow from the schedule and its time zone alone.
//!
//! Each local time that a schedule means has one instant: that at which it comes first, or, where a change of the clocks skips it,
//! that of the change. Several that are skipped share one. So instants come in the order of their local times, and what has been
//! due by now is what is due at a local time that has come by now.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::options::{Schedule, check_zone};
use super::pattern::Pattern;
use super::zone::{come, first};

/// When a schedule is due, in its time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    pattern: Arc<Pattern>,
    zone: TimeZone,
}

impl Calendar {
    /// A schedule in its own time zone, or in the default one.
    ///
    /// # Errors
    /// There is no such time zone (any more).
    pub fn new(schedule: &Schedule, default_zone: &TimeZone) -> Result<Self, String> {
        let zone = match &schedule.zone {
            Some(name) => TimeZone::get(name).map_err(|_| {
                check_zone(name).err().unwrap_or_else(|| format!("the time zone `{name}` cannot be read"))
            })?,
            None => default_zone.clone(),
        };
        Ok(Self { pattern: Arc::clone(&schedule.pattern), zone })
    }

    /// The time zone it follows.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first instant after `now` at which it is due.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let from = come(&self.zone, now).checked_add(1.second()).ok()?;
        first(&self.zone, self.pattern.next(from)?)
    }

    /// The last instant at or before `now` at which it was due.
    pub fn latest_until(&self, now: Timestamp) -> Option<Timestamp> {
        first(&self.zone, self.pattern.previous(come(&self.zone, now))?)
    }
}

/// The longest time between two instants after `now` at which any of these calendars is due, if there are two. One of less than a
/// day is told as a day; a longer one is exact, but for an hour that a change of the clocks may add.
pub fn longest_gap(calendars: &[Calendar], now: Timestamp) -> Option<Duration> {
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    // No more than a year of days, but eight years where days are rare.
    const STEPS: usize = 400;
    let ahead = if calendars.iter().all(|calendar| calendar.pattern.days.are_weekly()) { 16 } else { 9 * 366 };
    let end = now.saturating_add(DAY * ahead).unwrap_or(Timestamp::MAX);
    let next = |after| calendars.iter().filter_map(|calendar| calendar.next_after(after)).min();
    let mut at = next(now)?;
    let mut longest = None;
    for _ in 0..STEPS {
        // Whatever is due within a day of `at` has no gap of more than a day before it.
        let day_on = at.saturating_add(DAY).unwrap_or(Timestamp::MAX);
        let last = calendars.iter().filter_map(|calendar| calendar.latest_until(day_on)).max().unwrap_or(at).max(at);
        let Some(then) = next(last).filter(|then| *then <= end || longest.is_none()) else { break };
        longest = longest.max(Some(then.duration_since(last)));
        at = then;
    }
    longest.map(|gap| gap.max(DAY).unsigned_abs())
}
