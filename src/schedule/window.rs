//! Windows of time within a day: `Mon..Fri 08:00-18:00`.

use std::str::FromStr;

use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::fields::weekdays;
use super::options::zone;
use super::zone::{first, last};
use crate::model::from_text;

/// A window of some weekdays. One that ends before it begins goes on into the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// As written, with single spaces.
    pub text: String,
    /// The weekdays it begins on, Monday the lowest bit.
    pub weekdays: u8,
    /// When it begins, in minutes after midnight.
    pub from: u16,
    /// When it ends, in minutes after midnight, up to 24:00.
    pub to: u16,
    /// The IANA name of its own time zone. Not given: the daemon's.
    pub zone: Option<String>,
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

const FORM: &str = "write one like `Mon..Fri 08:00-18:00`";

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let whole = words.join(" ");
        let bad = || format!("`{whole}` is no window of time: {FORM}");
        let zone = zone(&mut words)?;
        let (days, hours) = match words.as_slice() {
            [hours] => (0x7f, *hours),
            [days, hours] => (weekdays(days)?, *hours),
            _ => return Err(bad()),
        };
        let (from, to) = hours.split_once('-').ok_or_else(bad)?;
        let (from, to) = (minutes(from).ok_or_else(bad)?, minutes(to).ok_or_else(bad)?);
        if from == to || from == DAY {
            return Err(format!("`{whole}` is an empty window: {FORM}"));
        }
        Ok(Self { text: whole, weekdays: (days & 0x7f) as u8, from, to, zone })
    }
}

from_text!(Window);

impl Window {
    /// When the window ends that covers an instant, if it covers it. Where the clocks move, a window begins when the local time of
    /// its begin comes first, and ends when that of its end comes last.
    pub fn blocked_until(&self, at: Timestamp, default_zone: &TimeZone) -> Option<Timestamp> {
        let own = self.zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        let zone = own.as_ref().unwrap_or(default_zone);
        let today = zone.to_datetime(at).date();
        // The last one counts where clocks move back over midnight.
        let days = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
        let covers = |day| self.on(day, zone).filter(|(begin, end)| *begin <= at && at < *end);
        days.into_iter().flatten().filter_map(covers).map(|(_, end)| end).max()
    }

    /// Its begin and end, if it begins on this day.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let weekday = day.weekday().to_monday_zero_offset();
        if self.weekdays >> weekday & 1 == 0 {
            return None;
        }
        let ends = if self.to <= self.from || self.to == DAY { day.tomorrow().ok()? } else { day };
        let at = |day: Date, minutes: u16| day.to_datetime(time((minutes / 60 % 24) as i8, (minutes % 60) as i8, 0, 0));
        Some((first(zone, at(day, self.from))?, last(zone, at(ends, self.to))?))
    }
}

/// The first instant at or after `at` that none of the windows covers; `None` where they leave no time within two weeks.
pub fn open_from(windows: &[Window], at: Timestamp, default_zone: &TimeZone) -> Option<Timestamp> {
    let limit = at.saturating_add(SignedDuration::from_hours(14 * 24)).ok()?;
    let mut open = at;
    while let Some(end) = windows.iter().filter_map(|window| window.blocked_until(open, default_zone)).max() {
        if end > limit {
            return None;
        }
        open = end;
    }
    Some(open)
}

/// Minutes after midnight of `HH:MM`, up to 24:00.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60 && (hour < 24 || (hour == 24 && minute == 0))).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_with_days_and_zone() {
        let window: Window = "Mon..Fri  08:00-18:30 Europe/Berlin".parse().unwrap();
        assert_eq!((window.weekdays, window.from, window.to), (0b1_1111, 480, 1110));
        assert_eq!(
            (window.text.as_str(), window.zone.as_deref()),
            ("Mon..Fri 08:00-18:30 Europe/Berlin", Some("Europe/Berlin"))
        );
        assert_eq!("22:00-06:00".parse::<Window>().map(|w| (w.weekdays, w.from, w.to)), Ok((0x7f, 1320, 360)));
        assert_eq!("Sat 00:00-24:00".parse::<Window>().map(|w| w.to), Ok(1440));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for bad in [
            "",
            "08:00",
            "8-18",
            "08:00-08:00",
            "Foo 08:00-18:00",
            "08:00-25:00",
            "08:00-18:00 Mars/Base",
            "24:00-01:00",
        ] {
            assert!(bad.parse::<Window>().is_err(), "{bad:?} passed");
        }
    }
}
