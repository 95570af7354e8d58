//! Schedules as they are written: which language it is, and the time zone behind it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::fields::is_named;
use super::pattern::Pattern;
use super::times::{DAY, Times};
use super::{cron, days::Days, oncalendar};
use crate::model::{Timespan, from_text, nearest};

/// When something is due: `02:00`, `Mon..Fri 12:00`, `every 6h`, cron, systemd OnCalendar; perhaps with a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// As written, with single spaces.
    pub text: String,
    /// The IANA name of its own time zone. Not given: the daemon's.
    pub zone: Option<String>,
    /// The local times it means; shared, since thousands of databases may have one schedule.
    pub(super) pattern: Arc<Pattern>,
}

const FORMS: &str = "write `02:00`, `Sun 02:00`, `every 6h`, five fields of cron, or a systemd OnCalendar";

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let whole = words.join(" ");
        let zone = zone(&mut words)?;
        let pattern = match words.as_slice() {
            [] => return Err(format!("it is empty: {FORMS}")),
            ["every", span @ ..] => every(&span.join(" "))?,
            [word] if word.starts_with('@') => cron::nickname(word)?,
            [word] => oncalendar::word(word).unwrap_or_else(|| oncalendar::read(&words))?,
            [_, _] | [_, _, _] => oncalendar::read(&words)?,
            [_, _, _, _, _] | [_, _, _, _, _, _] if !words.iter().any(|word| word.contains(':')) => cron::read(&words)?,
            _ => return Err(format!("`{whole}` is no schedule: {FORMS}")),
        };
        if !pattern.ever_comes() {
            return Err(format!("`{whole}` never comes: there is no such day"));
        }
        Ok(Self { text: whole, zone, pattern: Arc::new(pattern) })
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

fn every(text: &str) -> Result<Pattern, String> {
    let span: Timespan = text.parse()?;
    let secs = span.0.as_secs();
    if span.0.subsec_nanos() != 0 || secs < 60 {
        return Err(format!(
            "`every {text}` is shorter than a minute: write a length of time that divides a day, like `6h`"
        ));
    }
    match u32::try_from(secs) {
        Ok(secs) if DAY.is_multiple_of(secs) => Ok(Pattern { days: Days::every(), times: Times::Every(secs) }),
        _ => Err(format!(
            "`every {text}` does not divide a day: write one of 10m, 15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h, 24h"
        )),
    }
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
            "every 1h 30m",
            "0 2 * * FRIL Europe/Berlin",
            "0 2 1,LW * *",
            "@midnight",
            "semi-annually",
            "*-*~07/2",
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
            ("0 2 * * MON-FRI#1", "`MON-FRI` is no weekday"),
            ("0 2 * * L", "`L` alone is no weekday: write `5L`"),
            ("0 2 L,LW * *", "names two last days"),
            ("0 2 1-5W * *", "`1-5` is no day"),
            ("0 2 31W 2 *", "never comes"),
            ("0 2 * 2 MON#6", "is no week of a month"),
            ("@reboot", "`@reboot` is no schedule: write one of @hourly"),
            ("*-*~*/2", "`~*/2` begins nowhere"),
            ("Sun 2026-12-24", "never comes"),
            ("2026~12-24", "month 2026 is out of range"),
            ("every 7d", "does not divide a day"),
        ] {
            let error = bad.parse::<Schedule>().unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
