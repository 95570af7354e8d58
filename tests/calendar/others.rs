//! Others who know the same languages: systemd for OnCalendar, croner for cron.

use std::process::Command;
use std::str::FromStr;

use croner::Cron;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use qbackd::schedule::Schedule;

use super::{after, calendar, instant};

/// What systemd says: the next `count` times in UTC. `None` if it refuses.
fn systemd(expression: &str, from: Timestamp, count: usize) -> Option<Vec<Timestamp>> {
    let base = format!("--base-time={}", from.strftime("%Y-%m-%d %H:%M:%S UTC"));
    let output = Command::new("systemd-analyze")
        .args(["calendar", &format!("--iterations={count}"), &base, expression])
        .envs([("TZ", "UTC"), ("LC_ALL", "C")])
        .output()
        .unwrap();
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("Failed to parse calendar specification"), "{expression}: {error}");
        return None;
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let due = |line: &str| {
        let (label, time) = line.trim().split_once(": ")?;
        let label = label == "Next elapse" || label.starts_with("Iter. #");
        // `Mon 2026-05-25 00:00:00 UTC`; `never` where nothing is left.
        let [_, date, clock, "UTC"] = *time.split(' ').collect::<Vec<_>>() else { return None };
        label.then(|| instant(&format!("{date}T{clock}Z")))
    };
    Some(text.lines().filter_map(due).collect())
}

#[test]
fn oncalendar_means_what_it_means_to_systemd() {
    let expressions = [
        "02:00",
        "2:00",
        "02:00:30",
        "Sun 02:00",
        "Sun",
        "Mon..Fri 12:00",
        "Mon-Fri 12:00",
        "sat,sun 03:30",
        "Mon,Wed..Fri *-1,6-1..9/3 8..10:0/20:30",
        "*-*-01 03:00",
        "*-01,07-01 03:00",
        "12-24 18:00",
        "2027-12-24",
        "2027..2030-*-29 04:00",
        "2026/2-01-01",
        "*-1..6/2-1",
        "*-02-29 12:00",
        "Sun *-*-1..7 03:00",
        "*-*-31 23:59:59",
        "*-*-01/7 04:00",
        "*-*~01 04:00",
        "*-*~3 04:00",
        "*-02~01..03 04:00",
        "*-*~01..05/2 04:00",
        "*-*~07/2 04:00",
        "Mon *-05~07/1 04:00",
        "Fri *-*~* 04:00",
        "Sun *-*~01 04:00",
        "*:0/15",
        "8..18/3:15,45",
        "*:*",
        "*:*:0/15",
        "2020-01-01 12:00",
        "minutely",
        "hourly",
        "daily",
        "weekly",
        "monthly",
        "quarterly",
        "semiannually",
        "semi-annually",
        "biannually",
        "bi-annually",
        "yearly",
        "annually",
    ];
    for zone in ["Europe/Berlin", "America/New_York", "Asia/Kathmandu"] {
        for from in ["2026-01-10T00:00:00Z", "2028-06-20T13:59:30Z"].map(instant) {
            for expression in expressions {
                let whole = format!("{expression} {zone}");
                assert_eq!(
                    after(&calendar(&whole, "UTC"), from, 5),
                    systemd(&whole, from, 5).unwrap(),
                    "{whole} after {from}"
                );
            }
        }
    }
}

/// A value, a list, a range or a step of numbers of two figures.
fn part(min: u32, max: u32) -> impl Strategy<Value = String> {
    let one = min..=max;
    prop_oneof![
        2 => one.clone().prop_map(|a| format!("{a:02}")),
        1 => prop::collection::btree_set(one.clone(), 2..4)
            .prop_map(|some| some.iter().map(|a| format!("{a:02}")).collect::<Vec<_>>().join(",")),
        1 => (one.clone(), one.clone()).prop_map(|(a, b)| format!("{:02}..{:02}", a.min(b), a.max(b))),
        1 => (one.clone(), one.clone(), 1..6u32).prop_map(|(a, b, step)| format!("{:02}..{:02}/{step}", a.min(b), a.max(b))),
        1 => (one, 1..9u32).prop_map(|(a, step)| format!("{a:02}/{step}")),
    ]
}

/// `part`, or a star more often than not.
fn part_or_star(min: u32, max: u32) -> impl Strategy<Value = String> {
    prop_oneof![3 => Just("*".to_owned()), 2 => part(min, max)]
}

fn weekdays() -> impl Strategy<Value = String> {
    prop::sample::select(&["", "", "Mon ", "Sat,Sun ", "Mon..Fri ", "Tue,Thu..Sat "][..]).prop_map(str::to_owned)
}

proptest! {
    // Each one starts a process.
    #![proptest_config(ProptestConfig { cases: (ProptestConfig::default().cases / 4).max(60), ..ProptestConfig::default() })]

    #[test]
    fn any_oncalendar_means_what_it_means_to_systemd(
        weekdays in weekdays(),
        (year, month, end, day) in (
            prop_oneof![4 => Just("*".to_owned()), 1 => part(2026, 2040)],
            part_or_star(1, 12),
            any::<bool>(),
            part_or_star(1, 28),
        ),
        (hour, minute) in (part_or_star(0, 23), part(0, 59)),
        second in 1_767_225_600i64..1_900_000_000,
    ) {
        let separator = if end { '~' } else { '-' };
        let text = format!("{weekdays}{year}-{month}{separator}{day} {hour}:{minute} UTC");
        let from = Timestamp::from_second(second).unwrap();
        // It refuses a step that leads nowhere, as in 07/6 for a month; to us that is 07.
        let theirs = systemd(&text, from, 4);
        prop_assume!(theirs.is_some());
        let ours = match text.parse::<Schedule>() {
            Ok(_) => after(&calendar(&text, "UTC"), from, 4),
            Err(error) => {
                prop_assert!(error.contains("never comes"), "{}", error);
                Vec::new()
            }
        };
        prop_assert_eq!(Some(ours), theirs, "{} after {}", text, from);
    }
}

#[test]
fn cron_means_what_it_means_to_croner() {
    for (fields, croner) in [
        ("0 2 * * *", "0 2 * * *"),
        ("*/15 * * * *", "*/15 * * * *"),
        ("5/20 8-18 * * MON-FRI", "5-59/20 8-18 * * 1-5"),
        ("30 0 2 * * *", "30 0 2 * * *"),
        ("*/7 0,30 4 1-7/2 * *", "*/7 0,30 4 1-7/2 * *"),
        ("0 2 1,15 JAN,december *", "0 2 1,15 1,12 *"),
        ("0 2 29 2 *", "0 2 29 2 *"),
        ("0 2 L * *", "0 2 L * *"),
        ("0 2 LW * *", "0 2 LW * *"),
        ("0 2 15W * ?", "0 2 15W * *"),
        ("0 2 1W,31W * *", "0 2 1W,31W * *"),
        ("0 2 * * 5L", "0 2 * * 5L"),
        ("0 2 * * FRIL", "0 2 * * 5L"),
        ("0 2 * * MON#1", "0 2 * * 1#1"),
        ("0 2 * 2 mon#5", "0 2 * 2 1#5"),
        ("0 2 * * 1#1,WED#3,7", "0 2 * * 1#1,3#3,0"),
        ("0 2 * * SAT-SUN", "0 2 * * 6,0"),
        ("0 2 ? * 5-7", "0 2 * * 5,6,0"),
        // Either of both, and both where one begins with a star.
        ("0 2 13 * FRI", "0 2 13 * 5"),
        ("0 2 */2 * MON", "0 2 1-31/2 * +1"),
        ("0 2 */2 3,6 MON#1", "0 2 1-31/2 3,6 +1#1"),
        ("0 2 L * */2", "0 2 L * +0,2,4,6"),
        ("0 2 1-3 2 SUN#2,3", "0 2 1-3 2 0#2,3"),
        ("0 2 ? * ?", "0 2 * * *"),
        ("0 2 1-7 * */2", "0 2 1-7 * +0,2,4,6"),
        ("@hourly", "0 * * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@annually", "0 0 1 1 *"),
    ] {
        let cron = Cron::from_str(croner).unwrap();
        let ours = calendar(fields, "UTC");
        for from in ["2026-01-10T00:00:00Z", "2027-12-31T23:59:59Z"].map(instant) {
            let theirs = cron.iter_after(from.to_zoned(TimeZone::UTC)).take(40).map(|at| at.timestamp());
            assert_eq!(after(&ours, from, 40), theirs.collect::<Vec<_>>(), "{fields} after {from}");
        }
    }
}
