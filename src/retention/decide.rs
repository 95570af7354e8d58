//! `decide`: a verdict for each backup, with every reason for it.
//!
//! What any rule chooses is kept, and with it whatever it builds on. Three things no rule can delete: what is pinned, the newest
//! good full, and what a clock that was wrong dated into the future.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::select::{Entry, select};
use super::{Candidate, Keep, Reason};
use crate::model::{BackupId, BackupType, Timespan};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The rules; `None` keeps everything.
    pub keep: Option<&'a Keep>,
    /// Where days and weeks begin.
    pub zone: &'a TimeZone,
    /// Why nothing may be deleted at present, whatever the rules say.
    pub hold: Option<&'a str>,
}

/// Whether a backup stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It may go.
    Delete,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Delete => "delete",
        }
    }
}

/// What becomes of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Which.
    pub id: BackupId,
    /// Full or incremental.
    #[serde(rename = "type")]
    pub kind: BackupType,
    /// When it started.
    pub started: Timestamp,
    /// What it takes at the destination, in bytes.
    pub stored_bytes: u64,
    /// Whether it stays.
    pub verdict: Verdict,
    /// Every reason for it, at least one.
    pub reasons: Vec<Reason>,
}

/// Decides for each backup of one database at one destination, the newest first. `now` is compared with ages, nothing else.
pub fn decide(backups: &[Candidate], rules: &Rules<'_>, now: Timestamp) -> Vec<Decision> {
    let mut sorted: Vec<&Candidate> = backups.iter().collect();
    sorted.sort_unstable_by_key(|backup| Reverse(backup.when()));
    let mut reasons = whatever_the_rules(&sorted, rules, now);
    if let Some(keep) = rules.keep {
        for (index, reason) in by_the_rules(&sorted, keep, rules.zone, now) {
            reasons[index].push(reason);
        }
    }
    let places: HashMap<&BackupId, usize> = sorted.iter().enumerate().map(|(index, b)| (&b.id, index)).collect();
    keep_what_is_needed(&sorted, &places, &mut reasons);
    let age = rules.keep.and_then(|keep| keep.incremental);
    if age.is_none() {
        keep_with_their_fulls(&sorted, &places, &mut reasons);
        keep_what_is_needed(&sorted, &places, &mut reasons);
    }
    let kept: Vec<bool> = reasons.iter().map(|reasons| !reasons.is_empty()).collect();
    let full_stays = |backup: &Candidate| places.get(&backup.chain).is_some_and(|full| kept[*full]);
    let decided = sorted.iter().zip(reasons).map(|(backup, mut reasons)| {
        let verdict = if reasons.is_empty() { Verdict::Delete } else { Verdict::Keep };
        if verdict == Verdict::Delete {
            reasons.push(why_deleted(backup, full_stays(backup), age));
        }
        Decision {
            id: backup.id.clone(),
            kind: backup.id.kind(),
            started: backup.id.started(),
            stored_bytes: backup.stored_bytes,
            verdict,
            reasons,
        }
    });
    decided.collect()
}

/// What is to be deleted, in the order in which it may be: at no moment is anything left that builds on what is gone.
pub fn in_order_of_deletion(decisions: &[Decision]) -> impl Iterator<Item = &Decision> {
    let going = move |kind| decisions.iter().filter(move |d| d.verdict == Verdict::Delete && d.kind == kind);
    going(BackupType::Incremental).chain(going(BackupType::Full).rev())
}

fn is_from_the_future(backup: &Candidate, now: Timestamp) -> bool {
    backup.id.started() > now
}

/// Reasons to keep that no rule can overcome.
fn whatever_the_rules(sorted: &[&Candidate], rules: &Rules<'_>, now: Timestamp) -> Vec<Vec<Reason>> {
    // One from the future could be the only one with that title for years, while the real ones go.
    let newest_good = sorted.iter().position(|b| b.is_full() && b.good && !is_from_the_future(b, now));
    let of = |(index, backup): (usize, &&Candidate)| {
        let every = [
            rules.hold.map(|why| Reason::Held(why.to_owned())),
            rules.keep.is_none().then_some(Reason::NoKeep),
            backup.pinned.then_some(Reason::Pinned),
            is_from_the_future(backup, now).then_some(Reason::Future),
            newest_good.is_none().then_some(Reason::NoGoodFull),
            (newest_good == Some(index)).then_some(Reason::NewestGoodFull),
        ];
        every.into_iter().flatten().collect()
    };
    sorted.iter().enumerate().map(of).collect()
}

/// What the rules choose. The good ones are counted among themselves; each other one as if it alone were good with them.
fn by_the_rules(sorted: &[&Candidate], keep: &Keep, zone: &TimeZone, now: Timestamp) -> Vec<(usize, Reason)> {
    let counted = sorted.iter().copied().enumerate().filter(|(_, backup)| !is_from_the_future(backup, now));
    let (good, others): (Vec<Entry<'_>>, Vec<Entry<'_>>) = counted.partition(|(_, backup)| backup.good);
    let mut chosen = select(keep, &good, zone, now);
    for other in others {
        let mut with = good.clone();
        with.insert(good.partition_point(|(index, _)| *index < other.0), other);
        chosen.extend(select(keep, &with, zone, now).into_iter().filter(|(index, _)| *index == other.0));
    }
    chosen
}

/// Keeps the parents of what is kept, and theirs; and the full backup, should a link between be missing.
fn keep_what_is_needed(sorted: &[&Candidate], places: &HashMap<&BackupId, usize>, reasons: &mut [Vec<Reason>]) {
    let is_need = |reason: &Reason| matches!(reason, Reason::NeededBy(_));
    let mut open: Vec<usize> = (0..sorted.len()).rev().filter(|index| !reasons[*index].is_empty()).collect();
    while let Some(index) = open.pop() {
        let child = sorted[index];
        for needed in child.parent.iter().chain((!child.is_full()).then_some(&child.chain)) {
            let Some(&place) = places.get(needed).filter(|place| !reasons[**place].iter().any(is_need)) else {
                continue;
            };
            if reasons[place].is_empty() {
                open.push(place);
            }
            reasons[place].push(Reason::NeededBy(child.id.clone()));
        }
    }
}

/// Without an age of their own, incrementals live as long as their full.
fn keep_with_their_fulls(sorted: &[&Candidate], places: &HashMap<&BackupId, usize>, reasons: &mut [Vec<Reason>]) {
    for (index, backup) in sorted.iter().enumerate().filter(|(_, backup)| !backup.is_full()) {
        let full = places.get(&backup.chain).filter(|full| !reasons[**full].is_empty());
        if full.is_some() && reasons[index].is_empty() {
            reasons[index].push(Reason::FollowsFull(backup.chain.clone()));
        }
    }
}

fn why_deleted(backup: &Candidate, full_stays: bool, age: Option<Timespan>) -> Reason {
    match age {
        _ if backup.is_full() => Reason::NoRule,
        _ if !full_stays => Reason::WithoutFull(backup.chain.clone()),
        Some(age) => Reason::OlderThan(age),
        None => Reason::NoRule,
    }
}
