//! Schedules in the language of systemd.time(7): `[weekdays] [date] [time]`, and its words like `daily`.

use super::days::Days;
use super::fields::weekdays;
use super::pattern::Pattern;
use super::times::Times;

/// Reads `[weekdays] [date] [time]`, at least one of them.
pub(super) fn read(words: &[&str]) -> Result<Pattern, String> {
    let mut rest = words;
    let mut take = |wanted: fn(&str) -> bool| {
        let (first, more) = rest.split_first().filter(|(first, _)| wanted(first))?;
        rest = more;
        Some(*first)
    };
    let weekday = take(|word| word.starts_with(char::is_alphabetic));
    let date = take(|word| !word.contains(':'));
    let time = take(|_| true);
    if let Some(late) = date.filter(|word| word.starts_with(char::is_alphabetic)) {
        return Err(format!("`{late}` is in the wrong place: write weekdays first, as in `Sun 02:00`"));
    }
    if !rest.is_empty() {
        return Err(format!(
            "`{}` is no schedule: write weekdays, date and time, as in `Sun *-*-1..7 02:00`",
            words.join(" ")
        ));
    }
    let weekdays = weekday.map_or(Ok(0x7f), weekdays)?;
    let days = date.map_or(Ok(Days::every()), Days::read)?.on(weekdays);
    Ok(Pattern { days, times: time.map_or(Ok(Times::MIDNIGHT), Times::read)? })
}

/// The words of systemd, and what it says they mean.
pub(super) fn word(word: &str) -> Option<Result<Pattern, String>> {
    let words: &[&str] = match word {
        "minutely" => &["*:*"],
        "hourly" => &["*:00"],
        "daily" => &["00:00"],
        "weekly" => &["Mon", "00:00"],
        "monthly" => &["*-*-01"],
        "quarterly" => &["*-01,04,07,10-01"],
        "semiannually" | "semi-annually" | "biannually" | "bi-annually" => &["*-01,07-01"],
        "yearly" | "annually" => &["*-01-01"],
        _ => return None,
    };
    Some(read(words))
}
