//! `qbackd diff` and `qbackd reload` as they are typed.

use std::fs;

use super::{bench, daemon, database, status_at};

#[test]
fn diff_shows_what_a_reload_would_change_with_a_daemon_and_without_one() {
    let bench = bench();
    fs::write(bench.path("etc/more.toml"), database("old", "") + &database("same", "")).unwrap();
    let err = bench.fails(69, &["diff"]);
    assert!(err.contains("there is nothing to compare with") && err.contains("no daemon runs"), "{err}");
    let daemon = daemon(&bench);
    daemon.stop();
    let same = bench.run(&["diff"]);
    assert_eq!((same.status.code(), &same.stdout[..]), (Some(0), &b""[..]));
    assert_eq!(String::from_utf8_lossy(&same.stderr), "a reload would change nothing\n");
    let changes = ["added database new", "removed database old", "changed database shop (full, pause_after)"];
    fs::write(bench.path("etc/more.toml"), database("new", "") + &database("same", "")).unwrap();
    bench.edit("[database.shop]\n", "[database.shop]\nfull = \"03:00\"\npause_after = 7\n");
    assert_eq!(bench.ok(&["diff"]).lines().collect::<Vec<_>>(), changes);
    assert_eq!(bench.json(&["diff"])["changes"], serde_json::json!(changes));
    fs::write(bench.path("etc/bad.toml"), "[databse.new]\n").unwrap();
    let err = bench.fails(78, &["diff"]);
    assert!(err.contains("databse") && err.contains("would not accept"), "{err}");
    fs::remove_file(bench.path("etc/bad.toml")).unwrap();

    let daemon = super::daemon(&bench);
    assert_eq!(bench.ok(&["diff"]), "");
    // It sees the edit by itself as well; a reading that was asked for is the later one.
    fs::write(bench.path("etc/more.toml"), database("same", "")).unwrap();
    bench.ok(&["reload"]);
    assert_eq!(bench.ok(&["diff"]), "");
    daemon.says("configuration accepted: removed database new");
    fs::write(bench.path("etc/more.toml"), "[database.same\n").unwrap();
    let err = bench.fails(78, &["diff"]);
    assert!(err.contains("etc/more.toml:1:") && err.contains("the daemon would not accept"), "{err}");
}

#[test]
fn what_only_a_restart_changes_is_named_and_stays_until_then() {
    let bench = bench();
    let daemon = daemon(&bench);
    bench.edit("control.sock\"", "other.sock\"\nlisten = \"127.0.0.1:0\"\nmax_parallel = 7");
    let changes = "[daemon] (max_parallel, control_socket at the next restart, listen at the next restart)";
    daemon.says(&format!("configuration accepted: changed {changes}"));
    let socket = bench.path("run/control.sock");
    let socket = socket.to_str().unwrap();
    // It still speaks where it did, and the files still ask for something else.
    let left = "changed [daemon] (control_socket at the next restart, listen at the next restart)\n";
    assert_eq!(bench.ok(&["--socket", socket, "diff"]), left);
    assert_eq!(bench.ok(&["--socket", socket, "reload"]), left);
    assert!(!bench.path("run/other.sock").exists());
    assert!(daemon.stop().success());
    let daemon = super::daemon(&bench);
    assert_eq!(status_at(&bench, "run/other.sock").databases.len(), 1);
    assert_eq!(bench.ok(&["diff"]), "");
    drop(daemon);
}
