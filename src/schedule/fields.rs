//! The small parts that schedules and windows are made of: lists, ranges and steps of numbers and names, weekdays, times.

use std::collections::BTreeSet;

/// The weekdays, Monday first.
pub(super) const WEEKDAYS: Names = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

const MONTHS: Names = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

type Names = &'static [&'static str];

/// One field of a schedule: which numbers it may hold, and their names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    what: &'static str,
    min: u32,
    max: u32,
    names: Names,
}

pub(super) const SECOND: Field = Field { what: "second", min: 0, max: 59, names: &[] };
pub(super) const MINUTE: Field = Field { what: "minute", ..SECOND };
pub(super) const HOUR: Field = Field { what: "hour", max: 23, ..SECOND };
pub(super) const DAY: Field = Field { what: "day", min: 1, max: 31, names: &[] };
pub(super) const MONTH: Field = Field { what: "month", min: 1, max: 12, names: &[] };
pub(super) const YEAR: Field = Field { what: "year", min: 1970, max: 2199, names: &[] };
/// A month of cron, which may be named.
pub(super) const CRON_MONTH: Field = Field { names: MONTHS, ..MONTH };
/// A weekday of cron: 0 and 7 are Sunday.
pub(super) const CRON_WEEKDAY: Field = Field { what: "weekday", min: 0, max: 7, names: WEEKDAYS };
/// A weekday of systemd, counted from 0 for Monday; only its name is written.
const WEEKDAY: Field = Field { what: "weekday", min: 0, max: 6, names: WEEKDAYS };

impl Field {
    /// Reads a list of values, ranges (with `range` between the ends) and steps; tells the numbers it means, one bit each,
    /// counted from the field's smallest.
    pub(super) fn read(self, text: &str, range: &str) -> Result<u64, String> {
        Ok(self.values(text, range)?.into_iter().fold(0, |bits, value| bits | 1 << (value - self.min)))
    }

    /// [`read`](Self::read) where the numbers are too many for bits.
    pub(super) fn values(self, text: &str, range: &str) -> Result<BTreeSet<u32>, String> {
        let mut values = BTreeSet::new();
        for item in text.split(',') {
            let (base, step) = self.base_and_step(item)?;
            let (from, to) = match base.split_once(range) {
                _ if base == "*" => (self.min, self.max),
                Some((from, to)) => self.ends(from, to)?,
                None => {
                    let value = self.one(base)?;
                    (value, if step.is_some() { self.max } else { value })
                }
            };
            values.extend((from..=to).step_by(step.unwrap_or(1)));
        }
        Ok(values)
    }

    /// [`read`](Self::read) of numbers that count from the end, as days behind `~`: a step goes on towards 1, which is the end.
    pub(super) fn read_from_end(self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for item in text.split(',') {
            let (base, step) = self.base_and_step(item)?;
            let (from, to) = match base.split_once("..") {
                _ if base == "*" => {
                    return Err(format!("`~{item}` says nothing: write `~01` for the last {}", self.what));
                }
                Some((from, to)) => self.ends(from, to)?,
                None => {
                    let value = self.one(base)?;
                    (if step.is_some() { self.min } else { value }, value)
                }
            };
            for value in (from..=to).rev().step_by(step.unwrap_or(1)) {
                bits |= 1 << (value - self.min);
            }
        }
        Ok(bits)
    }

    fn base_and_step(self, item: &str) -> Result<(&str, Option<usize>), String> {
        match item.split_once('/') {
            Some((base, step)) => Ok((base, Some(self.step(step)? as usize))),
            None => Ok((item, None)),
        }
    }

    /// Both ends of a range.
    fn ends(self, from: &str, to: &str) -> Result<(u32, u32), String> {
        let (first, last) = match (self.one(from)?, self.one(to)?) {
            // Sunday ends a week as well as it begins one.
            (first, 0) if self.max == 7 && first > 0 => (first, 7),
            ends => ends,
        };
        if first > last {
            return Err(format!("a range of {}s from {from} to {to} ends before it begins", self.what));
        }
        Ok((first, last))
    }

    fn step(self, text: &str) -> Result<u32, String> {
        text.parse()
            .ok()
            .filter(|step| (1..=self.max).contains(step))
            .ok_or_else(|| format!("`/{text}` is no step of {}s: write `/N` with N from 1 to {}", self.what, self.max))
    }

    /// Reads a single value.
    pub(super) fn one(self, text: &str) -> Result<u32, String> {
        if let Some(at) = position(self.names, text) {
            // cron counts Sunday as 0 and Monday as 1; months from 1; systemd's weekdays are only ever named.
            return Ok(if self.max == 7 { (at + 1) % 7 } else { at + self.min });
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits {
            return Err(match self.names {
                [] => format!("`{text}` is no {}: write {} to {}", self.what, self.min, self.max),
                _ => format!("`{text}` is no {}: write a name like `{}`", self.what, short(self.names[0])),
            });
        }
        text.parse()
            .ok()
            .filter(|value| (self.min..=self.max).contains(value))
            .ok_or_else(|| format!("{} {text} is out of range: write {} to {}", self.what, self.min, self.max))
    }
}

fn short(name: &str) -> String {
    name.char_indices().take(3).map(|(i, c)| if i == 0 { c.to_ascii_uppercase() } else { c }).collect()
}

/// The place of a name in a list: whole, or its first three letters, in any case.
fn position(names: Names, text: &str) -> Option<u32> {
    let text = text.to_ascii_lowercase();
    let same = |name: &str| name == text || (text.len() == 3 && name.starts_with(text.as_str()));
    (0..).zip(names).find(|(_, name)| same(name)).map(|(at, _)| at)
}

/// Whether a word is made of names of weekdays or months, as in `Mon..Fri` and `JAN,FEB`.
pub(super) fn is_named(word: &str) -> bool {
    let name = |part: &str| position(WEEKDAYS, part).is_some() || position(MONTHS, part).is_some();
    // `FRIL` of cron is the last Friday.
    let known = |part: &str| name(part) || part.strip_suffix('L').is_some_and(name);
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = word.split([',', '-', '/', '#', '.']);
    parts.clone().any(known) && parts.all(|part| known(part) || number(part))
}

/// Reads `Mon`, `Sat,Sun`, `Mon..Fri`; Monday is the lowest bit.
pub(super) fn weekdays(text: &str) -> Result<u64, String> {
    let mut bits = 0;
    for item in text.split(',') {
        let (from, to) = item.split_once("..").or_else(|| item.split_once('-')).unwrap_or((item, item));
        let (from, to) = (weekday(from)?, weekday(to)?);
        let mut day = from;
        loop {
            bits |= 1 << day;
            if day == to {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Ok(bits)
}

fn weekday(text: &str) -> Result<u32, String> {
    position(WEEKDAYS, text).ok_or_else(|| format!("`{text}` is no {}: write a name like `Mon`", WEEKDAY.what))
}
