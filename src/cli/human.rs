//! Times and lengths of time as people read them.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::model::timespan::rough;

/// An instant in the machine's time zone, with its offset: `2026-11-20 03:00:00 +01:00`.
pub(super) fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// An instant in a time zone, with its weekday and offset: `Fri 2026-11-20 03:00:00 +01:00`.
pub(super) fn in_zone(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string()
}

/// How long ago: `now`, `5m ago`, `3h ago`, `12d ago`; `in 3h` for what is to come.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let past = now.duration_since(at);
    match (rough(past.unsigned_abs().as_secs()), past.is_negative()) {
        (None, _) => "now".into(),
        (Some(length), false) => format!("{length} ago"),
        (Some(length), true) => format!("in {length}"),
    }
}

/// How long something took: `0.4s`, `12s`, `3m 05s`, `2h 10m`.
pub(super) fn took(length: SignedDuration) -> String {
    let ms = u64::try_from(length.as_millis()).unwrap_or(0);
    match ms / 1000 {
        0..10 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        s @ 10..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        s => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_where_they_are_read_with_their_offset() {
        let at = "2026-11-20T02:00:00Z".parse().unwrap();
        assert_eq!(in_zone(at, &TimeZone::fixed(jiff::tz::offset(5))), "Fri 2026-11-20 07:00:00 +05:00");
    }

    #[test]
    fn ages_name_the_unit_people_would() {
        let now: Timestamp = "2026-11-20T02:00:00Z".parse().unwrap();
        let before = |seconds| ago(now - SignedDuration::from_secs(seconds), now);
        assert_eq!([0, 59, 60, 7199].map(before), ["now", "now", "1m ago", "1h ago"]);
        assert_eq!([3 * 3600, 47 * 3600, 48 * 3600].map(before), ["3h ago", "47h ago", "2d ago"]);
        assert_eq!(before(-7200), "in 2h");
    }

    #[test]
    fn lengths_have_two_figures_that_matter() {
        let took = |ms| took(SignedDuration::from_millis(ms));
        assert_eq!([0, 449, 9_999].map(took), ["0.0s", "0.4s", "9.9s"]);
        assert_eq!([12_700, 185_000, 7_800_000].map(took), ["12s", "3m 05s", "2h 10m"]);
        assert_eq!(took(-5), "0.0s");
    }
}
