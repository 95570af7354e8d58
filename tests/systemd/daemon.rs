//! The daemon as systemd sees it: ready, reloaded, watched, stopped; and what it leaves in the journal.

use std::process::Stdio;
use std::time::Duration;

use qbackd::model::{Event, Moment};
use serde_json::Value;

use crate::secrets::{VARIABLES, contains, planted, secret};
use crate::support::systemd::{Machine, as_root};

/// Long enough for anything here on a slow machine.
const SOON: Duration = Duration::from_secs(60);

/// Two databases, due at once since they have no backup; `blog` fails. The passphrase is a credential that root alone can read.
const CONFIGURATION: &str = r#"
[destination.local]
service = "fs"
root = "/var/backups/qbackd"
min_free = "0%"

[encryption.words]
passphrase = { credential = "words" }

[policy.nightly]
full = "02:00"
destinations = ["local"]
encryption = "words"
retry = { attempts = 1 }

[database.shop]
engine = "command"
dump = ["getent", "passwd"]
restore = ["cat"]
policy = "nightly"

[database.blog]
engine = "command"
dump = ["sh", "-c", "echo it rains >&2; exit 3"]
restore = ["cat"]
policy = "nightly"
"#;

/// A machine with this configuration, the unit changed by these lines of `[Service]`.
fn configured(configuration: &str, service: &str) -> Machine {
    let machine = Machine::installed();
    machine.write("/etc/qbackd/qbackd.toml", configuration);
    machine.write("/etc/qbackd/secrets/words", "correct horse battery staple\n");
    machine.run(&["chmod", "600", "/etc/qbackd/secrets/words"]);
    machine.write(
        "/etc/systemd/system/qbackd.service.d/test.conf",
        format!("[Service]\nLoadCredential=words:/etc/qbackd/secrets/words\n{service}\n"),
    );
    machine.run(&["systemctl", "daemon-reload"]);
    machine
}

/// Waits for a line of the journal and gives it.
fn line(machine: &Machine, matches: &[&str]) -> Value {
    let mut found = Vec::new();
    machine.wait(&format!("a line with {matches:?}"), SOON, |machine| {
        found = machine.journal(&[&["-u", "qbackd"], matches].concat());
        !found.is_empty()
    });
    found.swap_remove(0)
}

/// What is process `pid` in the machine, as seen from outside.
fn outside(machine: &Machine, pid: &str) -> String {
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", machine.leader())).unwrap();
    let inside = |process: &&str| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        ids.split_whitespace().last() == Some(pid)
    };
    let found = children.split_whitespace().find(inside).map(str::to_owned);
    found.unwrap_or_else(|| panic!("no process {pid} that systemd started"))
}

#[test]
fn it_is_ready_when_start_returns_and_says_how_runs_end() {
    let machine = configured(CONFIGURATION, "");
    machine.run(&["systemctl", "start", "qbackd"]);
    assert_eq!(machine.property("qbackd", "SubState"), "running");
    assert!(
        machine.property("qbackd", "StatusText").contains("2 databases"),
        "{}",
        machine.property("qbackd", "StatusText")
    );
    let started = line(&machine, &[&format!("MESSAGE_ID={}", Moment::DaemonStarted.message_id())]);
    assert_eq!(started["QBACKD_EVENT"], "daemon-started");

    let good = line(&machine, &["QBACKD_DATABASE=shop", "QBACKD_EVENT=succeeded"]);
    assert_eq!(good["MESSAGE_ID"], Event::Succeeded.message_id());
    assert_eq!(
        (&good["PRIORITY"], &good["SYSLOG_IDENTIFIER"], &good["_TRANSPORT"]),
        (&"6".into(), &"qbackd".into(), &"journal".into())
    );
    assert_eq!(good["QBACKD_DESTINATION"], "local");
    let said = good["MESSAGE"].as_str().unwrap();
    assert!(said.starts_with("shop: ok: ") && said.contains(" stored) in "), "{said}");

    let bad = line(&machine, &["QBACKD_DATABASE=blog", "QBACKD_EVENT=failed"]);
    assert_eq!((&bad["PRIORITY"], &bad["MESSAGE_ID"]), (&"3".into(), &Event::Failed.message_id().into()));
    let said = bad["MESSAGE"].as_str().unwrap();
    assert!(said.starts_with("blog: backup failed after ") && said.contains("it rains"), "{said}");

    // Each run's end is told once, and the history knows the runs that the journal names.
    for (good_or_bad, name) in [(&good, "shop"), (&bad, "blog")] {
        let run = good_or_bad["QBACKD_RUN"].as_str().unwrap();
        let ends = machine.journal(&[&format!("QBACKD_RUN={run}")]);
        let ends: Vec<_> = ends.iter().filter(|line| line["QBACKD_EVENT"] != "run-started").collect();
        assert_eq!(ends.len(), 1, "{ends:?}");
        machine.run(&["qbackd", "history", name]);
        machine.run(&["qbackd", "history", run]);
    }
    let explained = machine.run(&["journalctl", "--no-pager", "-x", "QBACKD_EVENT=failed"]);
    assert!(explained.contains("Subject: A run of blog failed"), "{explained}");
}

#[test]
fn what_people_do_and_what_is_deleted_is_found_by_its_fields_and_explained() {
    let machine = configured(
        &CONFIGURATION.replace(
            "\"nightly\"\n\n[database.blog]",
            "\"nightly\"\nhooks.after_backup = \"exit 9\"\n\n[database.blog]",
        ),
        "",
    );
    machine.run(&["systemctl", "start", "qbackd"]);
    let good = line(&machine, &["QBACKD_DATABASE=shop", "QBACKD_EVENT=succeeded"]);
    let warned = line(&machine, &["QBACKD_DATABASE=shop", "QBACKD_EVENT=run-warning"]);
    assert_eq!((&warned["QBACKD_RUN"], &warned["PRIORITY"]), (&good["QBACKD_RUN"], &"4".into()));
    machine.run(&["qbackd", "pause", "shop", "--reason", "moving"]);
    let paused = line(&machine, &["QBACKD_EVENT=action", "QBACKD_USER=root (uid 0)", "QBACKD_DATABASE=shop"]);
    assert_eq!(
        (&paused["MESSAGE_ID"], &paused["MESSAGE"]),
        (&Moment::Action.message_id().into(), &"shop: pause by root (uid 0): paused: moving".into())
    );
    machine.run(&["qbackd", "delete", "shop@latest", "--yes"]);
    let deleted = line(&machine, &["QBACKD_DATABASE=shop", "QBACKD_EVENT=deleted"]);
    assert_eq!(
        (&deleted["QBACKD_BACKUP"], &deleted["QBACKD_DESTINATION"], &deleted["PRIORITY"]),
        (&good["QBACKD_BACKUP"], &"local".into(), &"6".into())
    );
    machine.run(&["qbackd", "history", deleted["QBACKD_RUN"].as_str().unwrap()]);
    let explained = machine.run(&["journalctl", "--no-pager", "-x", "QBACKD_EVENT=action"]);
    assert!(explained.contains("Subject: root (uid 0) acted on qbackd"), "{explained}");
}

#[test]
fn a_reload_of_a_bad_file_fails_where_it_is_typed_and_changes_nothing() {
    let machine = configured(CONFIGURATION, "");
    machine.run(&["systemctl", "start", "qbackd"]);
    let pid = machine.property("qbackd", "MainPID");
    machine.write(
        "/etc/qbackd/qbackd.toml",
        CONFIGURATION.replace("destinations = [\"local\"]", "destinations = [\"locl\"]"),
    );
    let reload = machine.try_run(&["systemctl", "reload", "qbackd"]);
    assert!(!reload.status.success(), "{reload:?}");
    let rejected = line(&machine, &["QBACKD_EVENT=config-rejected"]);
    assert_eq!(
        (&rejected["PRIORITY"], &rejected["MESSAGE_ID"]),
        (&"3".into(), &Event::ConfigRejected.message_id().into())
    );
    machine.wait("the status says degraded", SOON, |m| m.property("qbackd", "StatusText").contains("degraded"));
    assert_eq!(
        (machine.property("qbackd", "SubState"), machine.property("qbackd", "MainPID")),
        ("running".into(), pid.clone())
    );

    machine.write("/etc/qbackd/qbackd.toml", CONFIGURATION.replace("02:00", "03:00"));
    machine.run(&["systemctl", "reload", "qbackd"]);
    let accepted = line(&machine, &["QBACKD_EVENT=config-accepted"]);
    assert_eq!(accepted["MESSAGE_ID"], Moment::ConfigAccepted.message_id());
    machine.wait("the status is well again", SOON, |m| !m.property("qbackd", "StatusText").contains("degraded"));
    assert_eq!(machine.property("qbackd", "MainPID"), pid);
}

#[test]
fn a_loop_that_hangs_is_ended_by_the_watchdog_and_started_again() {
    let machine = configured(CONFIGURATION, "WatchdogSec=2s\nTimeoutAbortSec=2s\nRestartSec=100ms");
    machine.run(&["systemctl", "start", "qbackd"]);
    let pid = machine.property("qbackd", "MainPID");
    // The thread of the loop alone: its next system call takes ten seconds. The other threads live on.
    let outside = outside(&machine, &pid);
    let mut strace = as_root("strace")
        .args(["-qq", "-o", "/dev/null", "-p", &outside, "--inject=all:delay_enter=10000000"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    machine.wait("the watchdog bites", SOON, |m| m.property("qbackd", "NRestarts") != "0");
    machine.wait("it runs again", SOON, |m| m.property("qbackd", "SubState") == "running");
    assert_ne!(machine.property("qbackd", "MainPID"), pid);
    assert!(machine.messages(&["-u", "qbackd"]).iter().any(|line| line.contains("Watchdog timeout")));
    strace.wait().unwrap();
}

#[test]
fn it_is_started_again_after_a_kill_and_stops_well_when_asked_and_says_what_was_cut_short() {
    let slow = CONFIGURATION.replace("\"getent\", \"passwd\"", "\"sleep\", \"infinity\"");
    let machine = configured(&format!("[daemon]\nshutdown_grace = \"1s\"\n{slow}"), "RestartSec=100ms");
    machine.run(&["systemctl", "start", "qbackd"]);
    let started = line(&machine, &["QBACKD_DATABASE=shop", "QBACKD_EVENT=run-started"]);
    let pid = machine.property("qbackd", "MainPID");
    machine.run(&["kill", "-KILL", &pid]);
    machine.wait("it runs again", SOON, |m| {
        m.property("qbackd", "NRestarts") == "1" && m.property("qbackd", "SubState") == "running"
    });
    let cut = line(&machine, &["QBACKD_DATABASE=shop", "QBACKD_EVENT=run-interrupted"]);
    assert_eq!(cut["QBACKD_RUN"], started["QBACKD_RUN"]);
    assert_eq!((&cut["PRIORITY"], &cut["MESSAGE_ID"]), (&"4".into(), &Moment::RunInterrupted.message_id().into()));

    // What was cut short is tried again; a stop gives it its time, then ends it.
    machine.wait("another run of it", SOON, |m| {
        m.journal(&["QBACKD_DATABASE=shop", "QBACKD_EVENT=run-started"]).len() == 2
    });
    machine.run(&["systemctl", "stop", "qbackd"]);
    assert_eq!(machine.property("qbackd", "Result"), "success");
    line(&machine, &[&format!("MESSAGE_ID={}", Moment::DaemonStopping.message_id())]);
    assert_eq!(machine.journal(&["QBACKD_DATABASE=shop", "QBACKD_EVENT=run-interrupted"]).len(), 2);
}

#[test]
fn a_stop_may_take_longer_than_systemd_allows_by_itself() {
    let slow = CONFIGURATION.replace(
        "\"getent\", \"passwd\"",
        "\"sh\", \"-c\", \"until test -e /run/qbackd/go; do sleep 0.1; done; sleep 5; echo data\"",
    );
    let machine = configured(&format!("[daemon]\nshutdown_grace = \"90d\"\n{slow}"), "TimeoutStopSec=3s");
    machine.run(&["systemctl", "start", "qbackd"]);
    line(&machine, &["QBACKD_DATABASE=shop", "QBACKD_EVENT=run-started"]);
    machine.run(&["systemctl", "stop", "--no-block", "qbackd"]);
    machine.wait("it stops", SOON, |m| m.property("qbackd", "ActiveState") == "deactivating");
    // From here on the dump takes longer than those three seconds.
    machine.write("/run/qbackd/go", "");
    machine.wait("it has ended", SOON, |m| !m.property("qbackd", "ActiveState").ends_with("ing"));
    assert_eq!(["ActiveState", "Result"].map(|what| machine.property("qbackd", what)), ["inactive", "success"]);
    assert_eq!(machine.journal(&["QBACKD_DATABASE=shop", "QBACKD_EVENT=succeeded"]).len(), 1);
}

#[test]
fn a_configuration_that_was_never_right_is_not_tried_again_and_again() {
    let machine = configured("[database.shop]\npolicy = \"none\"\n", "RestartSec=100ms");
    let start = machine.try_run(&["systemctl", "start", "qbackd"]);
    assert!(!start.status.success());
    assert_eq!(machine.property("qbackd", "ExecMainStatus"), "78");
    assert_eq!(
        (machine.property("qbackd", "ActiveState"), machine.property("qbackd", "NRestarts")),
        ("failed".into(), "0".into())
    );
}

#[test]
fn the_socket_unit_starts_it_when_somebody_asks() {
    let machine = configured(CONFIGURATION, "");
    machine.run(&["systemctl", "start", "qbackd.socket"]);
    assert_eq!(machine.property("qbackd", "ActiveState"), "inactive");
    machine.run(&["qbackd", "reload"]);
    assert_eq!(machine.property("qbackd", "SubState"), "running");
    // The socket is systemd's: it outlives the service.
    machine.run(&["systemctl", "stop", "qbackd"]);
    machine.run(&["test", "-S", "/run/qbackd/control.sock"]);
}

#[test]
fn the_daemon_puts_no_secret_where_it_can_be_read() {
    let planted = planted("/etc/qbackd/planted", "/var/lib/qbackd/seen", "/var/backups/qbackd");
    let variables: String = VARIABLES.iter().map(|name| format!("Environment={name}={}\n", secret(name))).collect();
    let machine =
        configured(&planted.configuration, &format!("ExecStart=\nExecStart=/usr/bin/qbackd daemon -vvv\n{variables}"));
    for (file, value) in &planted.files {
        machine.write(file, value);
    }
    machine
        .sh("chown -R root:qbackd /etc/qbackd/planted; chmod 750 /etc/qbackd/planted; chmod 640 /etc/qbackd/planted/*");
    machine.run(&["systemctl", "start", "qbackd"]);
    line(&machine, &["QBACKD_DATABASE=shop", "QBACKD_EVENT=succeeded"]);
    machine.wait("blog has failed", SOON, |m| {
        !m.journal(&["QBACKD_DATABASE=blog", "QBACKD_EVENT=failed"]).is_empty()
            || !m.journal(&["QBACKD_DATABASE=blog", "QBACKD_EVENT=run-again"]).is_empty()
    });
    machine.try_run(&["qbackd", "status", "--json"]);
    // What looks on is not what is looked at.
    let sinks = machine.sh(
        "journalctl --sync; journalctl --no-pager --all -o export _COMM=qbackd; cat /proc/[0-9]*/cmdline 2>/dev/null || true; \
         find /var/lib/qbackd /var/backups/qbackd /run/qbackd -type f ! -path /var/lib/qbackd/accepted/files.json -exec cat {} +; \
         systemctl status qbackd || true",
    );
    // The accepted configuration is kept as it was written, for the same eyes.
    let kept = machine.sh("stat -c '%A %U:%G' /var/lib/qbackd/accepted/files.json /var/lib/qbackd");
    assert_eq!(kept, "-rw-r----- qbackd:qbackd\ndrwxr-x--- qbackd:qbackd\n");
    assert!(sinks.contains("QBACKD_DATABASE=shop") && sinks.contains("SQLite format 3"), "{sinks}");
    assert!(
        !contains(sinks.as_bytes()),
        "{}",
        sinks.lines().filter(|line| contains(line.as_bytes())).collect::<Vec<_>>().join("\n")
    );
}
