//! Schedules in the language of crontab(5): five fields, or six that start with seconds. Days are matched as
//! vixie-cron does it: day of the month *or* day of the week, if neither begins with `*`. What is more than numbers is croner's.

use std::collections::BTreeSet;

use croner::parser::CronParser;
use croner::{CronComponent, CronPattern};

use super::days::Days;
use super::fields::{CRON_MONTH, CRON_WEEKDAY, DAY, Field, HOUR, MINUTE, SECOND};
use super::pattern::Pattern;
use super::times::Times;

/// Reads five or six fields.
pub(super) fn read(words: &[&str]) -> Result<Pattern, String> {
    let (second, fields) = match words {
        [second, fields @ ..] if words.len() == 6 => (*second, fields),
        fields => ("0", fields),
    };
    let [minute, hour, day, month, weekday] = fields else {
        return Err("cron has five fields, or six that start with seconds: write them like `0 2 * * *`".to_owned());
    };
    let times = Times::At {
        hours: HOUR.read(hour, "-")?,
        minutes: MINUTE.read(minute, "-")?,
        seconds: SECOND.read(second, "-")?,
    };
    let days = match plain(day, weekday) {
        Some((dates, weekdays)) => Days::dates(dates?).on(weekdays?),
        None => Days::cron(croner(day, weekday)?),
    };
    Ok(Pattern { days: days.in_months(CRON_MONTH.read(month, "-")?), times })
}

/// The nicknames of crontab(5), with their `@`.
pub(super) fn nickname(word: &str) -> Result<Pattern, String> {
    let fields = match word {
        "@hourly" => ["0", "*", "*", "*", "*"],
        "@daily" | "@midnight" => ["0", "0", "*", "*", "*"],
        "@weekly" => ["0", "0", "*", "*", "0"],
        "@monthly" => ["0", "0", "1", "*", "*"],
        "@yearly" | "@annually" => ["0", "0", "1", "1", "*"],
        _ => {
            return Err(format!(
                "`{word}` is no schedule: write one of @hourly, @daily, @weekly, @monthly, @yearly, or a time like `02:00`"
            ));
        }
    };
    read(&fields)
}

type Bits = Result<u64, String>;

/// Days of the month and weekdays (Monday the lowest bit) of which a day must be both; `None` where it is more than that.
fn plain(day: &str, weekday: &str) -> Option<(Bits, Bits)> {
    let numbers =
        !day.contains(['L', 'W']) && !weekday.contains('#') && !weekday.split(',').any(|item| item.ends_with('L'));
    let both = [day, weekday].iter().any(|field| field.starts_with(['*', '?']));
    let read = |field: Field, text| field.read(if text == "?" { "*" } else { text }, "-");
    // Bit 0 is Sunday, as is bit 7.
    let weekdays = |bits: u64| bits >> 1 | (bits & 1) << 6;
    (numbers && both).then(|| (read(DAY, day), read(CRON_WEEKDAY, weekday).map(weekdays)))
}

/// What croner is to match: numbers only, so that it need not understand more than we checked.
fn croner(day: &str, weekday: &str) -> Result<CronPattern, String> {
    if day.split(',').any(|item| item == "L") && day.split(',').any(|item| item == "LW") {
        return Err(format!("`{day}` names two last days: write `L` or `LW`"));
    }
    let star = |field: &str| matches!(field, "*" | "?");
    let both = !star(day) && !star(weekday) && (day.starts_with('*') || weekday.starts_with('*'));
    let and = if both { "+" } else { "" };
    let text = format!("0 0 {} * {and}{}", each(day, day_of_month)?, each(weekday, day_of_week)?);
    let mut cron =
        CronParser::new().parse(&text).map_err(|_| format!("`{day}` and `{weekday}` are no days of cron"))?;
    // Five thousand years that nobody asks for: many schedules would need much memory.
    cron.pattern.years = CronComponent::default();
    Ok(cron.pattern)
}

/// Translates each item of a list.
fn each(field: &str, with: fn(&str) -> Result<String, String>) -> Result<String, String> {
    if matches!(field, "*" | "?") {
        return Ok("*".to_owned());
    }
    let items: Result<Vec<_>, _> = field.split(',').map(with).collect();
    Ok(items?.join(","))
}

/// A day of the month: also the last one, the last from Monday to Friday, the nearest from Monday to Friday.
fn day_of_month(item: &str) -> Result<String, String> {
    match item.strip_suffix('W') {
        _ if matches!(item, "L" | "LW") => Ok(item.to_owned()),
        Some(day) => Ok(format!("{}W", DAY.one(day)?)),
        None => Ok(numbers(DAY.values(item, "-")?)),
    }
}

/// A day of the week: also the Nth one of a month, and the last one.
fn day_of_week(item: &str) -> Result<String, String> {
    if item == "L" {
        return Err("`L` alone is no weekday: write `5L` for the last Friday of a month".to_owned());
    }
    if let Some((day, nth)) = item.split_once('#') {
        let day = CRON_WEEKDAY.one(day)?;
        return match nth {
            "1" | "2" | "3" | "4" | "5" => Ok(format!("{day}#{nth}")),
            _ => Err(format!("`#{nth}` is no week of a month: write `#1` to `#5`")),
        };
    }
    match item.strip_suffix('L') {
        Some(day) => Ok(format!("{}L", CRON_WEEKDAY.one(day)?)),
        None => Ok(numbers(CRON_WEEKDAY.values(item, "-")?)),
    }
}

fn numbers(values: BTreeSet<u32>) -> String {
    values.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}
