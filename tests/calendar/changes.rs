//! Changes of the clocks, leap days and far jumps.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use qbackd::schedule::{Calendar, Window, longest_gap, open_from};

use super::{ZONES, after, calendar, instant, shown, zone};

/// A schedule, and the obvious way to see whether a local time fits.
#[derive(Debug, Clone)]
enum Case {
    Daily(i8, i8),
    Weekdays(Vec<i8>, i8, i8),
    DayOfMonth(i8, i8, i8),
    FromEnd(i8, i8, i8),
    Every(i32),
    CronSteps(i32, i8, i8),
}

impl Case {
    fn text(&self) -> String {
        const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        match self {
            Self::Daily(h, m) => format!("{h:02}:{m:02}"),
            Self::Weekdays(days, h, m) => {
                let names: Vec<_> = days.iter().map(|day| NAMES[*day as usize]).collect();
                format!("{} {h:02}:{m:02}", names.join(","))
            }
            Self::DayOfMonth(day, h, m) => format!("*-*-{day:02} {h:02}:{m:02}"),
            Self::FromEnd(day, h, m) => format!("*-*~{day:02} {h:02}:{m:02}"),
            Self::Every(minutes) => format!("every {minutes}m"),
            Self::CronSteps(step, from, to) => format!("*/{step} {from}-{to} * * *"),
        }
    }

    fn fits(&self, at: DateTime) -> bool {
        let minute = i32::from(at.hour()) * 60 + i32::from(at.minute());
        let clock = |h: i8, m: i8| (at.hour(), at.minute()) == (h, m);
        match self {
            Self::Daily(h, m) => clock(*h, *m),
            Self::Weekdays(days, h, m) => clock(*h, *m) && days.contains(&at.weekday().to_monday_zero_offset()),
            Self::DayOfMonth(day, h, m) => clock(*h, *m) && at.day() == *day,
            Self::FromEnd(day, h, m) => clock(*h, *m) && at.days_in_month() - at.day() + 1 == *day,
            Self::Every(minutes) => minute % minutes == 0,
            Self::CronSteps(step, from, to) => (*from..=*to).contains(&at.hour()) && i32::from(at.minute()) % step == 0,
        }
    }
}

fn case() -> impl Strategy<Value = Case> {
    // Most changes are in the small hours.
    let hour = prop_oneof![3 => 0i8..4, 1 => 0i8..24];
    let minute = prop_oneof![Just(0i8), Just(30i8), 0i8..60];
    let clock = (hour, minute);
    prop_oneof![
        3 => clock.clone().prop_map(|(h, m)| Case::Daily(h, m)),
        2 => (prop::sample::subsequence((0i8..7).collect::<Vec<_>>(), 1..7), clock.clone())
            .prop_map(|(days, (h, m))| Case::Weekdays(days, h, m)),
        1 => (1i8..32, clock.clone()).prop_map(|(day, (h, m))| Case::DayOfMonth(day, h, m)),
        1 => (1i8..32, clock).prop_map(|(day, (h, m))| Case::FromEnd(day, h, m)),
        3 => prop::sample::select(&[1, 10, 15, 30, 45, 60, 90, 120, 360, 720, 1440][..]).prop_map(Case::Every),
        2 => (1i32..60, 0i8..24, 0i8..24).prop_map(|(step, a, b)| Case::CronSteps(step, a.min(b), a.max(b))),
    ]
}

/// Every change of the clocks from 1975 to 2040.
fn changes(name: &str) -> Vec<Timestamp> {
    let zone = zone(name);
    let end = instant("2040-01-01T00:00:00Z");
    let moves = |at: &Timestamp| zone.to_offset(*at) != zone.to_offset(*at - 1.second());
    let all = zone.following(instant("1975-01-01T00:00:00Z")).map(|change| change.timestamp());
    all.take_while(|at| *at < end).filter(moves).collect()
}

/// Goes through every minute, with an eye on the furthest that clocks have shown: what is new at a minute is due then.
fn walk(case: &Case, name: &str, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let zone = zone(name);
    let mut due = Vec::new();
    // Clocks have gone back by an hour at most in these years; a day before shows it.
    let mut at = from - SignedDuration::from_hours(24);
    let mut furthest = zone.to_datetime(at);
    while at < to {
        at += SignedDuration::from_mins(1);
        let local = zone.to_datetime(at);
        let mut fits = false;
        while furthest < local {
            furthest += 1.minute();
            fits |= case.fits(furthest);
        }
        if fits && at > from {
            due.push(at);
        }
    }
    due
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(300), ..ProptestConfig::default() })]

    #[test]
    fn what_a_walk_through_all_minutes_around_a_change_finds_is_due_and_nothing_else(
        case in case(),
        name in prop::sample::select(ZONES),
        which in any::<prop::sample::Index>(),
        minutes in -2000i64..600,
        odd_nanos in 0i64..60_000_000_000,
    ) {
        let changes = changes(name);
        let middle = if changes.is_empty() { instant("2026-03-29T01:00:00Z") } else { *which.get(&changes) };
        let from = middle + SignedDuration::from_mins(minutes);
        let to = from + SignedDuration::from_hours(60);
        let expected = walk(&case, name, from, to);
        let calendar = calendar(&case.text(), name);
        let found: Vec<_> = std::iter::successors(calendar.next_after(from), |at| calendar.next_after(*at))
            .take_while(|at| *at <= to)
            .collect();
        // All of them would be a long message.
        let differ = found.iter().map(Some).chain([None]).zip(expected.iter().map(Some).chain([None])).find(|(a, b)| a != b);
        prop_assert!(differ.is_none(), "{:?}", differ);
        // Between two minutes, and backwards.
        for at in expected.iter().copied().step_by(1 + expected.len() / 40).chain([from, middle]) {
            let odd = at + SignedDuration::from_nanos(odd_nanos);
            if odd < from || odd > to {
                continue;
            }
            let (past, future) = expected.split_at(expected.partition_point(|due| *due <= odd));
            if let Some(latest) = past.last() {
                prop_assert_eq!(calendar.latest_until(odd), Some(*latest));
            }
            if let Some(next) = future.first() {
                prop_assert_eq!(calendar.next_after(odd), Some(*next));
            }
        }
    }

    #[test]
    fn however_far_now_jumps_the_next_time_is_after_it_and_nothing_is_between(
        text in prop::sample::select(&[
            "02:00", "Sun 02:30", "every 6h", "every 100s", "0 2 29 2 *", "0 2 * 2 MON#5", "Sun *-02-29 03:00", "*:*:*", "0 2 LW * *",
            "*-*~31 00:00", "2100-01-01", "yearly", "*/13 */5 * * * *",
        ][..]),
        name in prop::sample::select(ZONES),
        second in -10_000_000_000i64..200_000_000_000,
        nanos in 0i32..1_000_000_000,
        more in 0i64..10_000_000_000,
    ) {
        let calendar = calendar(text, name);
        let now = Timestamp::new(second, nanos).unwrap();
        let later = now + SignedDuration::from_secs(more);
        let next = calendar.next_after(now);
        prop_assert_eq!(next, calendar.clone().next_after(now));
        if let Some(next) = next {
            prop_assert!(next > now);
            prop_assert_eq!(calendar.next_after(next - 1.nanosecond()), Some(next));
            prop_assert_eq!(calendar.latest_until(next), Some(next));
            prop_assert_eq!(calendar.latest_until(next - 1.nanosecond()), calendar.latest_until(now));
            prop_assert!(calendar.next_after(later).is_none_or(|then| then >= next));
        }
        if let Some(latest) = calendar.latest_until(now) {
            prop_assert!(latest <= now);
            prop_assert_eq!(calendar.next_after(latest), next);
            prop_assert!(calendar.latest_until(later).is_some_and(|then| then >= latest));
        }
    }

    #[test]
    fn an_open_instant_is_the_first_that_no_window_covers(
        windows in prop::collection::vec((0i8..7, 0u16..1440, 1u16..1440, prop::sample::select(ZONES)), 1..6),
        name in prop::sample::select(ZONES),
        which in any::<prop::sample::Index>(),
        minutes in -3000i64..3000,
    ) {
        let windows: Vec<Window> = windows
            .into_iter()
            .map(|(day, from, length, zone)| {
                let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][day as usize];
                let to = (from + length) % 1440;
                let text = format!("{day} {:02}:{:02}-{:02}:{:02} {zone}", from / 60, from % 60, to / 60, to % 60);
                text.parse().unwrap()
            })
            .collect();
        let changes = changes(name);
        let middle = if changes.is_empty() { instant("2026-03-29T01:00:00Z") } else { *which.get(&changes) };
        let at = middle + SignedDuration::from_mins(minutes);
        let utc = zone("UTC");
        let open = open_from(&windows, at, &utc).unwrap();
        prop_assert!(open >= at);
        let covered = |at| windows.iter().any(|window| window.blocked_until(at, &utc).is_some());
        prop_assert!(!covered(open));
        let mut minute = at;
        while minute < open {
            prop_assert!(covered(minute), "{minute} is open already");
            minute += SignedDuration::from_mins(1);
        }
    }
}

#[test]
fn a_time_that_is_skipped_comes_once_right_after_and_one_that_comes_twice_counts_once() {
    let berlin = |text, from| shown(text, "Europe/Berlin", from, 3);
    assert_eq!(
        berlin("02:30", "2026-03-28T12:00:00Z"),
        ["03-29 03:00 +02:00", "03-30 02:30 +02:00", "03-31 02:30 +02:00"]
    );
    assert_eq!(
        berlin("30 2 * * *", "2026-10-24T12:00:00Z"),
        ["10-25 02:30 +02:00", "10-26 02:30 +01:00", "10-27 02:30 +01:00"]
    );
    // Half an hour on Lord Howe.
    assert_eq!(
        shown("02:15", "Australia/Lord_Howe", "2026-10-02T20:00:00Z", 2),
        ["10-04 02:30 +11:00", "10-05 02:15 +11:00"]
    );
    assert_eq!(
        shown("01:45", "Australia/Lord_Howe", "2026-04-03T20:00:00Z", 2),
        ["04-05 01:45 +11:00", "04-06 01:45 +10:30"]
    );
    // The 30th of December 2011 was left out on Samoa: what was due then came as the 31st began.
    assert_eq!(
        shown("02:00", "Pacific/Apia", "2011-12-29T11:00:00Z", 3),
        ["12-29 02:00 -10:00", "12-31 00:00 +14:00", "12-31 02:00 +14:00"]
    );
}

#[test]
fn every_30m_counts_each_half_hour_of_the_clock_once_on_days_with_a_change() {
    // 02:00 and 02:30 are skipped and come with 03:00; nothing is doubled.
    assert_eq!(
        shown("every 30m", "Europe/Berlin", "2026-03-29T00:00:00Z", 3),
        ["03-29 01:30 +01:00", "03-29 03:00 +02:00", "03-29 03:30 +02:00"]
    );
    // The second hour from 02:00 to 03:00 brings nothing new.
    assert_eq!(
        shown("every 30m", "Europe/Berlin", "2026-10-25T00:00:00Z", 3),
        ["10-25 02:30 +02:00", "10-25 03:00 +01:00", "10-25 03:30 +01:00"]
    );
    let half_hours = calendar("every 30m", "Europe/Berlin");
    let second_time = instant("2026-10-25T01:10:00Z");
    assert_eq!(half_hours.next_after(second_time), Some(instant("2026-10-25T02:00:00Z")));
    assert_eq!(half_hours.latest_until(second_time), Some(instant("2026-10-25T00:30:00Z")));
    assert_eq!(
        shown("every 6h", "Europe/Berlin", "2026-03-28T18:00:00Z", 4),
        ["03-29 00:00 +01:00", "03-29 06:00 +02:00", "03-29 12:00 +02:00", "03-29 18:00 +02:00"]
    );
}

#[test]
fn a_daily_schedule_is_due_once_for_each_day_through_every_change_of_every_zone() {
    for name in ZONES {
        for text in ["00:00", "00:30", "02:30", "03:00", "23:30"] {
            let calendar = calendar(text, name);
            for change in changes(name) {
                let from = change - SignedDuration::from_hours(72);
                let due = after(&calendar, from, 6);
                let days: Vec<Date> = due.iter().map(|at| calendar.zone().to_datetime(*at).date()).collect();
                let mut count = BTreeMap::<Date, usize>::new();
                days.iter().for_each(|day| *count.entry(*day).or_default() += 1);
                // A day that is left out altogether is made good on the next, at midnight.
                let twice = count.values().filter(|n| **n > 1).count();
                let left_out = days.windows(2).filter(|pair| pair[1] > pair[0].tomorrow().unwrap()).count();
                let made_good = if text == "00:00" { 0 } else { left_out };
                assert_eq!(twice, made_good, "{name} {text} around {change}: {days:?}");
                assert!(
                    left_out == 0 || matches!(*name, "Pacific/Apia" | "Pacific/Kwajalein"),
                    "{name} {text}: {days:?}"
                );
            }
        }
    }
}

#[test]
fn leap_days_are_found_over_a_century_without_one() {
    let next = |text: &str, from: &str| calendar(text, "UTC").next_after(instant(from)).unwrap().to_string();
    for text in ["*-02-29 12:00", "0 12 29 2 *"] {
        assert_eq!(next(text, "2096-02-29T12:00:00Z"), "2104-02-29T12:00:00Z");
        assert_eq!(next(text, "2026-01-01T00:00:00Z"), "2028-02-29T12:00:00Z");
    }
    assert_eq!(next("Mon *-02-29", "2072-03-01T00:00:00Z"), "2112-02-29T00:00:00Z");
    assert_eq!(next("0 0 L 2 *", "2027-03-01T00:00:00Z"), "2028-02-29T00:00:00Z");
}

#[test]
fn what_is_over_is_never_due_again_and_was_last_due_then() {
    let past = calendar("2020-05-05 12:00", "UTC");
    let now = instant("2026-01-01T00:00:00Z");
    assert_eq!(past.next_after(now), None);
    assert_eq!(past.latest_until(now), Some(instant("2020-05-05T12:00:00Z")));
    assert_eq!(calendar("2030-05-05", "UTC").latest_until(now), None);
}

#[test]
fn the_longest_gap_of_schedules_is_that_between_all_of_them() {
    let now = instant("2026-05-06T12:34:56Z");
    let hours = |texts: &[&str]| {
        let calendars: Vec<Calendar> = texts.iter().map(|text| calendar(text, "UTC")).collect();
        longest_gap(&calendars, now).map(|gap| gap.as_secs() / 3600)
    };
    assert_eq!(hours(&[]), None);
    assert_eq!(hours(&["2020-01-01"]), None);
    assert_eq!(hours(&["2027-01-01"]), None);
    assert_eq!(hours(&["every 1h"]), Some(24));
    assert_eq!(hours(&["02:00"]), Some(24));
    assert_eq!(hours(&["Mon..Fri 12:00"]), Some(72));
    assert_eq!(hours(&["* 8-17 * * MON-FRI"]), Some(62));
    assert_eq!(hours(&["Sun 02:00"]), Some(7 * 24));
    assert_eq!(hours(&["Sun 02:00", "Wed 02:00"]), Some(4 * 24));
    assert_eq!(hours(&["Mon..Sat 02:00", "Sun 04:00"]), Some(26));
    assert_eq!(hours(&["*-*-01 02:00"]), Some(31 * 24));
    assert_eq!(hours(&["yearly"]), Some(366 * 24));
    assert_eq!(hours(&["*-02-29"]), Some(1461 * 24));
    // The summer without backups is a long way off.
    assert_eq!(hours(&["*-01..06-* 02:00"]), Some(185 * 24));
}

#[test]
fn windows_follow_the_clock_over_midnight_and_over_its_changes() {
    let window: Window = "Sat 22:00-02:30 Europe/Berlin".parse().unwrap();
    let utc = zone("UTC");
    let until = |at| window.blocked_until(instant(at), &utc).map(|end| end.to_string());
    // An ordinary night, its first and last moment.
    assert_eq!(until("2026-05-09T19:59:59Z"), None);
    assert_eq!(until("2026-05-09T20:00:00Z").as_deref(), Some("2026-05-10T00:30:00Z"));
    assert_eq!(until("2026-05-10T00:29:59Z").as_deref(), Some("2026-05-10T00:30:00Z"));
    assert_eq!(until("2026-05-10T00:30:00Z"), None);
    // 02:30 is skipped: it ends with the change. 02:30 comes twice: it ends with the second.
    assert_eq!(until("2026-03-28T22:00:00Z").as_deref(), Some("2026-03-29T01:00:00Z"));
    assert_eq!(until("2026-10-24T22:00:00Z").as_deref(), Some("2026-10-25T01:30:00Z"));
    assert_eq!(until("2026-10-25T01:29:00Z").as_deref(), Some("2026-10-25T01:30:00Z"));
    let open = |texts: &[&str], at| {
        let windows: Vec<Window> = texts.iter().map(|text| text.parse().unwrap()).collect();
        open_from(&windows, instant(at), &utc).map(|open| open.to_string())
    };
    assert_eq!(open(&[], "2026-05-09T20:00:00Z").as_deref(), Some("2026-05-09T20:00:00Z"));
    let days = ["Mon..Fri 08:00-18:00", "Fri 18:00-24:00", "Sat,Sun 00:00-24:00"];
    assert_eq!(open(&days, "2026-05-08T12:00:00Z").as_deref(), Some("2026-05-11T00:00:00Z"));
    assert_eq!(open(&["08:00-20:00", "20:00-08:00"], "2026-05-08T12:00:00Z"), None);
    assert_eq!(open(&["00:00-24:00"], "2026-05-08T12:00:00Z"), None);
}

#[test]
fn ten_thousand_calendars_say_their_next_time_at_once() {
    let texts = [
        "02:00",
        "Sun 02:00",
        "every 6h",
        "0 2 * * MON-FRI",
        "*-*~01 03:00",
        "0 2 29 2 *",
        "Sun *-02-29",
        "0 2 * 2 MON#5",
    ];
    let begin = std::time::Instant::now();
    let calendars: Vec<_> = (0..10_000).map(|i| calendar(texts[i % texts.len()], ZONES[i % ZONES.len()])).collect();
    println!("parsed in {:?}", begin.elapsed());
    let begin = std::time::Instant::now();
    let now = instant("2026-10-24T22:00:00Z");
    let due = calendars.iter().filter(|calendar| calendar.next_after(now).is_some()).count();
    let took = begin.elapsed();
    assert_eq!(due, 10_000);
    let begin = std::time::Instant::now();
    calendars.iter().for_each(|calendar| assert!(calendar.latest_until(now).is_some()));
    let back = begin.elapsed();
    let begin = std::time::Instant::now();
    calendars.iter().for_each(|calendar| assert!(longest_gap(std::slice::from_ref(calendar), now).is_some()));
    println!("{took:?} {back:?} {:?}", begin.elapsed());
    // Without optimisation, on a busy machine; a walk through the days of years would take minutes.
    assert!(took.as_secs() < 5, "{took:?}");
}
