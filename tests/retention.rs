//! Retention: the rules as a pure function, against tables, against a slow reference and against the promises; and what the
//! program deletes by them.

mod applied;
mod held;
mod nightly;
mod promises;
mod reference;
mod rules;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use qbackd::config;
use qbackd::history::{History, StateDir};
use qbackd::job::Context;
use qbackd::model::{BackupId, Clock};
use qbackd::retention::{Candidate, Decision, Keep, Rules, Verdict, decide};
use tokio_util::sync::CancellationToken;

use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, Fixture};

/// The rules that a table of the configuration says.
fn keep(rules: &str) -> Keep {
    toml::from_str(rules).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A backup whose random part is `word`.
fn id(started: Timestamp, kind: &str, word: &str) -> BackupId {
    format!("{}-{kind}-{word:0>8}", started.strftime("%Y%m%dT%H%M%SZ")).parse().unwrap()
}

/// A good full backup of this moment.
fn full(started: &str) -> Candidate {
    let started = at(started);
    let id = id(started, "full", "0");
    Candidate { parent: None, chain: id.clone(), id, finished: started, stored_bytes: 1000, good: true, pinned: false }
}

/// An incremental of this moment on another backup.
fn on(parent: &Candidate, started: &str) -> Candidate {
    let id = id(at(started), "incremental", "0");
    Candidate { id, parent: Some(parent.id.clone()), chain: parent.chain.clone(), ..full(started) }
}

/// What is decided in UTC.
fn decided(backups: &[Candidate], rules: &str, now: &str) -> Vec<Decision> {
    decide(backups, &Rules { keep: Some(&keep(rules)), zone: &TimeZone::UTC, hold: None }, at(now))
}

/// The days and hours of what is kept, newest first.
fn kept(decisions: &[Decision]) -> Vec<String> {
    let kept = decisions.iter().filter(|d| d.verdict == Verdict::Keep);
    kept.map(|d| d.started.strftime("%m-%d %H").to_string()).collect()
}

/// Why something became of the backup of this moment.
fn why(decisions: &[Decision], started: &str) -> Vec<String> {
    let decision = decisions.iter().find(|d| d.started == at(started)).unwrap();
    decision.reasons.iter().map(ToString::to_string).collect()
}

/// A bench whose backups are small and quick, with these rules in its policy.
fn bench(policy: &str) -> Bench<CommandFixture> {
    let bench = Bench::<CommandFixture>::with_keys(DUMP);
    bench.configure(DUMP, policy);
    bench
}

const DUMP: &str = "dump = [\"echo\", \"rows\"]\nrestore = [\"cat\"]\n";

/// What a job of this process works with, on the bench's configuration and with this clock.
fn context<F: Fixture>(bench: &Bench<F>, clock: Arc<dyn Clock>) -> Context {
    let plan = config::load(&bench.path("etc")).unwrap_or_else(|report| panic!("{report}")).plan;
    let state = Arc::new(StateDir::prepare(&plan.daemon.state_dir).unwrap());
    let (history, damage) = History::open(Arc::clone(&state), "here", Arc::clone(&clock)).unwrap();
    assert!(damage.is_none());
    Context {
        plan: Arc::new(plan),
        state,
        history: Arc::new(history),
        clock,
        host: "here".into(),
        initiated_by: "test".into(),
        run: None,
        scheduled: None,
        notices: None,
        cancel: CancellationToken::new(),
    }
}

/// Makes a backup as the program does and lets it be of another time: `20261101T020000Z`. Gives its id, `shop/…`.
fn backup_of<F: Fixture>(bench: &Bench<F>, time: &str) -> String {
    let before = bench.listed();
    bench.ok(&["backup", "shop"]);
    let made = bench.listed().into_iter().find(|id| !before.contains(id)).unwrap();
    let (old, word) = (made.strip_prefix("shop/").unwrap(), made.rsplit('-').next().unwrap());
    let new = format!("{time}-full-{word}");
    let folder = bench.folder(&made);
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    std::fs::write(folder.join("manifest.json"), manifest.replace(old, &new)).unwrap();
    let dated = format!("shop/{new}");
    std::fs::rename(&folder, bench.folder(&dated)).unwrap();
    dated
}
