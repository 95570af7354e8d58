//! Hooks of runs that the daemon makes.

use rustix::process::Signal;

use super::{break_it, desk};
use crate::support::daemon::Daemon;

#[test]
fn a_hook_for_failures_that_never_ends_does_not_hold_up_the_stop() {
    let keys = "hooks.on_failure = \"trap '' TERM; echo $QBACKD_OUTCOME > $HERE/told; sleep 600; sleep 600\"\n\
                hooks.before_backup = \"echo > $HERE/reached; sleep 600\"\nfull = '02:00'\n";
    let bench = desk(keys, "");
    bench.edit("[daemon]", "[daemon]\nshutdown_grace = \"1s\"");
    let mut daemon = Daemon::start(&bench);
    bench.wait_for("reached", crate::support::daemon::SOON);
    daemon.signal(Signal::TERM);
    // It is waited for for less than the five minutes of `hooks.timeout`.
    assert!(daemon.ended().success());
    assert_eq!(std::fs::read_to_string(bench.path("told")).unwrap(), "interrupted\n");
    let run = bench.runs("backup")[0].clone();
    assert_eq!(run["outcome"], "interrupted");
    let note = run["notes"][0].as_str().unwrap();
    assert!(note.contains("`on_failure` was not done 7s after the cancel of its run"), "{note}");
}

#[test]
fn a_hook_knows_which_attempt_it_is() {
    let keys = "hooks.on_failure = \"echo $QBACKD_ATTEMPT >> $HERE/told; test $QBACKD_ATTEMPT = 1 || rm $HERE/broken\"\n\
                hooks.after_backup = \"echo good $QBACKD_ATTEMPT >> $HERE/told\"\n\
                full = '02:00'\nretry = { attempts = 3, after = '10ms' }\n";
    let bench = desk(keys, "");
    break_it(&bench);
    let daemon = Daemon::start(&bench);
    daemon.says("shop: ok: ");
    assert!(daemon.stop().success());
    assert_eq!(std::fs::read_to_string(bench.path("told")).unwrap(), "1\n2\ngood 3\n");
    assert!(!bench.path("broken").exists());
}
