//! Under a real systemd: the unit and what belongs to it, as they lie in packaging/.

mod catalog;
mod daemon;
mod sandbox;
mod stop_units;

use std::path::{Path, PathBuf};

use crate::support::systemd::{Machine, PROJECT};

/// The folder of the unit, in the project.
fn packaging(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(below)
}

/// The drop-ins that are shipped: their file names.
fn drop_ins() -> Vec<String> {
    let entries = std::fs::read_dir(packaging("systemd/drop-ins")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn systemd_finds_no_fault_with_the_units_and_their_drop_ins() {
    let machine = Machine::installed();
    let verify = |what: &str| {
        let output = machine.try_run(&["systemd-analyze", "verify", "--man=no", "qbackd.service", "qbackd.socket"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // It exits 0 for values it does not know.
        assert!(output.status.success() && said.is_empty(), "{what}: {said}");
    };
    verify("the units");
    for name in drop_ins() {
        machine.sh(&format!(
            "install -D -m 644 -t /etc/systemd/system/qbackd.service.d {PROJECT}/packaging/systemd/drop-ins/{name}"
        ));
        verify(&name);
    }
    assert!(drop_ins().len() >= 4, "{:?}", drop_ins());
}

#[test]
fn a_mistake_in_a_unit_would_be_found() {
    let machine = Machine::installed();
    machine.write("/etc/systemd/system/qbackd.service.d/wrong.conf", "[Service]\nProtectHome=perhaps\n");
    let output = machine.try_run(&["systemd-analyze", "verify", "--man=no", "qbackd.service"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("perhaps"), "{output:?}");
}

#[test]
fn the_unit_is_exposed_no_more_than_2_of_10() {
    let machine = Machine::installed();
    machine.run(&[
        "systemd-analyze",
        "security",
        "--offline=yes",
        "--threshold=20",
        "/usr/lib/systemd/system/qbackd.service",
    ]);
}

#[test]
fn user_and_folders_are_made_with_the_rights_that_keep_secrets() {
    let machine = Machine::installed();
    let made = machine.sh("stat -c '%n %A %U:%G' /var/backups/qbackd /etc/qbackd /etc/qbackd/secrets; getent passwd qbackd | cut -d: -f6,7");
    assert_eq!(
        made,
        "/var/backups/qbackd drwxr-x--- qbackd:qbackd\n/etc/qbackd drwxr-xr-x root:root\n\
         /etc/qbackd/secrets drwxr-x--- root:qbackd\n/var/lib/qbackd:/usr/sbin/nologin\n"
    );
}

#[test]
fn a_machine_is_gone_when_its_test_is() {
    let machine = Machine::boot();
    let pid1 = PathBuf::from(format!("/proc/{}", machine.leader()));
    assert!(pid1.exists());
    drop(machine);
    let ours = format!("qbackd-test-{}-", std::process::id());
    let named = |folder: &str| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&ours)).count()
    };
    assert!(!pid1.exists());
    assert_eq!(["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/tmp"].map(named), [0; 3]);
}
