//! The times of a day at which a schedule is due, in whole seconds after midnight.

use super::fields::{HOUR, MINUTE, SECOND};

/// Seconds of a day.
pub(super) const DAY: u32 = 86_400;

/// Times of a day. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Times {
    /// Midnight and every so many seconds after it; they divide a day.
    Every(u32),
    /// Each of these hours, at each of these minutes, at each of these seconds; one bit each.
    At { hours: u64, minutes: u64, seconds: u64 },
}

impl Times {
    /// Midnight alone.
    pub(super) const MIDNIGHT: Self = Self::Every(DAY);

    /// Reads `02:00` or `02:00:30` of OnCalendar, where each part may be a list, a range or a step.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (hour, minute, second, rest) = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(hour), Some(minute), None) = (hour, minute, rest) else {
            return Err(format!("`{text}` is no time: write one like `02:00`"));
        };
        Ok(Self::At {
            hours: HOUR.read(hour, "..")?,
            minutes: MINUTE.read(minute, "..")?,
            seconds: SECOND.read(second.unwrap_or("0"), "..")?,
        })
    }

    /// The first of these times at or after a second of the day.
    pub(super) fn next(&self, second: u32) -> Option<u32> {
        match *self {
            Self::Every(step) => Some(second.next_multiple_of(step)).filter(|at| *at < DAY),
            Self::At { hours, minutes, seconds } => {
                let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
                let within_minute = || at_or_above(seconds, s).filter(|_| has(minutes, m)).map(|s| (m, s));
                let within_hour = || within_minute().or_else(|| Some((at_or_above(minutes, m + 1)?, lowest(seconds))));
                let (h, (m, s)) = match within_hour().filter(|_| has(hours, h)) {
                    Some(rest) => (h, rest),
                    None => (at_or_above(hours, h + 1)?, (lowest(minutes), lowest(seconds))),
                };
                Some(h * 3600 + m * 60 + s)
            }
        }
    }

    /// The last of these times at or before a second of the day.
    pub(super) fn previous(&self, second: u32) -> Option<u32> {
        match *self {
            Self::Every(step) => Some(second - second % step),
            Self::At { hours, minutes, seconds } => {
                let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
                let within_minute = || below(seconds, s + 1).filter(|_| has(minutes, m)).map(|s| (m, s));
                let within_hour = || within_minute().or_else(|| Some((below(minutes, m)?, highest(seconds))));
                let (h, (m, s)) = match within_hour().filter(|_| has(hours, h)) {
                    Some(rest) => (h, rest),
                    None => (below(hours, h)?, (highest(minutes), highest(seconds))),
                };
                Some(h * 3600 + m * 60 + s)
            }
        }
    }
}

fn has(bits: u64, at: u32) -> bool {
    bits >> at & 1 == 1
}

fn lowest(bits: u64) -> u32 {
    bits.trailing_zeros()
}

fn highest(bits: u64) -> u32 {
    63 - bits.leading_zeros()
}

/// The lowest bit at `at` or above; `at` is below 64.
fn at_or_above(bits: u64, at: u32) -> Option<u32> {
    let rest = bits & (u64::MAX << at);
    (rest != 0).then(|| lowest(rest))
}

/// The highest bit below `at`, which is below 64.
fn below(bits: u64, at: u32) -> Option<u32> {
    let rest = bits & !(u64::MAX << at);
    (rest != 0).then(|| highest(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every second of a day, the obvious way.
    fn all(times: &Times) -> Vec<u32> {
        (0..DAY)
            .filter(|second| match *times {
                Times::Every(step) => second % step == 0,
                Times::At { hours, minutes, seconds } => {
                    has(hours, second / 3600) && has(minutes, second / 60 % 60) && has(seconds, second % 60)
                }
            })
            .collect()
    }

    #[test]
    fn next_and_previous_find_what_a_walk_through_all_seconds_finds() {
        let texts =
            ["02:00", "00:00:00", "23:59:59", "0,12:0/7:30", "*:*:*", "8..18/3:15,45:0/20", "*/5:*/13:59", "0:0:59"];
        let read = texts.iter().map(|text| Times::read(text).unwrap());
        for times in read.chain([60, 100, 5400, 21_600, DAY].map(Times::Every)) {
            let all = all(&times);
            for second in (0..DAY).step_by(7).chain([DAY - 1]).chain(all.iter().take(500).copied()) {
                let after = all.partition_point(|at| *at < second);
                assert_eq!(times.next(second), all.get(after).copied(), "{times:?} after {second}");
                let until = all.partition_point(|at| *at <= second);
                assert_eq!(times.previous(second), until.checked_sub(1).map(|i| all[i]), "{times:?} until {second}");
            }
        }
    }
}
