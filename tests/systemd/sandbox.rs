//! What the unit's sandbox lets through and what not, with a verb in the place of the daemon: it does the same work.

use std::time::Duration;

use crate::support::fixture::sqlite3;
use crate::support::systemd::{Machine, PROJECT};

/// A machine whose unit runs this once instead of the daemon.
pub(super) fn once(command: &str) -> Machine {
    let machine = Machine::installed();
    machine.write(
        "/etc/systemd/system/qbackd.service.d/once.conf",
        format!("[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart={command}\n"),
    );
    machine.run(&["systemctl", "daemon-reload"]);
    machine
}

/// Installs a drop-in of packaging/.
pub(super) fn drop_in(machine: &Machine, name: &str) {
    let folder = "/etc/systemd/system/qbackd.service.d";
    machine.run(&["install", "-D", "-m", "644", "-t", folder, &format!("{PROJECT}/packaging/systemd/drop-ins/{name}")]);
    machine.run(&["systemctl", "daemon-reload"]);
}

/// Runs the unit, which must fail, and gives what it said.
pub(super) fn fails(machine: &Machine) -> String {
    let output = machine.try_run(&["systemctl", "start", "qbackd"]);
    let said = machine.messages(&["-u", "qbackd"]).join("\n");
    assert!(!output.status.success(), "{said}");
    said
}

/// A configuration whose destination is `root`, with this database.
fn configuration(root: &str, database: &str) -> String {
    format!(
        "[destination.local]\nservice = \"fs\"\nroot = \"{root}\"\nmin_free = \"0%\"\n\n\
         [encryption.words]\npassphrase = {{ credential = \"words\" }}\n\n\
         [policy.nightly]\ndestinations = [\"local\"]\nencryption = \"words\"\n\n{database}\npolicy = \"nightly\"\n"
    )
}

/// A credential that root alone can read.
fn credential(machine: &Machine) {
    machine.write("/etc/qbackd/secrets/words", "correct horse battery staple\n");
    machine.run(&["chmod", "600", "/etc/qbackd/secrets/words"]);
    machine.write(
        "/etc/systemd/system/qbackd.service.d/credential.conf",
        "[Service]\nLoadCredential=words:/etc/qbackd/secrets/words\n",
    );
    machine.run(&["systemctl", "daemon-reload"]);
}

#[test]
fn the_unit_lets_backups_be_made_with_a_secret_that_only_systemd_can_read() {
    let machine = once("/usr/bin/qbackd backup --all");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.db");
    sqlite3(&file, "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2), (3);");
    // Somebody's home, where the sandbox lets nobody write.
    machine.write("/home/app/app.db", std::fs::read(&file).unwrap());
    credential(&machine);
    machine.write(
        "/etc/qbackd/a.toml",
        configuration("/var/backups/qbackd", "[database.app]\nurl = \"sqlite:/home/app/app.db\""),
    );
    machine.write(
        "/etc/qbackd/b.toml",
        "[database.accounts]\nengine = \"command\"\ndump = [\"getent\", \"passwd\"]\npolicy = \"nightly\"\n\
         [database.etc]\nengine = \"files\"\nfiles = [\"/etc/systemd\"]\npolicy = \"nightly\"\n",
    );
    machine.run(&["systemctl", "start", "qbackd"]);
    let listed = machine.sh(
        "ls /var/backups/qbackd/*/backup/*/manifest.json; stat -c '%U:%G %A' /var/backups/qbackd/app /var/lib/qbackd",
    );
    assert_eq!(listed.matches("manifest.json").count(), 3, "{listed}");
    // The world sees none of it.
    assert!(listed.ends_with("qbackd:qbackd drwxr-x---\nqbackd:qbackd drwxr-x---\n"), "{listed}");
}

#[test]
fn a_folder_that_the_unit_may_not_write_to_is_refused_with_the_command_that_allows_it() {
    let machine = once("/usr/bin/qbackd backup --all");
    credential(&machine);
    let database = "[database.accounts]\nengine = \"command\"\ndump = [\"getent\", \"passwd\"]";
    // The folder is there and qbackd's, so that nothing but the sandbox is in the way.
    machine.run(&["install", "-d", "-o", "qbackd", "-g", "qbackd", "/srv/there"]);
    for root in ["/srv/there", "/srv/absent"] {
        machine.write("/etc/qbackd/a.toml", configuration(root, database));
        let said = fails(&machine);
        let command =
            said.lines().rev().find_map(|line| line.split_once("as root: ")).unwrap_or_else(|| panic!("{said}")).1;
        // The unit is a single run here: what the command restarts does the work, or fails.
        machine.sh(command);
        machine.sh(&format!("ls {root}/accounts/backup/*/manifest.json"));
    }
}

#[test]
fn files_of_others_are_read_with_the_drop_in_for_it_and_only_then() {
    let machine = once("/usr/bin/qbackd backup --all");
    credential(&machine);
    machine.sh("mkdir -m 700 /srv/private; echo secret >/srv/private/file; chmod 600 /srv/private/file");
    let database = "[database.private]\nengine = \"files\"\nfiles = [\"/srv/private\"]";
    machine.write("/etc/qbackd/a.toml", configuration("/var/backups/qbackd", database));
    let said = fails(&machine);
    assert!(said.contains("cannot read /srv/private"), "{said}");
    drop_in(&machine, "read-all-files.conf");
    machine.run(&["systemctl", "start", "qbackd"]);
    machine.sh("ls /var/backups/qbackd/private/backup/*/manifest.json");
}

#[test]
fn units_are_stopped_with_the_rule_for_it_and_no_others() {
    let machine = once("/usr/bin/systemctl --no-ask-password stop shop.service");
    for unit in ["shop", "other"] {
        machine.write(&format!("/etc/systemd/system/{unit}.service"), "[Service]\nExecStart=/usr/bin/sleep infinity\n");
    }
    machine.run(&["systemctl", "daemon-reload"]);
    machine.run(&["systemctl", "start", "shop", "other"]);
    fails(&machine);
    assert_eq!(machine.property("shop", "ActiveState"), "active");

    drop_in(&machine, "stop-units.conf");
    machine.sh(&format!(
        "install -D -m 644 -t /etc/polkit-1/rules.d {PROJECT}/packaging/polkit/50-qbackd-stop-units.rules"
    ));
    machine.run(&["systemctl", "restart", "polkit"]);
    machine.run(&["systemctl", "start", "qbackd"]);
    assert_eq!(machine.property("shop", "ActiveState"), "inactive");

    // The same by hand for a unit that the rule does not name.
    let output = machine.try_run(&["runuser", "-u", "qbackd", "--", "systemctl", "--no-ask-password", "stop", "other"]);
    assert!(!output.status.success());
    assert_eq!(machine.property("other", "ActiveState"), "active");
}

#[test]
fn what_is_logged_has_its_fields_in_the_journal() {
    let machine = once("/usr/bin/qbackd -vv backup accounts");
    credential(&machine);
    let database = "[database.accounts]\nengine = \"command\"\ndump = [\"getent\", \"passwd\"]";
    machine.write("/etc/qbackd/a.toml", configuration("/var/backups/qbackd", database));
    machine.run(&["systemctl", "start", "--no-block", "qbackd"]);
    let mut found = Vec::new();
    machine.wait("the run is published", Duration::from_secs(60), |machine| {
        found = machine.journal(&["-u", "qbackd", "STEP=published"]);
        !found.is_empty()
    });
    let line = &found[0];
    assert_eq!((&line["MESSAGE"], &line["PRIORITY"]), (&"reached".into(), &"7".into()));
    assert_eq!((&line["SYSLOG_IDENTIFIER"], &line["_TRANSPORT"]), (&"qbackd".into(), &"journal".into()));
}
