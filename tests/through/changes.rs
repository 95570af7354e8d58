//! `pause`, `resume`, `reset-failed`: what they change, what they say, and that it is known who asked.

use super::{QUICK, quick};
use crate::support::daemon::Daemon;

#[test]
fn a_pause_has_its_reason_and_who_it_was_in_the_status_and_ends_by_resume_only() {
    let bench = quick();
    bench.also("blog", QUICK);
    let _daemon = Daemon::start(&bench);
    assert_eq!(bench.ok(&["pause", "shop", "blog", "--reason", "moving"]), "shop: paused\nblog: paused\n");
    let pause = &bench.status()["databases"][0]["pause"];
    assert_eq!((&pause["by"], &pause["why"]), (&"operator: root (uid 0)".into(), &"moving".into()));
    let said = bench.json(&["reset-failed", "shop"]);
    assert_eq!(said["databases"][0]["state"], "paused", "{said}");
    let text = said["databases"][0]["text"].as_str().unwrap();
    assert!(text.contains("it stays paused by operator: root (uid 0)"), "{text}");
    assert_eq!(bench.ok(&["resume", "shop"]), "shop: resumed; it was paused by root (uid 0)\n");
    assert_eq!(bench.ok(&["resume", "shop"]), "shop: was not paused\n");
    assert_eq!(bench.status()["databases"][1]["pause"], serde_json::Value::Null);
}

#[test]
fn an_unknown_name_changes_nothing_of_the_others() {
    let bench = quick();
    let _daemon = Daemon::start(&bench);
    let said = bench.fails(2, &["pause", "shop", "shpo"]);
    assert!(said.contains("there is no database `shpo`") && said.contains("did you mean `shop`?"), "{said}");
    assert_eq!(bench.status()["databases"][0]["pause"], serde_json::Value::Null);
}

#[test]
fn a_scheduled_run_waits_for_the_end_of_a_pause() {
    let bench = quick();
    bench.ok(&["pause", "shop"]);
    bench.edit("[policy.plain]", "[policy.plain]\nfull = '0 0 1 1 *'");
    let daemon = Daemon::start(&bench);
    daemon.is_told("STATUS=");
    assert!(!daemon.log().iter().any(|line| line.contains("backup started")), "{:?}", daemon.log());
    bench.ok(&["resume", "shop"]);
    daemon.says("shop: ok");
}

#[test]
fn reset_failed_ends_a_pause_that_failures_led_to() {
    let bench = quick();
    bench.edit("dump = ['echo', 'hello']", "dump = ['sh', '-c', 'cat $HERE/data']\npause_after = 1");
    let text = bench.configuration();
    bench.set_configuration(&text);
    let _daemon = Daemon::start(&bench);
    let said = bench.fails(1, &["backup", "shop"]);
    assert!(said.contains("shop: paused after 1 failure"), "the pause is told where it was caused: {said}");
    assert_eq!(bench.status()["databases"][0]["state"], "paused");
    assert_eq!(bench.ok(&["reset-failed", "shop"]), "shop: 1 failure is forgotten\n");
    assert_eq!(bench.status()["databases"][0]["state"], "validating");
}
