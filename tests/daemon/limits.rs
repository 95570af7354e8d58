//! How long a run may take, and how many there may be.

use rustix::process::{Pid, test_kill_process};

use super::{FAR, ended};
use crate::support::bench::Bench;
use crate::support::daemon::{Daemon, SOON, until};
use crate::support::fixture::CommandFixture;

/// A dump whose shell and whose shell's child do not care for SIGTERM and are told in `$HERE/pids`.
const STUBBORN: &str = "trap \"\" TERM; sh -c \"trap : TERM; echo \\$\\$ > $HERE/child; while :; do sleep 1; done\" & echo $$ > $HERE/parent; while :; do BUSY sleep 0.2; done";

fn pid(bench: &Bench<CommandFixture>, file: &str) -> Pid {
    bench.wait_for(file, SOON);
    let pid = until("it says who it is", || std::fs::read_to_string(bench.path(file)).ok()?.trim().parse().ok());
    Pid::from_raw(pid).unwrap()
}

fn the_whole_group_dies(keys: &str, busy: &str, says: &str) {
    let script = STUBBORN.replace("BUSY", busy).replace('\\', "\\\\").replace('"', "\\\"");
    let keys = format!("dump = [\"sh\", \"-c\", \"{script}\"]\n{FAR}retry.attempts = 1\n{keys}");
    let bench = Bench::<CommandFixture>::with_keys(&keys);
    let daemon = Daemon::start(&bench);
    let group = [pid(&bench, "parent"), pid(&bench, "child")];
    let said = daemon.says("shop: backup timed out after ");
    assert!(said.contains(says), "{said}");
    assert_eq!(ended(&bench, 1)[0]["outcome"], "timed out");
    for pid in group {
        until("all of the group is gone", || test_kill_process(pid).is_err().then_some(()));
    }
    assert_eq!(bench.unpublished(), Vec::<String>::new());
    assert!(daemon.stop().success());
}

#[test]
fn a_run_of_the_daemon_that_takes_too_long_dies_with_all_its_processes() {
    the_whole_group_dies("timeout = '2s'\n", "echo x;", "not done within 2s");
}

#[test]
fn a_run_of_the_daemon_that_stalls_dies_with_all_its_processes() {
    the_whole_group_dies("stall_timeout = '2s'\n", "", "no byte moved for 2s while running sh");
}

#[test]
fn no_more_than_max_parallel_run_and_never_two_of_one_database() {
    // A dump that takes a place of two, and is the only one of its database; else it says so.
    let script = "mkdir $HERE/of-$QBACKD_DATABASE || touch $HERE/two-of-one; \
                  if mkdir $HERE/place-1; then place=1; elif mkdir $HERE/place-2; then place=2; else touch $HERE/third; fi; \
                  echo x; sleep 0.3; rmdir $HERE/place-$place $HERE/of-$QBACKD_DATABASE";
    let bench = Bench::<CommandFixture>::with_keys(&format!("dump = ['sh', '-c', '{script}']\nfull = '* * * * * *'\n"));
    let text = bench.configuration();
    let (_, shop) = text.split_once("[database.shop]").unwrap();
    let others: String = ["blog", "mail", "wiki"].map(|name| format!("[database.{name}]{shop}\n")).concat();
    bench.set_configuration(
        &text
            .replace("[daemon]\n", "[daemon]\nmax_parallel = 2\n")
            .replace("[database.shop]", &format!("{others}[database.shop]")),
    );
    let daemon = Daemon::start(&bench);
    for name in ["blog", "mail", "wiki", "shop"] {
        daemon.says_times(&format!("{name}: ok: "), 3);
    }
    assert!(daemon.stop().success());
    let marks: Vec<_> = ["two-of-one", "third"].into_iter().filter(|mark| bench.path(mark).exists()).collect();
    assert!(marks.is_empty(), "{marks:?}");
    // Two did run at a time.
    let runs = bench.runs("backup");
    let overlap = runs.iter().any(|one| {
        runs.iter().any(|other| {
            one["id"] != other["id"]
                && super::time(one, "started") < super::time(other, "ended")
                && super::time(other, "started") < super::time(one, "ended")
        })
    });
    assert!(overlap, "they ran one by one: {runs:?}");
}
