//! The end of the daemon: grace, a hurry, and no time at all.

use std::process::ExitStatus;

use rustix::process::{Pid, Signal, test_kill_process};

use super::FAR;
use crate::support::bench::{Bench, names};
use crate::support::daemon::{Daemon, SOON, until};
use crate::support::fixture::CommandFixture;

/// A dump that goes on until `$HERE/go` is there; its shell is told in `$HERE/pid`.
fn bench(grace: &str, on_term: &str) -> Bench<CommandFixture> {
    let script = format!(
        "trap \"{on_term}\" TERM; head -c 3000000 /dev/urandom; echo $$ > $HERE/pid; while ! test -e $HERE/go; do sleep 0.1; done; echo x"
    );
    let bench = Bench::with_keys(&format!("dump = ['sh', '-c', '{script}']\n{FAR}"));
    bench.edit("[daemon]\n", &format!("[daemon]\nshutdown_grace = '{grace}'\n"));
    bench
}

/// A daemon in the middle of a dump.
fn busy(bench: &Bench<CommandFixture>) -> (Daemon, Pid) {
    let daemon = Daemon::start(bench);
    bench.wait_for("pid", SOON);
    let pid = until("it says who it is", || std::fs::read_to_string(bench.path("pid")).ok()?.trim().parse().ok());
    (daemon, Pid::from_raw(pid).unwrap())
}

fn finished(mut daemon: Daemon) -> ExitStatus {
    daemon.ended()
}

/// Whether nothing of the run is left but its record.
fn nothing_is_left(bench: &Bench<CommandFixture>, dump: Pid) {
    assert_eq!(bench.outcomes(), ["interrupted"]);
    assert!(bench.listed().is_empty());
    assert_eq!(bench.unpublished(), Vec::<String>::new());
    assert_eq!(bench.scratch_left(), Vec::<String>::new());
    let left: Vec<String> = names(&bench.root().join("shop/backup"));
    assert!(left.is_empty(), "the upload was not aborted: {left:?}");
    until("the dump is gone", || test_kill_process(dump).is_err().then_some(()));
}

#[test]
fn a_stop_gives_runs_their_grace_and_then_cancels_them() {
    // One that is done within it is done, however long that is: longer than there is time.
    let patient = bench("500000000000y", "");
    let (daemon, _) = busy(&patient);
    daemon.signal(Signal::TERM);
    daemon.is_told("STOPPING=1");
    daemon.says("stopping: shop may go on for 5");
    // Asked once, systemd would not wait longer than this.
    daemon.is_told_times("EXTEND_TIMEOUT_USEC=30000000", 2);
    daemon.is_told("STATUS=1 database, 1 running (shop), stopping");
    std::fs::write(patient.path("go"), "").unwrap();
    daemon.says("shop: ok: ");
    assert!(finished(daemon).success());
    assert_eq!(patient.outcomes(), ["succeeded"]);
    patient.ok(&["verify", "shop"]);

    let short = bench("1s", "");
    let (daemon, dump) = busy(&short);
    daemon.signal(Signal::TERM);
    daemon.says("the grace of the shutdown is over: cancelling shop");
    daemon.says("shop: backup interrupted after ");
    // For what comes after the loop.
    daemon.is_told("EXTEND_TIMEOUT_USEC=22000000");
    assert!(finished(daemon).success());
    nothing_is_left(&short, dump);
}

#[test]
fn asked_again_to_stop_it_cancels_what_runs() {
    let bench = bench("1h", "");
    let (daemon, dump) = busy(&bench);
    daemon.signal(Signal::TERM);
    daemon.says("stopping: shop may go on for 1h");
    daemon.signal(Signal::INT);
    daemon.says("asked again to stop: cancelling shop");
    assert!(finished(daemon).success());
    nothing_is_left(&bench, dump);
}

#[test]
fn asked_a_third_time_it_ends_at_once_and_leaves_the_rest_to_the_next_start() {
    // A dump that does not care is killed only after a while; nobody waits for that here.
    let bench = bench("1h", "touch $HERE/told");
    let (mut daemon, dump) = busy(&bench);
    daemon.signal(Signal::TERM);
    daemon.says("stopping: ");
    daemon.signal(Signal::TERM);
    bench.wait_for("told", SOON);
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
    assert!(!daemon.log().iter().any(|line| line.contains("backup interrupted")), "it waited for the run");
    assert_eq!(daemon.told().iter().filter(|line| line.starts_with("STOPPING=1")).count(), 1);
    until("the dump is gone", || test_kill_process(dump).is_err().then_some(()));
    std::fs::write(bench.path("go"), "").unwrap();
    let daemon = Daemon::start(&bench);
    daemon.says("shop: ok: ");
    assert!(daemon.stop().success());
    assert_eq!(bench.outcomes(), ["succeeded", "interrupted"]);
    assert_eq!(bench.unpublished(), Vec::<String>::new());
}

#[test]
fn without_runs_it_ends_at_once_and_takes_its_socket_along() {
    let bench = Bench::<CommandFixture>::with_keys("dump = ['echo', 'x']\n");
    let mut daemon = Daemon::start(&bench);
    assert!(bench.path("run/control.sock").exists());
    daemon.signal(Signal::TERM);
    daemon.says("stopping: nothing runs");
    assert!(daemon.ended().success());
    assert!(!bench.path("run/control.sock").exists());
    // Nothing that a library calls an error there worries whoever reads the journal, and the history is one whole file.
    assert!(!daemon.log().iter().any(|line| line.contains("ERROR")), "{:?}", daemon.log());
    assert!(!bench.path("state/history.db-wal").exists());
}
