//! Many databases that need somebody at once: a machine that was off for days.

use std::collections::BTreeMap;

use super::{Desk, amend, desk, events, hook};
use crate::support::daemon::Daemon;
use crate::support::sinks::Sink;
use crate::support::sqlite::Shell;

/// No more than may wait for one notifier.
const MANY: usize = 60;

/// A bench with so many databases, which a daemon has seen.
fn seen(sink: &Sink) -> Desk {
    let more = (1..MANY).map(|n| format!("[database.db{n:02}]\nengine = 'command'\npolicy = 'plain'\ndump = ['x']\n"));
    let bench = desk("", &(hook("ops", &sink.url("ops")) + &more.collect::<String>()));
    bench.edit("[policy.plain]\n", "[policy.plain]\nstale_after = '2d'\nnotify = 'ops'\n");
    assert!(Daemon::start(&bench).stop().success());
    bench
}

/// What the sink heard of so many alarms: how often each database was named.
fn named(sink: &Sink, count: usize) -> BTreeMap<String, usize> {
    let mut named = BTreeMap::new();
    for _ in 0..count {
        let request = sink.next();
        let document: serde_json::Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        assert_eq!(document["event"], "stale");
        *named.entry(document["database"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    named
}

/// What the daemon has said of so many alarms.
fn said(daemon: &Daemon) {
    daemon.says_times("no good backup ever", MANY);
}

#[test]
fn each_of_many_that_grow_stale_at_once_is_told_once() {
    let sink = Sink::http();
    let bench = seen(&sink);
    amend(&bench, "UPDATE databases SET first_seen = first_seen - 3 * 86400000");
    let daemon = Daemon::start(&bench);
    said(&daemon);
    let told = named(&sink, MANY);
    assert!(told.len() == MANY, "{told:?}");
    // It goes on only when that is on the disk: nobody is told again before a day is over.
    daemon.is_told(&format!("{MANY} stale"));
    daemon.kill();
    let daemon = Daemon::start(&bench);
    daemon.is_told(&format!("{MANY} stale"));
    assert!(daemon.stop().success());
    assert!(sink.is_silent());
    assert_eq!(events(&bench, "stale").len(), MANY);
}

#[test]
fn a_kill_before_that_is_recorded_loses_no_alarm() {
    let sink = Sink::http();
    let bench = seen(&sink);
    amend(&bench, "UPDATE databases SET first_seen = first_seen - 3 * 86400000");
    // Somebody else writes to the history, so the daemon cannot.
    let mut writer = Shell::on(&bench.path("state/history.db"));
    writer.run("BEGIN IMMEDIATE;");
    let daemon = Daemon::start(&bench);
    said(&daemon);
    assert!(!daemon.log().iter().any(|line| line.contains("cannot record")), "it was told too late");
    daemon.kill();
    writer.kill();
    assert_eq!(events(&bench, "stale").len(), 0, "all of it or nothing");

    let daemon = Daemon::start(&bench);
    said(&daemon);
    // What the first one had sent before it died comes first.
    let mut told = BTreeMap::new();
    while told.len() < MANY {
        told.append(&mut named(&sink, 1));
    }
    assert!(daemon.stop().success());
    assert_eq!(events(&bench, "stale").len(), MANY);
}
