//! The same question answered slowly: for each backup by itself, is it kept? No lists that are sorted once, no indices.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use qbackd::model::{BackupId, BackupType};
use qbackd::retention::{Candidate, Keep};

/// The number of the period that an instant lies in.
type Period = fn(Timestamp, &TimeZone) -> i64;

/// The ids of what stays.
pub fn kept(backups: &[Candidate], keep: &Keep, zone: &TimeZone, now: Timestamp) -> BTreeSet<BackupId> {
    let by_id: BTreeMap<&BackupId, &Candidate> = backups.iter().map(|b| (&b.id, b)).collect();
    let good: Vec<&Candidate> = backups.iter().filter(|b| b.id.started() <= now && b.good).collect();
    let Some(best) = newest(good.iter().copied().filter(|b| is_full(b))) else {
        return backups.iter().map(|b| b.id.clone()).collect();
    };
    let mut kept: BTreeSet<&BackupId> = [&best.id].into();
    for backup in backups {
        if backup.pinned || backup.id.started() > now || any_rule(backup, &good, keep, zone, now) {
            kept.insert(&backup.id);
        }
    }
    // Until nothing changes: what is needed, and what follows.
    loop {
        let before = kept.len();
        for id in kept.clone() {
            let backup = by_id[id];
            kept.extend(backup.parent.iter().chain([&backup.chain]).filter(|needed| by_id.contains_key(needed)));
        }
        if keep.incremental.is_none() {
            kept.extend(backups.iter().filter(|b| kept.contains(&b.chain)).map(|b| &b.id).collect::<Vec<_>>());
        }
        if kept.len() == before {
            return kept.into_iter().cloned().collect();
        }
    }
}

fn is_full(backup: &Candidate) -> bool {
    backup.id.kind() == BackupType::Full
}

fn is_newer(a: &Candidate, b: &Candidate) -> bool {
    (a.id.started(), a.finished, &a.id) > (b.id.started(), b.finished, &b.id)
}

fn newest<'a>(of: impl Iterator<Item = &'a Candidate>) -> Option<&'a Candidate> {
    of.reduce(|a, b| if is_newer(a, b) { a } else { b })
}

fn any_rule(b: &Candidate, among: &[&Candidate], keep: &Keep, zone: &TimeZone, now: Timestamp) -> bool {
    let newer = || among.iter().filter(|other| is_newer(other, b));
    let below = |limit: Option<std::num::NonZeroU32>, count: usize| limit.is_some_and(|n| count < n.get() as usize);
    let age = now.duration_since(b.id.started());
    let young = |than: Option<qbackd::model::Timespan>| {
        than.is_some_and(|than| age <= SignedDuration::try_from(than.0).unwrap())
    };
    let periods: [(Option<std::num::NonZeroU32>, Period); 5] =
        [(keep.hourly, hour), (keep.daily, day), (keep.weekly, week), (keep.monthly, month), (keep.yearly, year)];
    let first_of = periods.iter().any(|(limit, period)| {
        let mine = period(b.id.started(), zone);
        let later: BTreeSet<i64> = newer().map(|other| period(other.id.started(), zone)).collect();
        !later.contains(&mine) && below(*limit, later.len())
    });
    let newer_fulls = newer().filter(|other| is_full(other)).count();
    let by_full = is_full(b)
        && (below(keep.full, newer_fulls)
            || young(keep.pitr)
            || keep.pitr.is_some_and(|than| {
                let old = |other: &&&Candidate| {
                    now.duration_since(other.id.started()) > SignedDuration::try_from(than.0).unwrap()
                };
                !newer().filter(|other| is_full(other)).any(|other| old(&other))
            })
            || Keep { incremental: None, ..keep.clone() } == Keep::default());
    below(keep.last, newer().count())
        || young(keep.within)
        || first_of
        || by_full
        || !is_full(b) && young(keep.incremental)
}

fn local_seconds(at: Timestamp, zone: &TimeZone) -> i64 {
    at.as_second() + i64::from(zone.to_offset(at).seconds())
}

/// Hours since the epoch on the wall, and which wall.
fn hour(at: Timestamp, zone: &TimeZone) -> i64 {
    local_seconds(at, zone).div_euclid(3600) * 1_000_000 + i64::from(zone.to_offset(at).seconds())
}

fn day(at: Timestamp, zone: &TimeZone) -> i64 {
    local_seconds(at, zone).div_euclid(86_400)
}

/// The epoch was a Thursday.
fn week(at: Timestamp, zone: &TimeZone) -> i64 {
    (day(at, zone) + 3).div_euclid(7)
}

fn month(at: Timestamp, zone: &TimeZone) -> i64 {
    let date = zone.to_datetime(at);
    i64::from(date.year()) * 12 + i64::from(date.month())
}

fn year(at: Timestamp, zone: &TimeZone) -> i64 {
    i64::from(zone.to_datetime(at).year())
}
