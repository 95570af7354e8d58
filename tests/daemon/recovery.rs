//! What a crash leaves, and what the next start makes of it.

use std::os::unix::process::ExitStatusExt;

use jiff::SignedDuration;
use qbackd::model::{Clock, SystemClock};

use super::{FAR, amend, ended, next, time};
use crate::support::bench::Bench;
use crate::support::daemon::{Daemon, SOON};
use crate::support::fixture::CommandFixture;

/// A dump that never ends by itself, but with the one who reads it; once `$HERE/mended` is there it is short.
const ENDLESS: &str = "dump = ['sh', '-c', 'touch $HERE/reached; until test -e $HERE/mended; do head -c 300000 /dev/urandom; sleep 0.1; done; echo x']\n";

fn nothing_lies_about(bench: &Bench<CommandFixture>) {
    assert_eq!(bench.unpublished(), Vec::<String>::new());
    assert_eq!(bench.scratch_left(), Vec::<String>::new());
}

#[test]
fn a_run_that_a_kill_interrupted_is_recorded_swept_and_made_again_at_once() {
    let bench = Bench::<CommandFixture>::with_keys(&format!("{ENDLESS}{FAR}"));
    let daemon = Daemon::start(&bench);
    bench.wait_for("reached", SOON);
    bench.wait_for("backups/shop/backup", SOON);
    daemon.kill();
    std::fs::write(bench.path("mended"), "").unwrap();
    let daemon = Daemon::start(&bench);
    let said = daemon.says("shop: backup interrupted after ");
    assert!(said.contains("the process that ran it ended without a word"), "{said}");
    daemon.says("shop: ok: ");
    let runs = ended(&bench, 2);
    assert!(daemon.stop().success());
    assert_eq!(bench.outcomes(), ["succeeded", "interrupted"]);
    assert_eq!((&runs[0]["due"], &runs[0]["attempt"]), (&runs[1]["due"], &2.into()));
    nothing_lies_about(&bench);
    bench.ok(&["verify", "shop"]);
}

#[test]
fn after_a_loss_of_power_a_run_that_seems_to_go_on_is_recorded_and_swept() {
    let bench = Bench::<CommandFixture>::with_keys(&format!("dump = ['echo', 'x']\n{FAR}"));
    let daemon = Daemon::start(&bench);
    daemon.says("shop: ok: ");
    assert!(daemon.stop().success());
    // The end of the run and the manifest did not reach the disk; its folders did.
    let id = bench.listed().remove(0);
    std::fs::remove_file(bench.folder(&id).join("manifest.json")).unwrap();
    let run = bench.runs("backup")[0]["id"].as_str().unwrap().to_owned();
    std::fs::create_dir_all(bench.path(format!("state/scratch/{run}/deep"))).unwrap();
    amend(&bench, "UPDATE runs SET ended = NULL, outcome = NULL;");
    let daemon = Daemon::start(&bench);
    daemon.says("shop: backup interrupted after ");
    daemon.says("shop: ok: ");
    ended(&bench, 2);
    assert!(daemon.stop().success());
    assert_eq!(bench.outcomes(), ["succeeded", "interrupted"]);
    assert_eq!(bench.listed().len(), 1);
    nothing_lies_about(&bench);
}

#[test]
fn a_backup_that_kills_its_daemon_does_so_three_times_and_then_waits() {
    let bench = Bench::<CommandFixture>::with_keys(&format!("dump = ['echo', 'x']\n{FAR}retry = {{ after = '2h' }}\n"));
    for _ in 0..3 {
        let mut command = bench.command(&["daemon"]);
        command.env("QBACKD_DIE_AT", "writing");
        assert_eq!(Daemon::spawn(&bench, command).ended().signal(), Some(9));
    }
    let mut command = bench.command(&["daemon"]);
    command.env("QBACKD_DIE_AT", "writing");
    let daemon = Daemon::run(&bench, command);
    let runs = ended(&bench, 3);
    assert_eq!(bench.outcomes(), ["interrupted"; 3]);
    assert_eq!(next(&bench), time(&runs[0], "ended") + SignedDuration::from_hours(2));
    assert!(next(&bench) > SystemClock.now());
    nothing_lies_about(&bench);
    assert!(daemon.stop().success());
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused_and_told_why() {
    let bench = Bench::<CommandFixture>::with_keys("dump = ['echo', 'x']\n");
    let daemon = Daemon::start(&bench);
    let said = bench.fails(75, &["daemon"]);
    assert!(said.contains("another qbackd daemon works in"), "{said}");
    assert!(said.contains(&format!("pid {}", daemon.pid().as_raw_nonzero())), "{said}");
    // Nor one that would take its socket away.
    bench.edit("/state\"", "/other\"");
    let said = bench.fails(75, &["daemon"]);
    assert!(said.contains("another daemon listens there"), "{said}");
    bench.edit("/other\"", "/state\"");
    assert!(daemon.stop().success());
    assert!(Daemon::start(&bench).stop().success());
}
