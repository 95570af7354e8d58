//! What breaks in or around the daemon, and how it goes on.

use std::process::Command;

use rustix::process::Signal;

use super::{FAR, ended, status};
use crate::support::bench::Bench;
use crate::support::daemon::{Daemon, until};
use crate::support::fixture::{CommandFixture, sh};
use crate::support::mounts;

#[test]
fn parts_that_panic_are_started_again() {
    let bench = Bench::<CommandFixture>::with_keys(&format!("dump = ['echo', 'x']\n{FAR}"));
    bench.edit("[daemon]\n", "[daemon]\nlisten = \"127.0.0.1:0\"\n");
    let mut command = bench.command(&["daemon"]);
    let parts = ["the control server", "the metrics server", "the watch over the files"];
    command.env("QBACKD_PANIC_IN", parts.join(","));
    let daemon = Daemon::run(&bench, command);
    for part in parts {
        let said = daemon.says(&format!("{part} panicked and is started again in 1s"));
        assert!(said.contains("ERROR"), "{said}");
    }
    // The server answers, and an edit is seen, whether it came before or after the watch was back.
    assert_eq!(status(&bench).name.as_str(), "shop");
    bench.edit("'echo', 'x'", "'echo', 'y'");
    daemon.says("configuration accepted: ");
    assert!(daemon.stop().success());
}

#[test]
fn a_run_that_panics_has_failed_and_the_daemon_goes_on() {
    let bench = Bench::<CommandFixture>::with_keys(&format!("dump = ['echo', 'x']\n{FAR}retry = {{ after = '1s' }}\n"));
    let mut command = bench.command(&["daemon"]);
    command.env("QBACKD_PANIC_AT", "all-written");
    let daemon = Daemon::run(&bench, command);
    let said = daemon.says_times("shop: backup failed after ", 2);
    assert!(said.contains("qbackd panicked") && said.contains("please report it"), "{said}");
    ended(&bench, 2);
    until("it is counted", || (status(&bench).failures == 1).then_some(()));
    assert_eq!(bench.outcomes(), ["failed", "failed"]);
    assert_eq!(bench.unpublished(), Vec::<String>::new());
    assert!(daemon.stop().success());
}

#[test]
fn a_full_disk_under_the_history_is_told_and_outlived() {
    if !mounts::of_our_own("daemon::faults::a_full_disk_under_the_history_is_told_and_outlived") {
        return;
    }
    let bench =
        Bench::<CommandFixture>::with_keys("dump = ['echo', 'x']\nfull = '*/2 * * * * *'\nretry.attempts = 1\n");
    mounts::tmpfs(&bench.path("state"), "size=4m");
    let daemon = Daemon::start(&bench);
    daemon.says("shop: ok: ");
    let filler = bench.path("state/filler");
    let fill = |of: &str| Command::new("dd").args(["if=/dev/zero", "bs=4096", of]).output().unwrap();
    fill(&format!("of={}", filler.display()));
    let said = daemon.says("shop: backup failed before it began: ");
    assert!(said.contains("ERROR") && said.contains("No space left on device"), "{said}");
    // It lives, and obeys.
    assert!(status(&bench).next.is_some());
    let before = daemon.log().iter().filter(|line| line.contains("shop: ok: ")).count();
    sh("rm", &[filler.to_str().unwrap()]);
    daemon.says_times("shop: ok: ", before + 1);
    daemon.signal(Signal::TERM);
    assert!({ daemon }.ended().success());
}

#[test]
fn a_start_on_a_full_disk_says_so() {
    if !mounts::of_our_own("daemon::faults::a_start_on_a_full_disk_says_so") {
        return;
    }
    let bench = Bench::<CommandFixture>::with_keys("dump = ['echo', 'x']\n");
    mounts::tmpfs(&bench.path("state"), "size=64k");
    let filler = format!("of={}", bench.path("state/filler").display());
    Command::new("dd").args(["if=/dev/zero", "bs=4096", &filler]).output().unwrap();
    let said = bench.fails(1, &["daemon"]);
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains(&bench.path("state").display().to_string()), "{said}");
}
