//! Schedules as `qbackd check` shows them, and those that it refuses.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::configuration::Dir;

const AROUND: &str = "[destination.local]\nservice = 'memory'\n";

/// What `check` says of a file: exit code, stdout, stderr.
fn check(text: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let dir = Dir::with(&[("qbackd.toml", format!("{AROUND}{text}"))]);
    let output = Command::new(env!("CARGO_BIN_EXE_qbackd"))
        .args(["check", "--config", dir.path().to_str().unwrap()])
        .args(more)
        .env("TZ", "Asia/Tokyo")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Times that are far off, so that the day of the test does not matter.
const FAR: &str = "
[policy.nightly]
destinations = ['local']
encryption = 'none'
full = ['2098..2199-12-24 18:00', '2099-06-01 12:00 Europe/Berlin', '2020-01-01']
not_between = 'Wed 17:00-20:00'
[database.same]
engine = 'files'
files = ['/']
policy = 'nightly'
keep = { last = 3 }
[database.own]
engine = 'files'
files = ['/']
policy = 'nightly'
full = 'Mon 2099-*-01 00:30:30 America/New_York'
[database.off]
engine = 'files'
files = ['/']
policy = 'nightly'
full = '12:00'
enabled = false
";

#[test]
fn check_shows_the_next_three_times_of_each_schedule_in_its_time_zone() {
    // 2098-12-24 is a Wednesday, as are those of 2104 and 2110.
    let (code, out, err) = check(FAR, &[]);
    assert_eq!(code, Some(0), "{err}");
    let table = out.split_once("\n\n").unwrap().1;
    let expected = "\
IN              KEY   SCHEDULE                                 NEXT
policy nightly  full  2098..2199-12-24 18:00                   Wed 2098-12-24 18:00:00 +09:00, held back until Wed 2098-12-24 20:00:00 +09:00
                                                               Thu 2099-12-24 18:00:00 +09:00
                                                               Fri 2100-12-24 18:00:00 +09:00
policy nightly  full  2099-06-01 12:00 Europe/Berlin           Mon 2099-06-01 12:00:00 +02:00
policy nightly  full  2020-01-01                               never again
database own    full  Mon 2099-*-01 00:30:30 America/New_York  Mon 2099-06-01 00:30:30 -04:00
";
    assert_eq!(table, expected);
    let (_, out, _) = check(&format!("[daemon]\ntimezone = 'Europe/Berlin'\n{FAR}"), &[]);
    assert!(out.contains("Thu 2099-12-24 18:00:00 +01:00"), "{out}");
    assert!(out.contains("Mon 2099-06-01 00:30:30 -04:00"), "{out}");
}

#[test]
fn check_tells_the_next_times_in_json() {
    let (code, out, err) = check(FAR, &["--json"]);
    assert_eq!(code, Some(0), "{err}");
    let document: Value = serde_json::from_str(&out).unwrap();
    let first = &document["schedules"][0];
    let whole = serde_json::json!({
        "table": "policy", "name": "nightly", "key": "full", "schedule": "2098..2199-12-24 18:00", "time_zone": "Asia/Tokyo",
        "next": [
            { "due": "2098-12-24T09:00:00Z", "starts": "2098-12-24T11:00:00Z" },
            { "due": "2099-12-24T09:00:00Z", "starts": "2099-12-24T09:00:00Z" },
            { "due": "2100-12-24T09:00:00Z", "starts": "2100-12-24T09:00:00Z" },
        ],
    });
    assert_eq!(first, &whole);
    assert_eq!(document["schedules"][2]["next"], Value::Array(Vec::new()));
    assert_eq!(document["schedules"].as_array().map(Vec::len), Some(4));
}

#[test]
fn windows_that_leave_no_time_are_refused_where_they_stand() {
    let text = |windows: &str| {
        let zone = "[daemon]\ntimezone = 'Europe/Berlin'\n";
        format!("{zone}[policy.nightly]\ndestinations = ['local']\nencryption = 'none'\nnot_between = {windows}\n")
    };
    let dir = |windows: &str| Dir::with(&[("qbackd.toml", format!("{AROUND}{}", text(windows)))]);
    for windows in ["'00:00-24:00'", "['08:00-20:00', '20:00-08:00 Europe/Berlin']"] {
        let said = dir(windows).said();
        assert!(said.contains("error: `not_between` leaves no time\n --> /etc/qbackd/qbackd.toml:8:15"), "{said}");
    }
    for windows in ["'00:00-23:59'", "['Mon..Sat 00:00-24:00', 'Sun 00:00-22:00']", "[]"] {
        assert!(dir(windows).load().is_ok(), "{windows}: {}", dir(windows).said());
    }
}
