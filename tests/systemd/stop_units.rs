//! `stop_units` with units that are real: stopped for the dump, and started again after success, failure and kill -9.

use std::process::Stdio;
use std::time::Duration;

use super::sandbox::{drop_in, fails, once};
use crate::support::systemd::{Machine, PROJECT};

const LIMIT: Duration = Duration::from_secs(20);

/// Units that run, one that does not, and a database that wants all of them stopped for this dump.
fn prepare(machine: &Machine, dump: &str) {
    for unit in ["shop", "shop-worker@1", "idle"] {
        let (name, _) = unit.split_once('@').map_or((unit.to_owned(), ""), |(name, rest)| (format!("{name}@"), rest));
        machine.write(&format!("/etc/systemd/system/{name}.service"), "[Service]\nExecStart=/usr/bin/sleep infinity\n");
    }
    machine.run(&["systemctl", "daemon-reload"]);
    machine.run(&["systemctl", "start", "shop", "shop-worker@1"]);
    configure(machine, dump, "");
}

fn configure(machine: &Machine, dump: &str, more: &str) {
    machine.write(
        "/etc/qbackd/a.toml",
        format!(
            "[destination.local]\nservice = \"fs\"\nroot = \"/var/backups/qbackd\"\nmin_free = \"0%\"\n\n\
             [policy.plain]\ndestinations = [\"local\"]\nencryption = \"none\"\n\
             stop_units = [\"shop\", \"shop-worker@1.service\", \"idle.service\"]\n{more}\n\n\
             [database.shop]\nengine = \"command\"\ndump = ['sh', '-c', '''{dump}''']\npolicy = \"plain\"\n"
        ),
    );
}

fn state(machine: &Machine, unit: &str) -> String {
    machine.property(unit, "ActiveState")
}

/// They run as they did before, in new processes if they were stopped, and nothing says that anything is stopped.
fn all_run_again(machine: &Machine, before: &str) {
    assert_eq!([state(machine, "shop"), state(machine, "shop-worker@1")], ["active", "active"]);
    assert_eq!(state(machine, "idle"), "inactive", "only what ran is started");
    assert_ne!(machine.property("shop", "InvocationID"), before, "it was never stopped");
    assert_eq!(machine.sh("ls /var/lib/qbackd/stopped"), "");
}

const LOOK: &str = "for u in shop shop-worker@1; do systemctl is-active $u; done >/run/during; echo data";

#[test]
fn real_units_run_again_after_a_success_and_a_failure() {
    let machine = Machine::installed();
    prepare(&machine, LOOK);
    let before = machine.property("shop", "InvocationID");
    machine.run(&["qbackd", "backup", "shop"]);
    assert_eq!(machine.sh("cat /run/during; rm /run/during"), "inactive\ninactive\n");
    all_run_again(&machine, &before);

    configure(&machine, &format!("{LOOK}; exit 3"), "");
    let before = machine.property("shop", "InvocationID");
    let output = machine.try_run(&["qbackd", "backup", "shop"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(machine.sh("cat /run/during"), "inactive\ninactive\n");
    all_run_again(&machine, &before);
}

#[test]
fn real_units_run_again_after_kill_9() {
    let machine = Machine::installed();
    prepare(&machine, "touch /run/reached; exec sleep 600");
    let before = machine.property("shop", "InvocationID");
    let mut run = machine
        .command(&["sh", "-c", "echo $$ >/run/pid; exec qbackd backup shop"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    machine.wait("the dump is under way", LIMIT, |m| m.try_run(&["test", "-e", "/run/reached"]).status.success());
    assert_eq!(state(&machine, "shop"), "inactive");
    machine.sh("kill -9 $(cat /run/pid)");
    run.wait().unwrap();
    assert_eq!([state(&machine, "shop"), state(&machine, "shop-worker@1")], ["inactive", "inactive"]);

    // Whatever becomes of the next run: it starts them before anything else.
    configure(&machine, LOOK, "hooks.before_backup = \"systemctl is-active shop shop-worker@1 >/run/then; exit 1\"");
    let output = machine.try_run(&["qbackd", "backup", "shop"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("`before_backup` refused"), "{said}");
    assert_eq!(machine.sh("cat /run/then"), "active\nactive\n");
    all_run_again(&machine, &before);
}

#[test]
fn a_real_unit_that_cannot_be_started_again_is_a_warning() {
    let machine = Machine::installed();
    // Something takes away what it needs while it is stopped.
    prepare(&machine, "touch /run/gone; echo data");
    machine.write(
        "/etc/systemd/system/shop.service.d/needs.conf",
        "[Service]\nExecStartPre=/usr/bin/test ! -e /run/gone\n",
    );
    machine.run(&["systemctl", "daemon-reload"]);
    let output = machine.try_run(&["qbackd", "backup", "shop"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("cannot start again") && said.contains("shop.service"), "{said}");
    assert_eq!([state(&machine, "shop"), state(&machine, "shop-worker@1")], ["failed", "active"]);
    let before = machine.property("shop", "InvocationID");
    machine.run(&["rm", "/run/gone"]);
    configure(&machine, LOOK, "");
    machine.run(&["qbackd", "backup", "shop"]);
    all_run_again(&machine, &before);
}

#[test]
fn under_the_unit_s_sandbox_it_takes_the_rule_for_it() {
    let machine = once("/usr/bin/qbackd backup --all");
    prepare(&machine, LOOK.replace("/run/during", "/tmp/during").as_str());
    let before = machine.property("shop", "InvocationID");
    let said = fails(&machine);
    assert!(said.contains("cannot stop shop.service, shop-worker@1.service") && said.contains("polkit"), "{said}");
    assert_eq!(machine.property("shop", "InvocationID"), before, "it was not touched");

    allow(&machine);
    machine.run(&["systemctl", "start", "qbackd"]);
    all_run_again(&machine, &before);
}

/// Lets the unit stop and start these units, as packaging/ says that it is done.
fn allow(machine: &Machine) {
    drop_in(machine, "stop-units.conf");
    machine.sh(&format!(
        "mkdir -p /etc/polkit-1/rules.d
         sed 's/\"shop.service\"/\"shop.service\", \"shop-worker@1.service\"/' \
           {PROJECT}/packaging/polkit/50-qbackd-stop-units.rules >/etc/polkit-1/rules.d/50-qbackd-stop-units.rules
         systemctl restart polkit"
    ));
}

/// Kills the daemon during a run that somebody asked for and that nothing makes again; before that `meanwhile` happens. What
/// was stopped runs again because systemd starts the daemon again.
fn the_daemon_is_killed(meanwhile: impl FnOnce(&Machine)) {
    let machine = Machine::installed();
    prepare(&machine, "exec sleep 600");
    allow(&machine);
    machine.write("/etc/systemd/system/qbackd.service.d/soon.conf", "[Service]\nRestartSec=100ms\n");
    machine.run(&["systemctl", "daemon-reload"]);
    machine.run(&["systemctl", "start", "qbackd"]);
    let (before, pid) = (machine.property("shop", "InvocationID"), machine.property("qbackd", "MainPID"));
    let mut asked = machine.command(&["qbackd", "backup", "shop"]);
    let mut asked = asked.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    machine
        .wait("both are stopped", LIMIT, |m| [state(m, "shop"), state(m, "shop-worker@1")] == ["inactive", "inactive"]);
    meanwhile(&machine);
    machine.run(&["kill", "-KILL", &pid]);
    machine.wait("the daemon runs again", LIMIT, |m| {
        m.property("qbackd", "NRestarts") == "1" && m.property("qbackd", "SubState") == "running"
    });
    all_run_again(&machine, &before);
    assert!(!asked.wait().unwrap().success());
    let runs = machine.run(&["qbackd", "history", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    let outcomes: Vec<_> = runs["runs"].as_array().unwrap().iter().map(|run| &run["outcome"]).collect();
    assert_eq!(outcomes, ["interrupted"], "no other run has started them: {runs}");
}

#[test]
fn real_units_run_again_after_a_crash_of_the_daemon() {
    the_daemon_is_killed(|_| {});
}

#[test]
fn they_do_when_the_database_has_left_the_files_meanwhile() {
    the_daemon_is_killed(|machine| {
        machine.run(&["sed", "-i", "s/database.shop/database.other/", "/etc/qbackd/a.toml"]);
        machine.wait("the daemon has seen it", LIMIT, |m| {
            !m.journal(&["-u", "qbackd", "QBACKD_EVENT=config-accepted"]).is_empty()
        });
    });
}

#[test]
fn they_do_when_they_take_longer_to_start_than_the_daemon_is_given() {
    the_daemon_is_killed(|machine| {
        let drop_in = |unit, lines| machine.write(&format!("/etc/systemd/system/{unit}.service.d/slow.conf"), lines);
        drop_in("shop", "[Service]\nExecStartPre=/usr/bin/sleep 5\n");
        drop_in("qbackd", "[Service]\nTimeoutStartSec=3s\n");
        machine.run(&["systemctl", "daemon-reload"]);
    });
}
