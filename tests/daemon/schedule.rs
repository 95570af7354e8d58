//! When runs begin.

use crate::support::bench::Bench;
use crate::support::daemon::{Daemon, until};
use crate::support::fixture::CommandFixture;

#[test]
fn a_database_is_backed_up_when_its_schedule_says() {
    let bench = Bench::<CommandFixture>::with_keys("dump = ['echo', 'hello']\nfull = '*/2 * * * * *'\n");
    let daemon = Daemon::start(&bench);
    // The first is due at once, since there is no backup yet.
    daemon.says_times("shop: ok: ", 3);
    let status = until("the next run", || {
        let status = bench.run(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        status["databases"][0]["next"].is_string().then_some(status)
    });
    let next: jiff::Timestamp = status["databases"][0]["next"].as_str().unwrap().parse().unwrap();
    assert_eq!(next.as_second() % 2, 0);
    assert!(daemon.stop().success());
    let runs = bench.runs("backup");
    assert!(runs.len() >= 3, "{runs:?}");
    for run in &runs {
        assert_eq!((&run["outcome"], &run["initiated_by"]), (&"succeeded".into(), &"the schedule".into()));
    }
}
