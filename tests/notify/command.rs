//! Commands that are told.

use std::time::Duration;

use qbackd::error::Kind;
use serde_json::Value;

use super::{Bench, SUBJECT, failed, said};
use crate::support::sinks::wait_until_gone;

fn shell(script: &str) -> Bench {
    Bench::new(&[("n", &format!("type = 'command'\ncommand = ['/bin/sh', '-c', '''{script}''']"))])
}

#[test]
fn a_command_gets_the_document_on_stdin_and_the_short_of_it_in_its_environment() {
    let bench =
        shell("cat > $HERE/told; echo \"$QBACKD_EVENT|$QBACKD_DATABASE|$QBACKD_HOST|$QBACKD_SUBJECT\" > $HERE/env");
    bench.send(&failed()).unwrap();
    let told: Value = serde_json::from_slice(&std::fs::read(bench.path("told")).unwrap()).unwrap();
    assert_eq!((&told["subject"], &told["version"]), (&SUBJECT.into(), &1.into()));
    assert_eq!(std::fs::read_to_string(bench.path("env")).unwrap(), format!("failed|shop|db1|{SUBJECT}\n"));
}

#[test]
fn a_command_does_not_inherit_what_may_be_a_secret() {
    let bench = shell("env > $HERE/env");
    let (code, _, err) = said(bench.test().env("PGPASSWORD", "geheim").env("TZ", "Europe/Berlin"));
    assert_eq!(code, Some(0), "{err}");
    let env = std::fs::read_to_string(bench.path("env")).unwrap();
    assert!(!env.contains("geheim") && env.contains("TZ=Europe/Berlin") && env.contains("PATH="), "{env}");
}

#[test]
fn a_command_that_fails_says_why_with_the_end_of_what_it_printed() {
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo 'no such pager' >&2; exit 7";
    let error = shell(script).send(&failed()).unwrap_err();
    let line = error.line();
    assert!(line.starts_with("cannot notify `n` by command: `/bin/sh` failed: exit status: 7: …"), "{line}");
    assert!(line.ends_with("line 1999; no such pager") && line.len() < 700, "{line}");
    let error = Bench::new(&[("n", "type = 'command'\ncommand = ['$HERE/nowhere']")]).send(&failed()).unwrap_err();
    assert!(error.line().contains("nowhere`: No such file") && error.remedy().is_some(), "{error}");
}

#[test]
fn a_command_that_hangs_is_killed_with_all_that_it_started() {
    let bench = shell("sleep 1000 & echo $! > $HERE/pid; mv $HERE/pid $HERE/child; wait");
    let error = bench.send_within(&failed(), Duration::from_secs(4)).unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut, "{error}");
    wait_until_gone(std::fs::read_to_string(bench.path("child")).unwrap().trim());
}

#[test]
fn what_a_command_leaves_running_does_not_hold_up_its_success() {
    let bench = shell("sleep 30 & echo $! > $HERE/child; cat > /dev/null");
    bench.send_within(&failed(), Duration::from_secs(10)).unwrap();
    let child = std::fs::read_to_string(bench.path("child")).unwrap();
    let pid = rustix::process::Pid::from_raw(child.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
