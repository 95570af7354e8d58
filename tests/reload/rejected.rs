//! Files with an error change nothing, everybody hears of it, and what was accepted last goes on, also after a restart.

use std::fs;

use rustix::process::Signal;

use super::{bench, daemon, database, known, status};
use crate::support::bench::Bench;
use crate::support::daemon::{Daemon, until};
use crate::support::fixture::CommandFixture;

/// A database that is backed up every second.
fn busy() -> String {
    database("busy", "full = \"* * * * * *\"")
}

/// How many backups of `busy` the daemon has told of.
fn backups(daemon: &Daemon) -> usize {
    daemon.log().iter().filter(|line| line.contains("busy: ok: ")).count()
}

/// Waits for two more: one may have been going on.
fn goes_on(daemon: &Daemon) {
    daemon.says_times("busy: ok: ", backups(daemon) + 2);
}

#[test]
fn a_bad_edit_changes_nothing_and_everybody_is_told_until_it_is_mended() {
    let bench = bench();
    let told = bench.path("told");
    let notify = format!(
        "[notify.ops]\ntype = \"command\"\ncommand = [\"sh\", \"-c\", \"echo $QBACKD_EVENT >> {}\"]\n",
        told.display()
    );
    fs::write(bench.path("etc/busy.toml"), busy() + "notify = \"ops\"\n" + &notify).unwrap();
    let daemon = daemon(&bench);
    goes_on(&daemon);
    assert_eq!(status(&bench).problems, [""; 0]);
    fs::write(bench.path("etc/more.toml"), database("new", "full = \"25:00\"")).unwrap();
    let line = daemon.says("the configuration was rejected");
    assert!(
        line.contains("ERROR") && line.contains("etc/more.toml:6:8: ") && line.contains("`qbackd check`"),
        "{line}"
    );
    daemon.is_told("degraded: the configuration on the disk is broken");
    until("config-rejected is told", || fs::read_to_string(&told).ok().filter(|text| text.contains("config-rejected")));
    assert_eq!(known(&bench), ["busy", "shop"]);
    let status = status(&bench);
    assert!(status.degraded() && status.problems[0].contains("more.toml:6:8"), "{status:?}");
    goes_on(&daemon);
    let err = bench.fails(78, &["reload"]);
    assert!(err.contains("25:00") && err.contains("what was accepted last goes on"), "{err}");
    fs::write(bench.path("etc/more.toml"), database("new", "")).unwrap();
    daemon.says("configuration accepted: added database new; the files are whole again");
    let status = super::status(&bench);
    assert!(!status.degraded() && status.problems.is_empty(), "{status:?}");
    until("the status line is well", || {
        let last = daemon.told().into_iter().rfind(|line| line.starts_with("STATUS="))?;
        (!last.contains("degraded")).then_some(())
    });
    goes_on(&daemon);
}

#[test]
fn the_last_accepted_configuration_survives_a_restart_while_the_files_are_broken() {
    let bench = bench();
    fs::write(bench.path("etc/busy.toml"), busy()).unwrap();
    let daemon = daemon(&bench);
    goes_on(&daemon);
    fs::write(bench.path("etc/busy.toml"), busy().replace("echo", "printf")).unwrap();
    daemon.says("configuration accepted: changed database busy (dump)");
    assert!(daemon.stop().success());
    fs::write(bench.path("etc/busy.toml"), "[database.busy\n").unwrap();
    let daemon = super::daemon(&bench);
    daemon.says("the configuration was rejected, the one before stays");
    daemon.is_told("degraded: the configuration on the disk is broken");
    assert!(status(&bench).degraded());
    goes_on(&daemon);
    let newest = bench_log(&bench);
    assert!(newest.contains("printf"), "{newest}");
    fs::write(bench.path("etc/busy.toml"), busy()).unwrap();
    daemon.says("configuration accepted: changed database busy (dump); the files are whole again");
    assert!(!status(&bench).degraded());
}

/// What was kept of the configuration that was accepted last.
fn bench_log(bench: &Bench<CommandFixture>) -> String {
    fs::read_to_string(bench.path("state/accepted/files.json")).unwrap()
}

#[test]
fn it_survives_a_restart_also_without_any_readable_file() {
    let bench = bench();
    fs::write(bench.path("etc/busy.toml"), busy()).unwrap();
    let daemon = daemon(&bench);
    goes_on(&daemon);
    daemon.kill();
    let kept = bench.path("kept");
    fs::rename(bench.path("etc"), &kept).unwrap();
    let mut command = bench.command(&["-v", "daemon"]);
    command.env("STATE_DIRECTORY", bench.path("state"));
    let daemon = Daemon::run(&bench, command);
    let line = daemon.says("the configuration was rejected");
    assert!(line.contains("does not exist"), "{line}");
    goes_on(&daemon);
    assert_eq!(known(&bench), ["busy", "shop"]);
    fs::rename(&kept, bench.path("etc")).unwrap();
    daemon.says("configuration accepted: nothing changed; the files are whole again");
}

#[test]
fn without_one_that_was_accepted_broken_files_are_shown_and_the_daemon_exits_with_78() {
    let bench = bench();
    fs::write(bench.path("etc/more.toml"), database("new", "full = \"25:00\"")).unwrap();
    let mut daemon = Daemon::spawn(&bench, bench.command(&["daemon"]));
    assert_eq!(daemon.ended().code(), Some(78));
    daemon.says("25:00");
    daemon.says("there is no earlier one to run");
}

#[test]
fn a_signal_is_answered_also_when_nothing_changed_and_a_touch_is_not() {
    let bench = bench();
    let daemon = daemon(&bench);
    let accepted = "configuration accepted: nothing changed";
    bench.set_configuration(&bench.configuration());
    fs::write(bench.path("etc/more.toml"), database("new", "")).unwrap();
    daemon.says("added database new");
    assert!(!daemon.log().iter().any(|line| line.contains(accepted)));
    daemon.signal(Signal::HUP);
    daemon.says(accepted);
    let told = until("it is ready again", || {
        let told = daemon.told();
        (told.iter().filter(|line| *line == "READY=1").count() == 3).then_some(told)
    });
    assert_eq!(told.iter().filter(|line| *line == "RELOADING=1").count(), 2, "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{told:?}");
}
