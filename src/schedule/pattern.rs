//! Local times that come again and again: some times of some days. It knows no time zone.

use jiff::civil::{Date, DateTime};

use super::days::Days;
use super::times::Times;

/// Local times, in whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) days: Days,
    pub(super) times: Times,
}

impl Pattern {
    /// The first of these times at or after a local time.
    pub(super) fn next(&self, from: DateTime) -> Option<DateTime> {
        let day = self.days.next(from.date())?;
        if day == from.date() {
            if let Some(second) = self.times.next(second_of_day(from)) {
                return at(day, second);
            }
            return at(self.days.next(day.tomorrow().ok()?)?, self.times.next(0)?);
        }
        at(day, self.times.next(0)?)
    }

    /// The last of these times at or before a local time.
    pub(super) fn previous(&self, until: DateTime) -> Option<DateTime> {
        let last = super::times::DAY - 1;
        let day = self.days.previous(until.date())?;
        if day == until.date() {
            if let Some(second) = self.times.previous(second_of_day(until)) {
                return at(day, second);
            }
            return at(self.days.previous(day.yesterday().ok()?)?, self.times.previous(last)?);
        }
        at(day, self.times.previous(last)?)
    }

    /// Whether there is any such time at all.
    pub(super) fn ever_comes(&self) -> bool {
        // Years that are written begin with 1970.
        self.days.next(Date::constant(1970, 1, 1)).is_some()
    }
}

fn second_of_day(at: DateTime) -> u32 {
    at.hour() as u32 * 3600 + at.minute() as u32 * 60 + at.second() as u32
}

fn at(day: Date, second: u32) -> Option<DateTime> {
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    DateTime::new(day.year(), day.month(), day.day(), hour as i8, minute as i8, second as i8, 0).ok()
}
