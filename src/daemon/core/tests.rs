//! The loop under a clock that is moved by hand and a tokio that skips its waits: what only the sweep can find, and the queue.

use std::path::Path;

use jiff::SignedDuration;
use tempfile::TempDir;

use super::*;
use crate::config;
use crate::history::{Filter, History, Run, StateDir};
use crate::model::{Clock, FixedClock};

/// A loop that runs nowhere yet.
struct Bench {
    core: Core,
    clock: Arc<FixedClock>,
    history: Arc<History>,
    _dir: TempDir,
}

/// Limits of time that are none: tokio's clock runs ahead of the dumps.
const POLICY: &str = "destinations = ['local']\nencryption = 'none'\ntimeout = '9999h'\nstall_timeout = '9999h'\n";

impl Bench {
    /// A daemon with these databases and their schedules, which is begun at `now`.
    async fn new(max_parallel: u32, databases: &[(&str, &str)], now: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/q.toml"), configuration(dir.path(), max_parallel, databases)).unwrap();
        let clock = Arc::new(FixedClock::new(now.parse().unwrap()));
        let state = Arc::new(StateDir::prepare(&dir.path().join("state")).unwrap());
        let (history, _) = History::open(Arc::clone(&state), "db1", clock.clone()).unwrap();
        let history = Arc::new(history);
        let ground = Ground {
            config: dir.path().join("etc"),
            state,
            history: Arc::clone(&history),
            clock: clock.clone(),
            host: "db1".into(),
            started: clock.now(),
        };
        let loaded = config::load(&ground.config).unwrap_or_else(|report| panic!("{report}"));
        let configured = Configured::new(&loaded.warnings, None, clock.now());
        let alarms = Alarms::new(&ground).unwrap();
        let core = Core::new(ground, Arc::new(loaded.plan), configured, alarms).await.unwrap();
        Self { core, clock, history, _dir: dir }
    }

    /// Runs it for as long as `script` takes.
    async fn during<T>(mut self, script: impl AsyncFnOnce(&FixedClock, &History) -> T) -> T {
        tokio::select! {
            () = self.core.run() => panic!("the loop ended"),
            done = script(&self.clock, &self.history) => done,
        }
    }
}

/// Waits until as many runs are in the history and have ended; gives them, oldest first, and after how long the last one began.
async fn runs(history: &History, count: usize) -> (Vec<Run>, Duration) {
    let (begun, really) = (Instant::now(), std::time::Instant::now());
    let mut took = None;
    loop {
        let mut runs = history.read().recent(&Filter::default(), 100).unwrap();
        if runs.len() >= count {
            let took = *took.get_or_insert_with(|| begun.elapsed());
            if runs.iter().all(|run| run.outcome.is_some()) {
                runs.reverse();
                return (runs, took);
            }
        }
        assert!(really.elapsed() < Duration::from_secs(60), "it never comes; there are {runs:#?}");
        sleep(Duration::from_millis(500)).await;
    }
}

fn configuration(dir: &Path, max_parallel: u32, databases: &[(&str, &str)]) -> String {
    let mut text = format!(
        "[daemon]\nmax_parallel = {max_parallel}\ntimezone = 'UTC'\n[destination.local]\nservice = 'fs'\nroot = '{}'\nmin_free = '0%'\n\
         [policy.p]\n{POLICY}",
        dir.join("backups").display()
    );
    for (name, full) in databases {
        text +=
            &format!("[database.{name}]\nengine = 'command'\ndump = ['echo', 'x']\npolicy = 'p'\nfull = '{full}'\n");
    }
    text
}

fn names(runs: &[Run]) -> Vec<&str> {
    runs.iter().map(|run| run.database.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_firing_that_is_lost_is_swept_up_within_a_minute() {
    let mut bench = Bench::new(2, &[("shop", "02:00")], "2026-11-20T01:58:30Z").await;
    bench.core.timer.break_down();
    let (runs, took) = bench
        .during(async |clock, history| {
            // The first is due at once, and needs no timer.
            runs(history, 1).await;
            clock.step(SignedDuration::from_secs(95));
            runs(history, 2).await
        })
        .await;
    assert_eq!(runs[1].due, Some("2026-11-20T02:00:00Z".parse().unwrap()));
    assert!(took <= Duration::from_secs(61), "it took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_is_noticed_within_a_minute() {
    let bench = Bench::new(2, &[("shop", "02:00")], "2026-11-20T01:58:30Z").await;
    let (runs, took) = bench
        .during(async |clock, history| {
            runs(history, 1).await;
            clock.step(SignedDuration::from_hours(30 * 24));
            runs(history, 2).await
        })
        .await;
    assert_eq!(runs[1].due, Some("2026-12-19T02:00:00Z".parse().unwrap()), "the newest makes up for all");
    assert!(took <= Duration::from_secs(61), "it took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_longest_is_done_first() {
    let databases = [("a", "00:30"), ("b", "00:10"), ("c", "00:40"), ("d", "00:20")];
    let bench = Bench::new(1, &databases, "2026-11-20T00:00:00Z").await;
    let runs = bench
        .during(async |clock, history| {
            assert_eq!(names(&runs(history, 4).await.0), ["a", "b", "c", "d"]);
            clock.step(SignedDuration::from_hours(1));
            runs(history, 8).await.0
        })
        .await;
    assert_eq!(names(&runs[4..]), ["b", "d", "a", "c"]);
}
