//! `cancel`: of what runs, of what waits, of what the schedule wanted; and that none of it comes back by itself.

use super::{SLOW, quick, slow};
use crate::support::daemon::Daemon;

/// A calendar that comes once a year: only the first backup of all is due before.
const YEARLY: &str = "full = '0 0 1 1 *'\n";

#[test]
fn a_run_that_is_cancelled_publishes_nothing_and_whoever_watches_is_told_who_did_it() {
    let bench = slow();
    let daemon = Daemon::start(&bench);
    let verb = bench.begin(&["backup", "shop"]);
    bench.begun();
    assert_eq!(bench.ok(&["cancel", "shop"]), "shop: cancelled\n");
    let (code, _, err) = verb.ends();
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("shop: cancelled by root (uid 0)") && err.contains("interrupted before"), "{err}");
    let run = bench.last_run();
    assert_eq!((&run["outcome"], &run["notes"][0]), (&"interrupted".into(), &"cancelled by root (uid 0)".into()));
    daemon.says("shop: backup interrupted");
    assert_eq!((bench.listed(), bench.unpublished()), (Vec::new(), Vec::new()));
    let said = bench.fails(1, &["cancel", "shop"]);
    assert!(said.contains("nothing of shop runs or waits in the daemon"), "{said}");
    bench.go();
    bench.ok(&["backup", "shop"]);
}

#[test]
fn a_hook_that_is_running_is_cancelled_with_its_run() {
    let bench = quick();
    bench.edit("[policy.plain]", "[policy.plain]\nhooks.before_backup = 'touch $HERE/begun; sleep 1000'");
    let text = bench.configuration();
    bench.set_configuration(&text);
    let _daemon = Daemon::start(&bench);
    let verb = bench.begin(&["backup", "shop"]);
    bench.begun();
    assert_eq!(bench.ok(&["cancel", "shop"]), "shop: cancelled\n");
    assert_eq!(verb.ends().0, Some(130));
    assert_eq!(bench.last_run()["outcome"], "interrupted");
}

#[test]
fn what_waits_is_taken_out_of_the_queue_and_recorded() {
    let bench = slow();
    bench.also("blog", "dump = ['sh', '-c', 'touch $HERE/wrong; echo x']\n");
    bench.edit("[daemon]", "[daemon]\nmax_parallel = 1");
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop", "--no-block"]);
    bench.begun();
    let verb = bench.begin(&["backup", "blog"]);
    bench.stands("blog waits", |_| bench.run(&["backup", "blog", "--no-block"]).status.code() == Some(75));
    assert_eq!(bench.ok(&["cancel", "blog"]), "blog: cancelled\n");
    let (code, _, err) = verb.ends();
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("cancelled by root (uid 0) before it had begun"), "{err}");
    let run = bench.last_run();
    assert_eq!((&run["database"], &run["outcome"]), (&"blog".into(), &"interrupted".into()));
    bench.go();
    daemon.says("shop: ok");
    assert!(!bench.path("wrong").exists());
}

#[test]
fn a_scheduled_run_that_was_cancelled_is_not_made_up_for_after_a_restart() {
    let bench = slow();
    bench.edit("[policy.plain]", &format!("[policy.plain]\n{YEARLY}"));
    let daemon = Daemon::start(&bench);
    bench.begun();
    assert_eq!(bench.ok(&["cancel", "shop"]), "shop: cancelled\n");
    // Nor is it a failure that is tried again.
    let status = bench.status();
    assert!(status["databases"][0]["next"].as_str().unwrap().contains("-01-01T00:00:00"), "{status}");
    daemon.kill();
    let daemon = Daemon::start(&bench);
    daemon.is_told("STATUS=1 database, next shop in ");
    assert_eq!(bench.runs("backup").len(), 1);
    assert!(!daemon.log().iter().any(|line| line.contains("backup started")), "{:?}", daemon.log());
}

#[test]
fn a_scheduled_run_that_waited_is_cancelled_for_good_too_and_one_that_died_is_not() {
    let bench = slow();
    bench.edit("[daemon]", "[daemon]\nmax_parallel = 1");
    bench.edit("[policy.plain]", &format!("[policy.plain]\n{YEARLY}"));
    // It is due at the same instant, and comes first by its name.
    bench.also("blog", SLOW);
    let daemon = Daemon::start(&bench);
    daemon.says("blog: backup started");
    bench.begun();
    assert_eq!(bench.ok(&["cancel", "shop"]), "shop: cancelled\n");
    let run = bench.last_run();
    assert_eq!((&run["database"], &run["initiated_by"]), (&"shop".into(), &"the schedule".into()));
    assert!(run["due"].is_string() && run["attempt"] == 1, "{run}");
    daemon.kill();
    bench.go();
    let daemon = Daemon::start(&bench);
    daemon.says("blog: ok");
    daemon.is_told("STATUS=2 databases, next blog in ");
    assert!(!daemon.log().iter().any(|line| line.contains("shop: backup started")), "{:?}", daemon.log());
}
