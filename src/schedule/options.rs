//! Schedules: when something is due. Here they are only read and refused; the times themselves are the calendar's matter.

use std::fmt;
use std::str::FromStr;

use super::fields::{
    CRON_MONTH, CRON_WEEKDAY, DAY, HOUR, MINUTE, MONTH, SECOND, YEAR, ever_comes, is_named, time, weekdays,
};
use crate::model::{Timespan, from_text, nearest};

/// When something is due: `02:00`, `Mon..Fri 12:00`, `every 6h`, cron, systemd OnCalendar; perhaps with a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// As written, with single spaces.
    pub text: String,
    /// Which language it is written in, with the text without the time zone.
    pub form: Form,
    /// The IANA name of its own time zone. Not given: the daemon's.
    pub zone: Option<String>,
}

/// The languages of schedules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `every 6h`, aligned to local midnight.
    Every(Timespan),
    /// cron with five fields, or six that start with seconds.
    Cron(String),
    /// systemd OnCalendar (systemd.time(7)), of which `02:00` and `Sun 02:00` are the simple cases.
    Calendar(String),
}

const WORDS: &[&str] =
    &["minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually"];

const FORMS: &str = "write `02:00`, `Sun 02:00`, `every 6h`, five fields of cron, or a systemd OnCalendar";

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let whole = words.join(" ");
        let zone = zone(&mut words)?;
        let rest = words.join(" ");
        let form = match words.as_slice() {
            [] => return Err(format!("it is empty: {FORMS}")),
            ["every", span @ ..] => Form::Every(every(&span.join(" "))?),
            [word] if WORDS.contains(&word.trim_start_matches('@')) => {
                Form::Calendar(word.trim_start_matches('@').to_owned())
            }
            [word, ..] if word.starts_with('@') => return Err(format!("`{word}` is no schedule: {FORMS}")),
            [_] | [_, _] | [_, _, _] => calendar(&words).map(|()| Form::Calendar(rest))?,
            [_, _, _, _, _] | [_, _, _, _, _, _] if !rest.contains(':') => cron(&words).map(|()| Form::Cron(rest))?,
            _ => return Err(format!("`{whole}` is no schedule: {FORMS}")),
        };
        Ok(Self { text: whole, form, zone })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

from_text!(Schedule);

/// Takes a time zone off the end.
pub(super) fn zone(words: &mut Vec<&str>) -> Result<Option<String>, String> {
    let Some(last) = words.last().copied().filter(|_| words.len() > 1) else { return Ok(None) };
    // `every 6 hours` ends in no time zone.
    if words[0] == "every" && (words.len() == 2 || words[1..].join(" ").parse::<Timespan>().is_ok()) {
        return Ok(None);
    }
    if !last.starts_with(|c: char| c.is_ascii_alphabetic()) || is_named(last) || matches!(last, "L" | "LW") {
        return Ok(None);
    }
    check_zone(last)?;
    words.pop();
    Ok(Some(last.to_owned()))
}

/// Whether a time zone of this name exists.
///
/// # Errors
/// There is none; says which was meant.
pub fn check_zone(name: &str) -> Result<(), String> {
    if jiff::tz::db().get(name).is_ok() {
        return Ok(());
    }
    let known: Vec<_> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    // Zones are compared in lower case, and shown as they are spelt.
    let lower: Vec<_> = known.iter().map(|name| name.to_lowercase()).collect();
    let near = nearest(name, lower.iter().map(String::as_str))
        .and_then(|near| known.iter().find(|name| name.to_lowercase() == near));
    let near = near.map_or("Europe/Berlin", String::as_str);
    Err(format!("`{name}` is no time zone: write its IANA name, like `{near}`"))
}

fn every(text: &str) -> Result<Timespan, String> {
    const DAY: u64 = 86_400;
    let span: Timespan = text.parse()?;
    let secs = span.0.as_secs();
    if span.0.subsec_nanos() != 0 || secs < 60 {
        return Err(format!(
            "`every {text}` is shorter than a minute: write a length of time that divides a day, like `6h`"
        ));
    }
    if !DAY.is_multiple_of(secs) {
        return Err(format!(
            "`every {text}` does not divide a day: write one of 10m, 15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h, 24h"
        ));
    }
    Ok(span)
}

/// `[weekdays] [date] [time]`, at least one of them.
fn calendar(words: &[&str]) -> Result<(), String> {
    let mut rest = words;
    let mut seen = false;
    if let Some((first, more)) = rest.split_first().filter(|(first, _)| first.starts_with(char::is_alphabetic)) {
        weekdays(first)?;
        (rest, seen) = (more, true);
    }
    if let Some((first, more)) = rest.split_first().filter(|(first, _)| !first.contains(':')) {
        if first.starts_with(char::is_alphabetic) {
            return Err(format!("`{first}` is in the wrong place: write weekdays first, as in `Sun 02:00`"));
        }
        date(first)?;
        (rest, seen) = (more, true);
    }
    match rest {
        [] if seen => Ok(()),
        [clock] => time(clock),
        _ => Err(format!("`{}` is no schedule: {FORMS}", words.join(" "))),
    }
}

/// `YYYY-MM-DD`, `MM-DD`, with `~` before a day that counts from the end of the month.
fn date(text: &str) -> Result<(), String> {
    let bad = || format!("`{text}` is no time and no date: write `02:00`, or a date like `*-*-01`");
    let (front, day) = text.rsplit_once(['-', '~']).ok_or_else(bad)?;
    let from_end = text.contains('~');
    let (year, month) = match front.split_once('-') {
        Some((year, month)) => (Some(year), month),
        None => (None, front),
    };
    if let Some(year) = year {
        YEAR.read(year, "..")?;
    }
    let (months, days) = (MONTH.read(month, "..")?, DAY.read(day, "..")?);
    if !from_end && !ever_comes(months, days) {
        return Err(format!("`{text}` never comes: no such month has that day"));
    }
    Ok(())
}

fn cron(words: &[&str]) -> Result<(), String> {
    let (second, fields) = if words.len() == 6 { (words.first(), &words[1..]) } else { (None, words) };
    let [minute, hour, day, month, weekday] = fields else {
        return Err(format!("cron has five fields: {FORMS}"));
    };
    if let Some(second) = second {
        SECOND.read(second, "-")?;
    }
    MINUTE.read(minute, "-")?;
    HOUR.read(hour, "-")?;
    let months = CRON_MONTH.read(month, "-")?;
    let days = match *day {
        "?" | "L" | "LW" => u64::MAX,
        day => DAY.read(day.strip_suffix('W').unwrap_or(day), "-")?,
    };
    match *weekday {
        "?" | "L" => {}
        weekday => {
            let (base, nth) = weekday.split_once('#').unwrap_or((weekday, "1"));
            let base = if weekday.len() > 1 { base.strip_suffix('L').unwrap_or(base) } else { base };
            CRON_WEEKDAY.read(base, "-")?;
            if !nth.parse().is_ok_and(|nth: u8| (1..=5).contains(&nth)) {
                return Err(format!("`#{nth}` is no week of a month: write `#1` to `#5`"));
            }
        }
    }
    if matches!(*weekday, "*" | "?") && !ever_comes(months, days) {
        return Err(format!("`{day} {month}` never comes: no such month has that day"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_design_is_understood() {
        for good in [
            "02:00",
            "2:00",
            "Sun 02:00",
            "Mon..Fri 12:00",
            "mon-fri 12:00",
            "Sat,Sun 02:30:15",
            "every 6h",
            "every 30m",
            "every 1d",
            "every 6 hours",
            "every 6h Europe/Berlin",
            "0 2 * * *",
            "*/15 * * * *",
            "0 2 * * MON-FRI",
            "0 2 1,15 JAN *",
            "30 0 2 * * *",
            "0 2 L * *",
            "0 2 * * 5L",
            "0 2 * * MON#1",
            "0 2 15W * ?",
            "0 2 * * 7",
            "0 2 * * SAT-SUN",
            "02:00 Europe/Berlin",
            "0 2 * * * UTC",
            "Mon *-*-1..7 02:00",
            "*-*-* 02:00:00",
            "*-01,07-01 03:00",
            "*-*~01 02:00",
            "2026-12-24",
            "daily",
            "@weekly",
            "*:0/15",
            "Sun",
            "12-24 18:00 America/New_York",
            "Fri..Mon 02:00",
        ] {
            assert!(good.parse::<Schedule>().is_ok(), "{good}: {:?}", good.parse::<Schedule>());
        }
    }

    #[test]
    fn nonsense_is_refused_for_what_it_is() {
        for (bad, why) in [
            ("", "it is empty"),
            ("25:00", "hour 25 is out of range: write 0 to 23"),
            ("02:60", "minute 60 is out of range"),
            ("2am", "`2am` is no time and no date"),
            ("Sunn 02:00", "`Sunn` is no weekday"),
            ("02:00 Sun", "`02:00 Sun` is no schedule"),
            ("every 5h", "does not divide a day"),
            ("every 0s", "shorter than a minute"),
            ("every day", "`day` is not a length of time"),
            ("every", "`` is not a length of time"),
            ("0 2 * *", "`0 2 * *` is no schedule"),
            ("0 24 * * *", "hour 24 is out of range"),
            ("0 2 30 2 *", "never comes"),
            ("0 2 * * 8", "weekday 8 is out of range"),
            ("*/0 * * * *", "is no step"),
            ("5-1 * * * *", "ends before it begins"),
            ("*-02-30 02:00", "never comes"),
            ("*-13-01 02:00", "month 13 is out of range"),
            ("02:00 Europe/Berln", "`Europe/Berln` is no time zone: write its IANA name, like `Europe/Berlin`"),
            ("02:00:00:00", "is no time"),
            ("a b c d e f g h", "is no time zone"),
            ("0 2 * * MON#9", "is no week of a month"),
        ] {
            let error = bad.parse::<Schedule>().unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
