//! The verbs that need a daemon, as they are typed.

use std::process::{Command, Stdio};

use qbackd::control::wire::{Ended, Reload};
use qbackd::daemon::control::Stage;
use qbackd::model::Outcome;
use serde_json::Value;

use super::House;

fn verb(house: &House, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qbackd"));
    command.args(args).env("QBACKD_CONFIG", "/nonexistent").arg("--socket").arg(&house.socket).stdin(Stdio::null());
    command
}

fn said(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn without_a_daemon_what_only_a_daemon_can_do_exits_with_69() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let config = format!("[daemon]\ncontrol_socket = \"{}\"\n[broken\n", socket.display());
    std::fs::write(dir.path().join("a.toml"), config).unwrap();
    for args in [&["reload"][..], &["cancel", "shop"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qbackd"));
        command.args(args).arg("--config").arg(dir.path());
        let (code, out, err) = said(command);
        assert_eq!((code, out.as_str()), (Some(69), ""), "{err}");
        assert!(err.contains("no daemon runs") && err.contains("systemctl start qbackd"), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_is_found_by_the_configuration_though_the_rest_of_it_is_broken() {
    let house = House::new().await;
    let config = format!("[daemon]\ncontrol_socket = \"{}\"\n\n[policy.p]\nfull = 7\n", house.socket.display());
    std::fs::write(house.dir.path().join("etc/a.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_qbackd"));
    command.args(["reload", "--config"]).arg(house.dir.path().join("etc"));
    assert_eq!(said(command).0, Some(0));
    assert_eq!(house.desk.told(), ["reload by root (uid 0)"]);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_and_diff_show_what_changes_and_a_refusal_exits_with_78() {
    let house = House::new().await;
    let quiet = "the configuration is loaded, and nothing has changed\n";
    assert_eq!(said(verb(&house, &["reload"])), (Some(0), String::new(), quiet.into()));
    house.desk.reload.lock().unwrap().changes = vec!["shop: full 02:00 -> 03:00".into(), "blog: gone".into()];
    for args in ["reload", "diff"] {
        let expected = (Some(0), "shop: full 02:00 -> 03:00\nblog: gone\n".into(), String::new());
        assert_eq!(said(verb(&house, &[args])), expected);
        let (code, out, _) = said(verb(&house, &[args, "--json"]));
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &document["changes"][1]), (Some(0), &"blog: gone".into()));
    }
    *house.desk.reload.lock().unwrap() = Reload {
        accepted: false,
        errors: 2,
        warnings: 0,
        diagnostics: "error: unknown key `fulll`\n --> a.toml:1:1\n".into(),
        changes: Vec::new(),
    };
    for args in ["reload", "diff"] {
        let (code, out, err) = said(verb(&house, &[args]));
        assert_eq!((code, out.as_str()), (Some(78), ""));
        assert!(err.starts_with("error: unknown key `fulll`\n --> a.toml:1:1\nerror: the daemon "), "{err}");
    }
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_returns_when_the_run_has_ended() {
    let house = House::new().await;
    let child = verb(&house, &["cancel", "shop"]).stdout(Stdio::piped()).spawn().unwrap();
    let asked = async {
        while house.desk.told().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::LIMIT, asked).await.expect("the daemon must be asked");
    let ended = Ended::new(Outcome::Interrupted);
    house.desk.stage.send_replace(Stage { run: None, attempt: 1, ended: Some(ended) });
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()),
        (Some(0), "shop: cancelled\n")
    );
    house.end().await;
}
