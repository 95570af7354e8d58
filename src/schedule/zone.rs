//! Between local times and instants. Local time is not a line: a change of the clocks skips some of it, or brings some of it twice.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// The time zone of a name, or the system's (`$TZ`, `/etc/localtime`) where none is given or there is none of that name.
pub fn zone(name: Option<&str>) -> TimeZone {
    name.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(TimeZone::system)
}

/// When a local time comes for the first time. One that is skipped comes when the clocks have moved.
pub(super) fn first(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    let at = zone.to_ambiguous_timestamp(local);
    match at.offset() {
        AmbiguousOffset::Gap { after, .. } => {
            // Read with the later offset it lies before the gap, by less than the gap is long.
            let before = after.to_timestamp(local).ok()?;
            let moved = zone.following(before).take(4).find(|change| change.offset() == after)?;
            Some(moved.timestamp())
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => at.compatible().ok(),
    }
}

/// When a local time comes for the last time.
pub(super) fn last(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    let at = zone.to_ambiguous_timestamp(local);
    match at.offset() {
        AmbiguousOffset::Fold { .. } => at.later().ok(),
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => first(zone, local),
    }
}

/// The latest local time that has come by now, in whole seconds: not always what clocks show, for where they moved back, they show
/// for a while what has been before.
pub(super) fn come(zone: &TimeZone, now: Timestamp) -> DateTime {
    let shown = zone.to_datetime(now);
    let shown = shown.with().subsec_nanosecond(0).build().unwrap_or(shown);
    let AmbiguousOffset::Fold { before, after } = zone.to_ambiguous_timestamp(shown).offset() else { return shown };
    if zone.to_offset(now) != after {
        return shown;
    }
    let moved = zone.preceding(now.saturating_add(1.nanosecond()).unwrap_or(now)).take(4).find(|c| c.offset() == after);
    moved
        .map(|change| before.to_datetime(change.timestamp()))
        .and_then(|end| end.checked_sub(1.second()).ok())
        .unwrap_or(shown)
}
