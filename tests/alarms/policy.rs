//! Failures, pauses and what ends them; silence; sizes: what the daemon does about them, and what is shown at each step.

use super::{Desk, amend, break_it, desk, events, heard, hook, mend_it, pair, state, status};
use crate::support::daemon::{Daemon, until};
use crate::support::sinks::Sink;

/// Until the database is in this state, with so many failures.
fn becomes(bench: &Desk, wanted: &str, failures: u64) {
    until(&format!("{wanted} with {failures} failures"), || (state(bench) == (wanted.into(), failures)).then_some(()));
}

#[test]
fn a_series_of_attempts_is_one_failure_and_so_many_of_them_pause() {
    let sink = Sink::http();
    let keys = "full = '*/5 * * * * *'\nretry = { attempts = 2, after = '10ms' }\npause_after = 2\nnotify = 'ops'\n";
    let bench = desk(keys, &hook("ops", &sink.url("ops")));
    break_it(&bench);
    let daemon = Daemon::start(&bench);
    assert_eq!(heard(&sink), pair("/ops", "failed"));
    becomes(&bench, "failing", 1);
    daemon.is_told("1 failing");
    assert_eq!([heard(&sink), heard(&sink)], [pair("/ops", "failed"), pair("/ops", "paused")]);
    becomes(&bench, "paused", 2);
    daemon.is_told("STATUS=1 database, 1 paused");
    let (code, all) = status(&bench);
    let shop = &all["databases"][0];
    assert_eq!((code, &shop["next"], &shop["pause"]["by"]), (3, &serde_json::Value::Null, &"failures".into()));
    let line = daemon.says("paused after 2 failures: ");
    assert!(line.contains("`qbackd backup shop`; a success ends the pause"), "{line}");

    // It is left alone, and once it goes on it is tried again; its failures are forgotten.
    let runs = bench.runs("backup");
    bench.ok(&["resume", "shop"]);
    until("it runs again", || (bench.runs("backup").len() > runs.len()).then_some(()));
    assert_eq!((runs[0]["attempt"].as_u64(), runs[1]["attempt"].as_u64()), (Some(2), Some(1)));
    let reasons: Vec<_> = runs.iter().map(|run| run["error"].as_str().unwrap()).collect();
    assert!(reasons.iter().all(|error| error.contains("the server is away")), "{reasons:?}");
    assert_eq!((events(&bench, "failed").len(), events(&bench, "paused").len()), (2, 1));
    let again = daemon.log().iter().filter(|line| line.contains("; again in ")).count();
    assert!(again >= 2, "each series has a first attempt: {:?}", daemon.log());
    assert_eq!(daemon.log().iter().filter(|line| line.contains("paused after")).count(), 1);
    assert!(daemon.stop().success());
}

#[test]
fn a_pause_by_failures_ends_by_resume_reset_a_success_and_an_edit_of_its_own_tables() {
    let sink = Sink::http();
    let other = "[database.blog]\nengine = 'command'\npolicy = 'plain'\ndump = ['echo', 'x']\n";
    let keys = "pause_after = 1\nretry = { attempts = 1 }\nnotify = 'ops'\n";
    let bench = desk(keys, &(hook("ops", &sink.url("ops")) + other));
    let daemon = Daemon::start(&bench);
    assert_eq!(state(&bench), ("validating".into(), 0));
    daemon.is_told("2 validating");
    bench.ok(&["backup", "shop"]);
    assert_eq!(state(&bench), ("active".into(), 0));
    break_it(&bench);
    let pause = || {
        bench.fails(1, &["backup", "shop"]);
        assert_eq!([heard(&sink), heard(&sink)], [pair("/ops", "failed"), pair("/ops", "paused")]);
        assert_eq!(state(&bench), ("paused".into(), 1));
    };
    pause();
    bench.ok(&["resume", "shop"]);
    assert_eq!(state(&bench), ("active".into(), 0));
    pause();
    bench.ok(&["reset-failed", "shop"]);
    assert_eq!(state(&bench), ("active".into(), 0));
    pause();
    mend_it(&bench);
    bench.ok(&["backup", "shop"]);
    assert_eq!(state(&bench), ("active".into(), 0));
    assert_eq!(heard(&sink), pair("/ops", "recovered"));
    break_it(&bench);
    pause();
    bench.edit("dump = ['echo', 'x']", "dump = ['echo', 'y']");
    bench.ok(&["reload"]);
    assert_eq!(state(&bench), ("paused".into(), 1), "the edit was of another database");
    bench.edit("pause_after = 1", "pause_after = 1\ntimeout = '7m'");
    bench.ok(&["reload"]);
    assert_eq!(state(&bench), ("active".into(), 0));
    daemon.says("shop: it was paused after failures; its tables were edited, so it goes on");
    // The next start is not an edit.
    pause();
    assert!(daemon.stop().success());
    let daemon = Daemon::start(&bench);
    assert_eq!(state(&bench), ("paused".into(), 1));
    assert!(daemon.stop().success());
    assert!(sink.is_silent());
    assert_eq!(
        (events(&bench, "failed").len(), events(&bench, "paused").len(), events(&bench, "recovered").len()),
        (5, 5, 1)
    );
}

#[test]
fn a_success_that_ends_a_pause_makes_up_for_what_was_due_meanwhile() {
    let bench = desk("full = '*/5 * * * * *'\npause_after = 1\nretry = { attempts = 1 }\n", "");
    break_it(&bench);
    let daemon = Daemon::start(&bench);
    daemon.says("paused after 1 failure");
    let paused = jiff::Timestamp::now();
    // An instant of the schedule passes.
    until("five seconds", || (jiff::Timestamp::now().as_second() / 5 > paused.as_second() / 5).then_some(()));
    mend_it(&bench);
    bench.ok(&["backup", "shop"]);
    daemon.says_times("shop: ok: ", 2);
    assert!(daemon.stop().success());
    let runs = bench.runs("backup");
    let time = |run: &serde_json::Value, key: &str| run[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let by_hand = runs.iter().position(|run| run["due"].is_null()).unwrap();
    assert!(time(&runs[by_hand - 1], "due") > time(&runs[by_hand], "started"), "{runs:?}");
}

#[test]
fn silence_is_an_alarm_though_nothing_ever_ran_and_ends_with_the_next_success() {
    let sink = Sink::http();
    let bench = desk("stale_after = '3d'\nnotify = 'ops'\n", &hook("ops", &sink.url("ops")));
    let daemon = Daemon::start(&bench);
    daemon.is_told("1 validating");
    assert!(daemon.stop().success());
    // Nothing ever ran, and nothing ever failed.
    amend(&bench, "UPDATE databases SET first_seen = first_seen - 4 * 86400000");
    let daemon = Daemon::start(&bench);
    assert_eq!(heard(&sink), pair("/ops", "stale"));
    daemon.says("no good backup ever, and it has been waited for for 4d");
    daemon.is_told("1 stale");
    let (code, all) = status(&bench);
    assert_eq!(
        (code, &all["databases"][0]["stale"], &all["databases"][0]["state"]),
        (3, &true.into(), &"validating".into())
    );
    assert!(daemon.stop().success());
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop"]);
    assert_eq!(heard(&sink), pair("/ops", "recovered"), "and it was told once");
    assert_eq!((status(&bench).0, state(&bench)), (0, ("active".into(), 0)));
    daemon.is_told("all fresh");
    bench.ok(&["backup", "shop"]);
    assert!(daemon.stop().success());
    assert!(sink.is_silent());
    assert_eq!((events(&bench, "stale").len(), events(&bench, "recovered").len()), (1, 1));
}

#[test]
fn a_suspicious_size_is_told_and_holds_retention_until_somebody_looked() {
    let sink = Sink::http();
    let bench = desk("keep = { last = 2 }\nnotify = 'ops'\n", &hook("ops", &sink.url("ops")));
    let daemon = Daemon::start(&bench);
    let make = |bytes: usize| {
        std::fs::write(bench.path("content"), vec![b'x'; bytes]).unwrap();
        bench.ok(&["backup", "shop"]);
    };
    (0..4).for_each(|_| make(100_000));
    assert_eq!(bench.listed().len(), 2);
    make(10_000);
    assert_eq!(heard(&sink), pair("/ops", "suspicious-size"));
    daemon.says("retention deletes nothing meanwhile");
    daemon.is_told("1 suspicious");
    make(10_000);
    assert_eq!(heard(&sink), pair("/ops", "suspicious-size"));
    assert_eq!(bench.listed().len(), 4, "the good ones stay");
    assert_eq!(status(&bench).0, 3);
    bench.ok(&["prune", "shop", "--yes"]);
    assert_eq!((bench.listed().len(), status(&bench).0), (2, 0));
    daemon.is_told("all fresh");
    assert!(daemon.stop().success());
    assert!(sink.is_silent());
}
