//! A database that somebody works on.

use std::process::Stdio;
use std::time::Duration;

use super::{all_restore, says};
use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, sh};

#[test]
fn a_second_run_is_told_to_come_again_and_disturbs_nothing() {
    let bench = Bench::<CommandFixture>::new();
    bench.ok(&["backup", "shop"]);
    let published = bench.listed();
    sh("mkfifo", &[bench.path("gate").to_str().unwrap()]);
    let quick = bench.configuration();
    // Opening the gate waits until somebody comes through.
    let state = bench.fixture.state.display().to_string();
    bench.edit(
        &format!("dump = [\"cat\", \"{state}\"]"),
        "dump = [\"sh\", \"-c\", \"cat $HERE/data/state; touch $HERE/inside; read word < $HERE/gate\"]",
    );
    let run = bench.command(&["backup", "shop"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    bench.wait_for("inside", Duration::from_secs(20));
    for args in [&["backup", "shop"][..], &["delete", &published[0], "--yes"]] {
        let said = bench.fails(75, args);
        says(&said, &["shop is busy", &format!("pid {}", run.id()), "qbackd history shop"]);
    }
    // Who only reads is not kept away, and what is in the making is not shown as a backup.
    assert_eq!(bench.listed(), published);
    bench.ok(&["verify", "shop"]);
    assert_eq!(bench.runs("backup")[0]["outcome"], serde_json::Value::Null);
    std::fs::write(bench.path("gate"), "go on\n").unwrap();
    let ended = run.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(bench.outcomes(), ["succeeded", "succeeded"], "what came again is no run");
    assert_eq!(bench.listed().len(), 2);
    bench.set_configuration(&quick);
    all_restore(&bench);
}
