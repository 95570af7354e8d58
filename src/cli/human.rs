//! Times and lengths of time as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(super) use crate::model::figures::took;

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

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

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
}
