//! When runs begin.

use jiff::{SignedDuration, Timestamp};
use qbackd::model::{Clock, SystemClock};
use rustix::process::Signal;

use super::{FAR, amend, ended, next, status, time};
use crate::support::bench::Bench;
use crate::support::daemon::{Daemon, until};
use crate::support::fixture::CommandFixture;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn now() -> Timestamp {
    SystemClock.now()
}

#[test]
fn a_database_is_backed_up_when_its_schedule_says() {
    let bench = Bench::<CommandFixture>::with_keys("dump = ['echo', 'hello']\nfull = '*/2 * * * * *'\n");
    let daemon = Daemon::start(&bench);
    // The first is due at once, since there is no backup yet.
    daemon.says_times("shop: ok: ", 3);
    assert_eq!(next(&bench).as_second() % 2, 0);
    assert!(daemon.stop().success());
    let runs = bench.runs("backup");
    assert!(runs.len() >= 3, "{runs:?}");
    for run in &runs {
        assert_eq!((&run["outcome"], &run["initiated_by"]), (&"succeeded".into(), &"the schedule".into()));
        assert!(time(run, "started") >= time(run, "due"), "{run}");
    }
    // By the calendar, and each of its instants once.
    let due: Vec<Timestamp> = runs.iter().map(|run| time(run, "due")).collect();
    assert!(due[..due.len() - 1].iter().all(|due| due.as_millisecond() % 2000 == 0), "{due:?}");
    assert!(due.is_sorted_by(|newer, older| newer > older), "{due:?}");
}

#[test]
fn a_failed_run_is_tried_again_as_retry_says() {
    let keys = format!(
        "dump = ['sh', '-c', 'test -e $HERE/mended && echo x']\n{FAR}retry = {{ attempts = 3, after = '1s' }}\n"
    );
    let bench = Bench::<CommandFixture>::with_keys(&keys);
    let daemon = Daemon::start(&bench);
    assert!(daemon.says("shop: backup failed after ").ends_with("; again in 1.0s"));
    let runs = ended(&bench, 3);
    let last = daemon.says_times("shop: backup failed after ", 3);
    assert!(last.contains("ERROR") && !last.contains("again in"), "{last}");
    // Attempts of one series are one failure, and nothing follows but what the calendar says.
    let after = until("it is counted", || Some(status(&bench)).filter(|now| now.failures == 1));
    assert!(after.next.unwrap() > now() + HOUR, "{after:?}");
    assert_eq!(runs.iter().map(|run| run["attempt"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 2, 1]);
    for pair in runs.windows(2) {
        assert_eq!(pair[0]["due"], pair[1]["due"]);
        assert!(time(&pair[0], "started") >= time(&pair[1], "ended") + SignedDuration::from_secs(1), "{pair:?}");
    }
    assert!(daemon.stop().success());
    // One that is mended in between ends the series; and a restart loses no count.
    amend(&bench, "DELETE FROM runs WHERE attempt > 1;");
    std::fs::write(bench.path("mended"), "").unwrap();
    let daemon = Daemon::start(&bench);
    daemon.says("shop: ok: ");
    let newest = ended(&bench, 2).remove(0);
    assert_eq!((&newest["attempt"], &newest["due"]), (&2.into(), &runs[0]["due"]));
    assert!(next(&bench) > now() + HOUR);
    assert!(daemon.stop().success());
}

#[test]
fn the_delay_of_a_database_is_stable_and_puts_its_run_off() {
    let keys = format!("dump = ['echo', 'x']\n{FAR}randomized_delay = '1h'\n");
    let bench = Bench::<CommandFixture>::with_keys(&keys);
    bench.ok(&["backup", "shop"]);
    for _ in 0..2 {
        let daemon = Daemon::start(&bench);
        let next = next(&bench).to_string();
        // 33 minutes of the hour are those of a database called `shop`, on any host.
        assert!(next.ends_with("-02-29T03:33:10.723Z"), "{next}");
        assert!(daemon.stop().success());
    }
    bench.edit("*-02-29 03:00 UTC", "*:*:0/2");
    bench.edit("'1h'", "'1500ms'");
    let daemon = Daemon::start(&bench);
    daemon.says_times("shop: ok: ", 2);
    assert!(daemon.stop().success());
    for run in bench.runs("backup").iter().filter(|run| run["due"].is_string()) {
        let late = time(run, "started").duration_since(time(run, "due"));
        assert!(late >= SignedDuration::from_millis(829), "{run}");
    }
}

#[test]
fn what_was_missed_is_made_up_for_once_and_only_if_persistent() {
    let keys = "dump = ['echo', 'x']\nfull = '*-*-* 00:00 UTC'\n";
    let bench = Bench::<CommandFixture>::with_keys(keys);
    let day = |at: Timestamp| at.as_second() / 86400;
    let daemon = Daemon::start(&bench);
    daemon.says("shop: ok: ");
    assert!(daemon.stop().success());
    let long_ago = "UPDATE runs SET due = due - 864000000, started = started - 864000000, ended = ended - 864000000;";
    amend(&bench, long_ago);

    bench.edit("full =", "persistent = false\nfull =");
    let daemon = Daemon::start(&bench);
    assert_eq!(day(next(&bench)), day(now()) + 1);
    assert!(daemon.stop().success());
    assert_eq!(bench.runs("backup").len(), 1, "it was made up for all the same");

    bench.edit("persistent = false\n", "");
    for _ in 0..2 {
        let daemon = Daemon::start(&bench);
        let runs = ended(&bench, 2);
        assert_eq!(day(next(&bench)), day(now()) + 1);
        assert!(daemon.stop().success());
        // The newest of the ten; a second start has nothing to make up for.
        assert_eq!(runs.len(), 2, "{runs:?}");
        assert_eq!(day(time(&runs[0], "due")), day(time(&runs[0], "started")));
        assert_eq!(time(&runs[0], "due").as_second() % 86400, 0);
    }
}

#[test]
fn a_blackout_window_puts_a_run_off() {
    let minutes = |at: Timestamp| at.strftime("%H:%M").to_string();
    let (from, to) = (now() - HOUR, now() + HOUR * 2);
    let window = format!("not_between = ['{}-{} UTC']\n", minutes(from), minutes(to));
    let bench = Bench::<CommandFixture>::with_keys(&format!("dump = ['echo', 'x']\n{FAR}{window}"));
    let daemon = Daemon::start(&bench);
    // It is due at once, and waits for the end of the window.
    let next = next(&bench);
    assert_eq!((minutes(next), next.as_second() % 60), (minutes(to), 0));
    assert!(bench.runs("backup").is_empty());
    bench.edit(&window, "");
    daemon.signal(Signal::HUP);
    daemon.says("shop: ok: ");
    assert!(daemon.stop().success());
}

#[test]
fn history_older_than_history_keep_is_forgotten_daily() {
    let bench = Bench::<CommandFixture>::with_keys(&format!("dump = ['echo', 'x']\n{FAR}"));
    bench.edit("[daemon]\n", "[daemon]\nhistory_keep = '30d'\n");
    (0..4).for_each(|_| drop(bench.ok(&["backup", "shop"])));
    let age = |days: i64, count: u8| {
        let by = days * 86_400_000;
        let oldest = format!("(SELECT n FROM runs ORDER BY n LIMIT {count})");
        amend(&bench, &format!("UPDATE runs SET started = started - {by}, ended = ended - {by} WHERE n IN {oldest};"));
    };
    let left = || bench.runs("backup").len();
    age(31, 2);
    age(-2, 1);
    let daemon = Daemon::start(&bench);
    until("the old one is forgotten", || (left() == 3).then_some(()));
    assert!(daemon.stop().success());
    // Not again on the same day, however often the daemon starts.
    age(31, 1);
    let daemon = Daemon::start(&bench);
    assert!(daemon.stop().success());
    assert_eq!(left(), 3);
    amend(&bench, "UPDATE events SET at = at - 90000000 WHERE word = 'daily';");
    let daemon = Daemon::start(&bench);
    until("the old one is forgotten", || (left() == 2).then_some(()));
    assert!(daemon.stop().success());
}
