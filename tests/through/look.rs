//! `status` and `history` through the daemon.

use rustix::process::Signal;

use super::{quick, slow};
use crate::support::daemon::Daemon;

#[test]
fn the_status_shows_what_runs_and_what_is_next() {
    let bench = slow();
    bench.edit("[policy.plain]", "[policy.plain]\nfull = 'every 6h'");
    let _daemon = Daemon::start(&bench);
    bench.begun();
    let status = bench.stands("the dump is shown", |status| {
        let running = &status["databases"][0]["running"];
        running["phase"].as_str().is_some_and(|phase| phase.contains("running sh"))
    });
    assert!(status["daemon"]["pid"].is_u64() && status["databases"][0]["next"].is_string(), "{status}");
    assert_eq!(status["problems"].as_array().unwrap().len(), 0, "{status}");
    assert!(bench.ok(&["status"]).starts_with("1 database, 1 running (shop), "));
    let health = bench.ok(&["status", "--health"]);
    assert!(health.starts_with("OK: 1 database, 1 running (shop)"), "{health}");
    bench.go();
    bench.stands("it ended", |status| status["databases"][0]["last_full"].is_object());
    assert!(!bench.ok(&["status", "shop"]).contains("  running"));
}

#[test]
fn a_status_that_is_watched_follows_the_daemon_until_ctrl_c() {
    let bench = slow();
    let _daemon = Daemon::start(&bench);
    let mut verb = bench.begin(&["status", "--watch"]);
    verb.says("1 validating (shop)");
    bench.ok(&["backup", "shop", "--no-block"]);
    verb.says("1 running (shop)");
    bench.go();
    verb.says("1 database, all fresh");
    verb.signal(Signal::INT);
    let (code, _, err) = verb.ends();
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[test]
fn the_history_is_the_same_with_a_daemon_and_without() {
    let bench = quick();
    bench.also("bad", "dump = ['sh', '-c', 'echo oh no >&2; exit 3']\n");
    bench.ok(&["backup", "shop"]);
    bench.fails(1, &["backup", "bad"]);
    bench.ok(&["backup", "shop"]);
    let id = bench.runs("backup")[1]["id"].as_str().unwrap().to_owned();
    let each: [&[&str]; 6] = [
        &["history"],
        &["history", "shop", "-n", "1"],
        &["history", &id],
        &["history", "--json"],
        &["history", &id, "--json"],
        &["history", "nosuch"],
    ];
    let ask = |args: &[&str]| {
        let output = bench.run(args);
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    let alone = each.map(ask);
    assert!(alone[2].1.contains("oh no") && alone[5].0 == Some(1), "{alone:?}");
    let _daemon = Daemon::start(&bench);
    let asked = each.map(ask);
    for (args, (alone, asked)) in each.iter().zip(alone.iter().zip(&asked)) {
        // How long ago a run was may have changed meanwhile.
        let without_ages =
            |text: &str| text.lines().filter(|line| !line.starts_with("started ")).collect::<Vec<_>>().join("\n");
        assert_eq!((asked.0, without_ages(&asked.1)), (alone.0, without_ages(&alone.1)), "{args:?}");
    }
}

#[test]
fn a_history_that_is_followed_shows_runs_as_they_start_and_end() {
    let bench = slow();
    let _daemon = Daemon::start(&bench);
    let mut verb = bench.begin(&["history", "-f"]);
    bench.ok(&["backup", "shop", "--no-block"]);
    let running = verb.says("running");
    let id = running.split_whitespace().next().unwrap().to_owned();
    let mut one = bench.begin(&["history", "-f", &id]);
    one.says("outcome       running");
    bench.go();
    let ended = verb.says("succeeded");
    assert!(ended.starts_with(&id), "{ended}");
    verb.signal(Signal::INT);
    let (code, _, err) = verb.ends();
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let (code, out, err) = one.ends();
    assert_eq!((code, out.lines().last()), (Some(0), Some("succeeded")), "{out}{err}");
}

#[test]
fn who_follows_the_history_is_told_that_the_daemon_ended() {
    let bench = quick();
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop"]);
    let mut verb = bench.begin(&["history", "-f"]);
    verb.says("succeeded");
    assert!(daemon.stop().success());
    let (code, _, err) = verb.ends();
    assert_eq!(code, Some(69), "{err}");
    assert!(err.contains("the daemon ended"), "{err}");
}
