//! When schedules are due: against systemd, against croner, against a walk through every minute, and as `check` shows it.

mod changes;
mod others;
mod shown;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use qbackd::schedule::{Calendar, Schedule};

/// Zones with changes of the clocks of every kind: the usual ones, half an hour, twice a year around Ramadan, a day left out, at
/// midnight, none.
const ZONES: &[&str] = &[
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/Havana",
    "Asia/Beirut",
    "America/St_Johns",
    "Pacific/Kwajalein",
    "Asia/Kathmandu",
    "UTC",
];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn calendar(text: &str, default: &str) -> Calendar {
    let schedule: Schedule = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    Calendar::new(&schedule, &zone(default)).unwrap()
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The first times after an instant.
fn after(calendar: &Calendar, from: Timestamp, count: usize) -> Vec<Timestamp> {
    std::iter::successors(calendar.next_after(from), |at| calendar.next_after(*at)).take(count).collect()
}

/// The first times after an instant as clocks in the calendar's time zone show them.
fn shown(text: &str, default: &str, from: &str, count: usize) -> Vec<String> {
    let calendar = calendar(text, default);
    let show = |at: Timestamp| at.to_zoned(calendar.zone().clone()).strftime("%m-%d %H:%M %:z").to_string();
    after(&calendar, instant(from), count).into_iter().map(show).collect()
}
