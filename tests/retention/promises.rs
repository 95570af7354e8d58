//! Whatever backups there are and whatever the rules: the promises hold, and the answer is the reference's.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use qbackd::model::{BackupId, BackupType, Timespan};
use qbackd::retention::{Candidate, Decision, Keep, Rules, Verdict, decide, in_order_of_deletion};

use super::{at, id, reference};

const NOW: &str = "2026-11-20T02:05:00Z";
const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"];

/// Seconds before now: close together, in the same weeks, over years; a few from the future.
fn age() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => (0..200i64).prop_map(|n| n * 900),
        4 => (0..90i64, 0..3i64).prop_map(|(days, hours)| days * 86_400 + hours * 3600),
        3 => 0..80_000_000i64,
        1 => -400_000..0i64,
    ]
}

/// A full backup and what builds on it: the age of the full, and for each incremental the time since its parent, whether it is
/// missing, and what is known of it.
type Chain = (i64, (bool, bool), Vec<(i64, bool, (bool, bool))>);

fn chain() -> impl Strategy<Value = Chain> {
    let known = || (prop::bool::weighted(0.85), prop::bool::weighted(0.05));
    let child = (prop_oneof![1..7200i64, 1..400_000i64], prop::bool::weighted(0.05), known());
    (age(), known(), prop::collection::vec(child, 0..6))
}

fn backups() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(chain(), 0..14).prop_map(|chains| {
        let mut all = Vec::new();
        for (number, (age, known, children)) in chains.into_iter().enumerate() {
            let candidate = |age: i64, place: usize, parent: Option<&Candidate>, (good, pinned)| {
                let started = at(NOW) - SignedDuration::from_secs(age);
                let kind = if parent.is_some() { "incremental" } else { "full" };
                let id = id(started, kind, &format!("{number}{place}"));
                Candidate {
                    parent: parent.map(|parent| parent.id.clone()),
                    chain: parent.map_or_else(|| id.clone(), |parent| parent.chain.clone()),
                    finished: started,
                    stored_bytes: 1,
                    id,
                    good,
                    pinned,
                }
            };
            let mut age = age;
            let mut last = candidate(age, 0, None, known);
            all.push(last.clone());
            for (place, (step, missing, known)) in children.into_iter().enumerate() {
                age -= step;
                last = candidate(age, place + 1, Some(&last), known);
                if !missing {
                    all.push(last.clone());
                }
            }
        }
        all
    })
}

fn rules() -> impl Strategy<Value = Keep> {
    let number = || prop::option::weighted(0.25, (1..9u32).prop_map(|n| NonZeroU32::new(n).unwrap()));
    let span = || prop::option::weighted(0.2, (1..4_000_000u64).prop_map(Timespan::from_secs));
    (number(), number(), [number(), number(), number(), number(), number()], [span(), span(), span()]).prop_map(
        |(last, full, [hourly, daily, weekly, monthly, yearly], [within, incremental, pitr])| Keep {
            last,
            within,
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
            full,
            incremental,
            pitr,
        },
    )
}

fn zones() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(&ZONES[..]).prop_map(|name| TimeZone::get(name).unwrap())
}

fn now() -> Timestamp {
    at(NOW)
}

fn decisions(backups: &[Candidate], keep: &Keep, zone: &TimeZone) -> Vec<Decision> {
    decide(backups, &Rules { keep: Some(keep), zone, hold: None }, now())
}

fn stays(decisions: &[Decision]) -> BTreeSet<BackupId> {
    decisions.iter().filter(|d| d.verdict == Verdict::Keep).map(|d| d.id.clone()).collect()
}

fn only(backups: &[Candidate], ids: &BTreeSet<BackupId>) -> Vec<Candidate> {
    backups.iter().filter(|b| ids.contains(&b.id)).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(600), ..ProptestConfig::default() })]

    #[test]
    fn the_answer_is_that_of_the_slow_reference(backups in backups(), keep in rules(), zone in zones()) {
        let kept = stays(&decisions(&backups, &keep, &zone));
        prop_assert_eq!(kept, reference::kept(&backups, &keep, &zone, now()));
    }

    #[test]
    fn what_is_kept_can_be_restored_and_the_newest_good_full_is_kept(
        backups in backups(), keep in rules(), zone in zones()
    ) {
        let decided = decisions(&backups, &keep, &zone);
        let kept = stays(&decided);
        prop_assert_eq!(decided.len(), backups.len());
        prop_assert!(decided.iter().all(|d| !d.reasons.is_empty()));
        let there: BTreeSet<&BackupId> = backups.iter().map(|b| &b.id).collect();
        for backup in backups.iter().filter(|b| kept.contains(&b.id)) {
            for needed in backup.parent.iter().chain([&backup.chain]).filter(|needed| there.contains(needed)) {
                prop_assert!(kept.contains(needed), "{} is kept and {needed} is not", backup.id);
            }
        }
        let fulls = backups.iter().filter(|b| b.id.kind() == BackupType::Full && b.good && b.id.started() <= now());
        match fulls.map(|b| &b.id).max() {
            Some(newest) => prop_assert!(kept.contains(newest)),
            None => prop_assert_eq!(kept.len(), backups.len()),
        }
        prop_assert!(backups.iter().filter(|b| b.pinned).all(|b| kept.contains(&b.id)));
    }

    #[test]
    fn nothing_goes_without_rules_or_under_a_hold(backups in backups(), keep in rules(), zone in zones()) {
        let all = decide(&backups, &Rules { keep: None, zone: &zone, hold: None }, now());
        prop_assert_eq!(stays(&all).len(), backups.len());
        let held = decide(&backups, &Rules { keep: Some(&keep), zone: &zone, hold: Some("odd") }, now());
        prop_assert_eq!(stays(&held).len(), backups.len());
    }

    #[test]
    fn the_order_of_the_listing_means_nothing(
        (one, other) in backups().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        keep in rules(),
        zone in zones(),
    ) {
        prop_assert_eq!(decisions(&one, &keep, &zone), decisions(&other, &keep, &zone));
    }

    #[test]
    fn once_the_rules_were_applied_they_have_nothing_more_to_delete(
        backups in backups(), keep in rules(), zone in zones()
    ) {
        let kept = stays(&decisions(&backups, &keep, &zone));
        prop_assert_eq!(stays(&decisions(&only(&backups, &kept), &keep, &zone)), kept);
    }

    #[test]
    fn a_larger_number_never_keeps_less(backups in backups(), keep in rules(), zone in zones()) {
        let more = |n: Option<NonZeroU32>| n.map(|n| n.saturating_add(1));
        let larger = Keep {
            last: more(keep.last),
            full: more(keep.full),
            hourly: more(keep.hourly),
            daily: more(keep.daily),
            weekly: more(keep.weekly),
            monthly: more(keep.monthly),
            yearly: more(keep.yearly),
            ..keep.clone()
        };
        let (few, many) = (stays(&decisions(&backups, &keep, &zone)), stays(&decisions(&backups, &larger, &zone)));
        prop_assert!(few.is_subset(&many));
    }

    #[test]
    fn one_that_is_not_good_pushes_no_good_one_out(
        backups in backups(), age in age(), keep in rules(), zone in zones()
    ) {
        let started = now() - SignedDuration::from_secs(age);
        let id = id(started, "full", "bad");
        let bad = Candidate {
            parent: None, chain: id.clone(), id, finished: started, stored_bytes: 1, good: false, pinned: false,
        };
        let before = stays(&decisions(&backups, &keep, &zone));
        let after = stays(&decisions(&[&backups[..], &[bad]].concat(), &keep, &zone));
        prop_assert!(before.is_subset(&after));
    }

    #[test]
    fn a_crash_between_two_deletions_leaves_nothing_whose_parent_went(
        backups in backups(), keep in rules(), zone in zones()
    ) {
        let decided = decisions(&backups, &keep, &zone);
        let going: Vec<&BackupId> = in_order_of_deletion(&decided).map(|d| &d.id).collect();
        prop_assert_eq!(going.len(), backups.len() - stays(&decided).len());
        for (moment, gone) in going.iter().enumerate() {
            let left = |b: &&Candidate| !going[..=moment].contains(&&b.id);
            let orphan = backups.iter().filter(left).find(|b| b.parent.as_ref() == Some(*gone) || b.chain == **gone);
            prop_assert!(orphan.is_none(), "{gone} went before {:?}", orphan.map(|b| &b.id));
        }
    }
}
