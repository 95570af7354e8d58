//! Each rule by itself and with others: what it keeps, and what is said of it.

use qbackd::retention::{Candidate, Rules, Verdict, decide};

use super::{at, decided, full, keep, kept, on, why};

/// A full backup at two in the night of each of the last days of autumn 2026, up to Friday 20 November.
fn nightly(days: i64) -> Vec<Candidate> {
    let last = jiff::civil::date(2026, 11, 20);
    let day = |back| last.checked_sub(jiff::Span::new().days(back)).unwrap();
    (0..days).map(|back| full(&format!("{}T02:00:00Z", day(back)))).collect()
}

const NOW: &str = "2026-11-20T02:05:00Z";

#[test]
fn the_example_of_the_manual_keeps_seven_days_and_four_weeks() {
    let decisions = decided(&nightly(90), "daily = 7\nweekly = 4", NOW);
    let expected =
        ["11-20 02", "11-19 02", "11-18 02", "11-17 02", "11-16 02", "11-15 02", "11-14 02", "11-08 02", "11-01 02"];
    assert_eq!(kept(&decisions), expected);
    assert_eq!(
        why(&decisions, "2026-11-20T02:00:00Z"),
        ["newest good full", "daily 1 of 7: 2026-11-20", "weekly 1 of 4: 2026-W47"]
    );
    assert_eq!(why(&decisions, "2026-11-18T02:00:00Z"), ["daily 3 of 7: 2026-11-18"]);
    assert_eq!(why(&decisions, "2026-11-15T02:00:00Z"), ["daily 6 of 7: 2026-11-15", "weekly 2 of 4: 2026-W46"]);
    assert_eq!(why(&decisions, "2026-11-01T02:00:00Z"), ["weekly 4 of 4: 2026-W44"]);
    assert_eq!(why(&decisions, "2026-11-13T02:00:00Z"), ["no rule keeps it"]);
    // With the week's last backup among the seven days on no day but its own, it is ten at most.
    for days in 1..90 {
        assert!(kept(&decided(&nightly(days), "daily = 7\nweekly = 4", NOW)).len() <= 10, "after {days} days");
    }
}

#[test]
fn each_rule_keeps_what_its_name_says() {
    let backups = nightly(800);
    let count = |rules| kept(&decided(&backups, rules, NOW)).len();
    for (rules, expected) in [
        ("last = 5", 5),
        ("full = 3", 3),
        ("hourly = 9", 9),
        ("daily = 10", 10),
        ("weekly = 6", 6),
        ("monthly = 12", 12),
        ("yearly = 3", 3),
        // Younger than ten days or exactly so: the first of them started five minutes too early.
        ("within = '10d'", 10),
        ("within = '10d 5m'", 11),
        ("pitr = '3d'", 4),
    ] {
        assert_eq!(count(rules), expected, "{rules}");
    }
    assert_eq!(kept(&decided(&backups, "monthly = 3", NOW)), ["11-20 02", "10-31 02", "09-30 02"]);
    assert_eq!(kept(&decided(&backups, "yearly = 3", NOW)), ["11-20 02", "12-31 02", "12-31 02"]);
    let decisions = decided(&backups, "within = '30d'\nlast = 2\npitr = '3d'", NOW);
    assert_eq!(why(&decisions, "2026-11-19T02:00:00Z"), ["last 2 of 2", "within 30d", "pitr: within 3days"].map(spans));
    let begins = why(&decisions, "2026-11-17T02:00:00Z");
    assert_eq!(begins, ["within 30d", "pitr: the window of 3days begins with it"].map(spans));
}

/// Lengths of time are shown as humantime does.
fn spans(text: &str) -> String {
    text.replace("30d", "30days")
}

#[test]
fn of_each_period_the_newest_stays_and_not_the_oldest() {
    let hours = ["01", "09", "17"];
    let backups: Vec<_> = ["17", "18", "19"]
        .iter()
        .flat_map(|day| hours.map(|hour| full(&format!("2026-11-{day}T{hour}:00:00Z"))))
        .collect();
    assert_eq!(kept(&decided(&backups, "daily = 2", NOW)), ["11-19 17", "11-18 17"]);
    assert_eq!(kept(&decided(&backups, "hourly = 4", NOW)), ["11-19 17", "11-19 09", "11-19 01", "11-18 17"]);
}

#[test]
fn periods_are_counted_in_those_that_hold_a_backup() {
    let backups = ["2026-01-03", "2026-01-04", "2026-06-01", "2026-11-19"].map(|day| full(&format!("{day}T02:00:00Z")));
    assert_eq!(kept(&decided(&backups, "daily = 3", NOW)), ["11-19 02", "06-01 02", "01-04 02"]);
}

#[test]
fn days_begin_in_the_time_zone_of_the_policy() {
    let backups = ["2026-11-18T21:30:00Z", "2026-11-18T22:30:00Z", "2026-11-18T23:30:00Z"].map(full);
    let rules = keep("daily = 2");
    let in_zone = |name| {
        let zone = jiff::tz::TimeZone::get(name).unwrap();
        kept(&decide(&backups, &Rules { keep: Some(&rules), zone: &zone, hold: None }, at(NOW)))
    };
    assert_eq!(in_zone("UTC"), ["11-18 23"]);
    assert_eq!(in_zone("Europe/Berlin"), ["11-18 23", "11-18 22"]);
    assert_eq!(in_zone("Europe/Athens"), ["11-18 23", "11-18 21"]);
}

#[test]
fn it_is_the_start_that_counts_and_not_when_it_was_stored() {
    let mut backups = nightly(5);
    backups[4].finished = at("2026-11-20T02:04:00Z");
    assert_eq!(kept(&decided(&backups, "last = 2", NOW)), ["11-20 02", "11-19 02"]);
    // Of two that began in the same second the one that was complete later is the newer.
    let (mut first, mut second) = (full("2026-11-20T02:00:00Z"), full("2026-11-20T02:00:00Z"));
    second.id = super::id(at("2026-11-20T02:00:00Z"), "full", "00");
    first.id = super::id(at("2026-11-20T02:00:00Z"), "full", "11");
    first.finished = at("2026-11-20T02:00:01Z");
    second.finished = at("2026-11-20T02:00:02Z");
    let newer = second.id.clone();
    let decisions = decided(&[first, second], "last = 1", NOW);
    let kept: Vec<_> = decisions.iter().filter(|d| d.verdict == Verdict::Keep).map(|d| d.id.clone()).collect();
    assert_eq!(kept, [newer]);
}

#[test]
fn the_newest_good_full_stays_though_no_rule_keeps_it() {
    let mut backups = nightly(3);
    assert_eq!(kept(&decided(&backups, "within = '1m'", NOW)), ["11-20 02"]);
    backups[0].good = false;
    let decisions = decided(&backups, "within = '1m'", NOW);
    assert_eq!(kept(&decisions), ["11-19 02"]);
    assert_eq!(why(&decisions, "2026-11-19T02:00:00Z"), ["newest good full"]);
    backups.iter_mut().for_each(|backup| backup.good = false);
    let decisions = decided(&backups, "within = '1m'", NOW);
    assert_eq!(kept(&decisions).len(), 3);
    assert_eq!(why(&decisions, "2026-11-18T02:00:00Z"), ["there is no good full"]);
}

#[test]
fn a_backup_that_is_not_good_pushes_no_good_one_out() {
    let mut backups = nightly(5);
    backups[0].good = false;
    let decisions = decided(&backups, "last = 2", NOW);
    assert_eq!(kept(&decisions), ["11-20 02", "11-19 02", "11-18 02"]);
    assert_eq!(why(&decisions, "2026-11-19T02:00:00Z"), ["newest good full", "last 1 of 2"]);
}

#[test]
fn a_backup_from_the_future_stays_and_takes_nobodys_place() {
    let backups = [full("2035-01-01T02:00:00Z"), full("2026-11-19T02:00:00Z"), full("2026-11-18T02:00:00Z")];
    let decisions = decided(&backups, "last = 1", NOW);
    assert_eq!(kept(&decisions), ["01-01 02", "11-19 02"]);
    assert_eq!(why(&decisions, "2035-01-01T02:00:00Z"), ["from the future, so no rule counts it"]);
    assert_eq!(why(&decisions, "2026-11-19T02:00:00Z"), ["newest good full", "last 1 of 1"]);
}

#[test]
fn without_rules_or_under_a_hold_everything_stays() {
    let mut backups = nightly(20);
    backups[15].pinned = true;
    let zone = jiff::tz::TimeZone::UTC;
    let all = decide(&backups, &Rules { keep: None, zone: &zone, hold: None }, at(NOW));
    assert_eq!(kept(&all).len(), 20);
    assert_eq!(why(&all, "2026-11-03T02:00:00Z"), ["there is no `keep`"]);
    let rules = keep("last = 1");
    let held = decide(&backups, &Rules { keep: Some(&rules), zone: &zone, hold: Some("it is odd") }, at(NOW));
    assert_eq!(kept(&held).len(), 20);
    assert_eq!(why(&held, "2026-11-03T02:00:00Z"), ["held: it is odd"]);
    let decisions = decided(&backups, "last = 1", NOW);
    assert_eq!(kept(&decisions), ["11-20 02", "11-05 02"]);
    assert_eq!(why(&decisions, "2026-11-05T02:00:00Z"), ["pinned"]);
}

#[test]
fn an_incremental_keeps_what_it_builds_on_and_only_tails_are_cut() {
    let old = full("2026-11-08T02:00:00Z");
    let a = on(&old, "2026-11-09T02:00:00Z");
    let new = full("2026-11-15T02:00:00Z");
    let b = on(&new, "2026-11-16T02:00:00Z");
    let c = on(&b, "2026-11-17T02:00:00Z");
    let d = on(&c, "2026-11-18T02:00:00Z");
    let all = [old, a, new, b, c, d];

    // The newest needs all of its chain; the chain before it goes whole.
    let decisions = decided(&all, "last = 1", NOW);
    assert_eq!(kept(&decisions), ["11-18 02", "11-17 02", "11-16 02", "11-15 02"]);
    assert_eq!(why(&decisions, "2026-11-17T02:00:00Z"), ["20261118T020000Z-incremental-00000000 builds on it"]);
    assert_eq!(why(&decisions, "2026-11-09T02:00:00Z"), ["no rule keeps it, nor its full"]);

    // Without an age of their own incrementals live as long as their full.
    let decisions = decided(&all, "full = 2", NOW);
    assert_eq!(kept(&decisions).len(), 6);
    assert_eq!(why(&decisions, "2026-11-09T02:00:00Z"), ["its full is kept"]);

    // With one the tail that is older goes, and what a younger one needs stays.
    let decisions = decided(&all, "full = 2\nincremental = '3d'", NOW);
    assert_eq!(kept(&decisions), ["11-18 02", "11-17 02", "11-16 02", "11-15 02", "11-08 02"]);
    let age = "no rule keeps it: it is older than `incremental`, 3days";
    assert_eq!(why(&decisions, "2026-11-09T02:00:00Z"), [age]);
    assert_eq!(why(&decisions, "2026-11-18T02:00:00Z"), ["incremental: within 3days"]);

    // An age for incrementals alone asks for no full to go.
    let decisions = decided(&all, "incremental = '1h'", NOW);
    assert_eq!(kept(&decisions), ["11-15 02", "11-08 02"]);
    assert_eq!(why(&decisions, "2026-11-08T02:00:00Z"), ["no rule is about fulls"]);
}
