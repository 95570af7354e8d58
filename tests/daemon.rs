//! The daemon as a process: it does by itself what its files say, and survives what happens to it.

mod faults;
mod limits;
mod recovery;
mod schedule;
mod shutdown;

use jiff::Timestamp;
use qbackd::control::{Client, DatabaseStatus};

use crate::support::bench::Bench;
use crate::support::daemon::until;
use crate::support::fixture::{Fixture, sqlite3};

/// A schedule that leaves the tests alone: only what has no backup yet is due at once.
const FAR: &str = "full = '*-02-29 03:00 UTC'\n";

/// What the daemon says of `shop`.
fn status<F: Fixture>(bench: &Bench<F>) -> DatabaseStatus {
    let socket = bench.path("run/control.sock");
    let ask = async {
        let daemon = Client::connect(&socket).await.unwrap().expect("a daemon answers");
        daemon.status(&["shop".parse().unwrap()]).await.unwrap()
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(ask).databases.remove(0)
}

/// When it begins the next run of `shop`.
fn next<F: Fixture>(bench: &Bench<F>) -> Timestamp {
    status(bench).next.expect("something is planned")
}

/// Changes the history behind the daemon's back.
fn amend<F: Fixture>(bench: &Bench<F>, sql: &str) {
    sqlite3(&bench.path("state/history.db"), &format!("PRAGMA busy_timeout = 10000; {sql}"));
}

/// A time of a run, as the history has it.
fn time(run: &serde_json::Value, key: &str) -> Timestamp {
    run[key].as_str().unwrap_or_else(|| panic!("no {key} in {run}")).parse().unwrap()
}

/// Waits until the history has so many backups that ended, and gives them, newest first.
fn ended<F: Fixture>(bench: &Bench<F>, count: usize) -> Vec<serde_json::Value> {
    until(&format!("{count} runs have ended"), || {
        let runs = bench.runs("backup");
        (runs.len() >= count && runs.iter().all(|run| run["outcome"].is_string())).then_some(runs)
    })
}
