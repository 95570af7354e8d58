//! Which backups each rule of `keep` chooses, by itself.

use std::num::NonZeroU32;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::period::Period;
use super::{Candidate, Keep, Reason};
use crate::model::Timespan;

/// A backup that may be chosen: its place in the caller's list, and itself.
pub(super) type Entry<'a> = (usize, &'a Candidate);

/// What every rule of `keep` chooses among `set`, which is sorted, the newest first.
pub(super) fn select(keep: &Keep, set: &[Entry<'_>], zone: &TimeZone, now: Timestamp) -> Vec<(usize, Reason)> {
    let mut chosen = Vec::new();
    let full = |(_, backup): &&Entry<'_>| backup.is_full();
    let young = |(_, backup): &&Entry<'_>, than| is_younger(backup.id.started(), than, now);

    count(&mut chosen, "last", keep.last, set.iter().map(|(index, _)| (*index, None)));
    count(&mut chosen, "full", keep.full, set.iter().filter(full).map(|(index, _)| (*index, None)));
    for (rule, limit, period) in [
        ("hourly", keep.hourly, Period::Hour),
        ("daily", keep.daily, Period::Day),
        ("weekly", keep.weekly, Period::Week),
        ("monthly", keep.monthly, Period::Month),
        ("yearly", keep.yearly, Period::Year),
    ] {
        if limit.is_some() {
            count(&mut chosen, rule, limit, newest_of_each(period, set, zone));
        }
    }
    if let Some(than) = keep.within {
        let rule = Reason::Younger { rule: "within", than };
        chosen.extend(set.iter().filter(|entry| young(entry, than)).map(|(index, _)| (*index, rule.clone())));
    }
    if let Some(than) = keep.incremental {
        let rule = Reason::Younger { rule: "incremental", than };
        let kept = set.iter().filter(|entry| !full(entry) && young(entry, than));
        chosen.extend(kept.map(|(index, _)| (*index, rule.clone())));
    }
    if let Some(than) = keep.pitr {
        let rule = Reason::Younger { rule: "pitr", than };
        let within = set.iter().filter(|entry| full(entry) && young(entry, than));
        chosen.extend(within.map(|(index, _)| (*index, rule.clone())));
        let begin = set.iter().find(|entry| full(entry) && !young(entry, than));
        chosen.extend(begin.map(|(index, _)| (*index, Reason::WindowBegins(than))));
    }
    if is_silent_about_fulls(keep) {
        chosen.extend(set.iter().filter(full).map(|(index, _)| (*index, Reason::NoRuleForFulls)));
    }
    chosen
}

/// `incremental` alone is an age for incrementals; who writes nothing else has not asked for any full to be deleted.
fn is_silent_about_fulls(keep: &Keep) -> bool {
    Keep { incremental: None, ..keep.clone() }.is_empty()
}

/// The first so many of what is already in the order of the rule.
fn count(
    chosen: &mut Vec<(usize, Reason)>,
    rule: &'static str,
    limit: Option<NonZeroU32>,
    of_rule: impl Iterator<Item = (usize, Option<String>)>,
) {
    let of = limit.map_or(0, NonZeroU32::get);
    chosen.extend(
        (1..=of).zip(of_rule).map(|(place, (index, period))| (index, Reason::Place { rule, place, of, period })),
    );
}

/// The newest backup of each period that holds one, the newest period first.
fn newest_of_each<'a>(
    period: Period,
    set: &'a [Entry<'_>],
    zone: &'a TimeZone,
) -> impl Iterator<Item = (usize, Option<String>)> + 'a {
    let mut last: Option<String> = None;
    set.iter().filter_map(move |(index, backup)| {
        let name = period.name(&Zoned::new(backup.id.started(), zone.clone()));
        if last.as_ref() == Some(&name) {
            return None;
        }
        last = Some(name.clone());
        Some((*index, Some(name)))
    })
}

fn is_younger(started: Timestamp, than: Timespan, now: Timestamp) -> bool {
    // An age that does not fit is longer than all of time.
    SignedDuration::try_from(than.0).map_or(true, |than| now.duration_since(started) <= than)
}
