//! Months of backups, made by the jobs themselves with a clock that is moved: after each one there is what the rules promise.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use qbackd::job::backup::backup;
use qbackd::model::{Clock, FixedClock, Progress};

use super::{bench, context};

/// The days whose backups stay with `{ daily = 7, weekly = 4 }`, told from the calendar alone: `last` is the last of an unbroken
/// row of nightly backups that began with `first`.
fn promised(first: Date, last: Date) -> BTreeSet<Date> {
    let days = (0..7).map(|back| last - back.days());
    let sunday = |weeks: i64| {
        let monday = last - i64::from(last.weekday().to_monday_zero_offset()).days();
        (monday - (7 * weeks).days()) - 1.days()
    };
    let weeks = [last].into_iter().chain((0..3).map(sunday));
    days.chain(weeks).filter(|day| *day >= first).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_nightly_backups_leaves_what_the_rules_promise() {
    let bench = bench("keep = { daily = 7, weekly = 4 }\n");
    // At half past midnight in Berlin it is the day before in Greenwich, whose weeks must not count.
    bench.edit("[daemon]", "[daemon]\ntimezone = \"Europe/Berlin\"");
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let first = date(2026, 10, 1);
    let begin = first.at(0, 30, 0, 0).to_zoned(berlin.clone()).unwrap();
    let clock = Arc::new(FixedClock::new(begin.timestamp()));
    let context = context(&bench, clock.clone());
    let database = context.database(&"shop".parse().unwrap()).unwrap();
    for day in 0..50 {
        let due = begin.checked_add(day.days()).unwrap();
        clock.step(clock.now().duration_until(due.timestamp()));
        backup(&context, &database, None, &Progress::default()).await.unwrap();
        let left: BTreeSet<Date> = bench
            .listed()
            .iter()
            .map(|id| id[5..].parse::<qbackd::model::BackupId>().unwrap())
            .map(|id| id.started().to_zoned(berlin.clone()).date())
            .collect();
        assert_eq!(left, promised(first, due.date()), "after {}", due.date());
    }
    assert!(bench.unpublished().is_empty(), "data of deleted backups is left");
    let deleted = bench.runs("prune");
    assert_eq!(deleted.len(), 50 - bench.listed().len(), "each deletion is a run");
    assert!(deleted.iter().all(|run| run["outcome"] == "succeeded" && run["notes"][0] == "no rule keeps it"));
    assert!(deleted.iter().all(|run| run["stored_bytes"].as_u64().unwrap() > 0));
    clock.step(SignedDuration::from_secs(1));
    bench.ok(&["verify", "shop", "--level", "checksum"]);
}

#[test]
fn the_calendar_of_the_test_is_the_one_of_the_manual() {
    let kept = promised(date(2026, 9, 1), date(2026, 11, 20));
    let november = |day| date(2026, 11, day);
    assert_eq!(Vec::from_iter(kept), [1, 8, 14, 15, 16, 17, 18, 19, 20].map(november));
}
