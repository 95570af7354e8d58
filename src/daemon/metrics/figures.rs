//! What is shown of the daemon and of each database, and under which names. `packaging/` has a dashboard and alert rules for it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::page::{Page, Type};
use crate::control::status::{Backup, DatabaseStatus, State, Status};
use crate::model::{BackupType, Name, Outcome, RunKind};

/// Everything that is shown.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Where everything stands.
    pub status: Status,
    /// How it is with the files.
    pub configuration: Configuration,
    /// What was counted since the start.
    pub counters: Counters,
}

/// How it is with the configuration's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration {
    /// Whether what the files say is what runs; `false` after an edit that was refused.
    pub accepted: bool,
    /// When what runs was accepted.
    pub since: Timestamp,
}

/// Runs that ended since the daemon started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    runs: BTreeMap<(Name, RunKind, Outcome), u64>,
    stored: BTreeMap<Name, u64>,
}

impl Counters {
    /// Counts a run that ended, and what it brought to (or from) the destination.
    pub fn ended(&mut self, database: &Name, kind: RunKind, outcome: Outcome, stored_bytes: u64) {
        *self.runs.entry((database.clone(), kind, outcome)).or_default() += 1;
        *self.stored.entry(database.clone()).or_default() += stored_bytes;
    }
}

const STATES: [State; 6] =
    [State::Active, State::Validating, State::Failing, State::Paused, State::Disabled, State::Detached];

/// The page for Prometheus.
pub fn render(figures: &Figures) -> String {
    let Figures { status, configuration, counters } = figures;
    let mut page = Page::default();
    daemon(&mut page, status, configuration);
    databases(&mut page, status);
    backups(&mut page, status);
    counted(&mut page, counters);
    page.into_text()
}

fn daemon(page: &mut Page, status: &Status, configuration: &Configuration) {
    let version = status.daemon.as_ref().map_or(env!("CARGO_PKG_VERSION"), |build| build.version.as_str());
    page.family(
        "qbackd_build_info",
        Type::Gauge,
        "The version that runs; always 1.",
        [(vec![("version", version)], 1)],
    );
    let started = status.daemon.iter().map(|build| (vec![], seconds(build.started)));
    page.family("qbackd_start_time_seconds", Type::Gauge, "When the daemon started, as seconds since 1970.", started);
    page.family(
        "qbackd_configuration_accepted",
        Type::Gauge,
        "1 if what the files say is what runs, 0 if an edit was refused.",
        [(vec![], u8::from(configuration.accepted))],
    );
    page.family(
        "qbackd_configuration_accepted_timestamp_seconds",
        Type::Gauge,
        "When the configuration that runs was accepted, as seconds since 1970.",
        [(vec![], seconds(configuration.since))],
    );
    page.family(
        "qbackd_problems",
        Type::Gauge,
        "What is wrong with the daemon itself, in number.",
        [(vec![], status.problems.len())],
    );
    page.family(
        "qbackd_databases",
        Type::Gauge,
        "Databases by state.",
        STATES.map(|state| {
            (vec![("state", state.as_str())], status.databases.iter().filter(|one| one.state == state).count())
        }),
    );
}

fn databases(page: &mut Page, status: &Status) {
    let each = |value: fn(&DatabaseStatus) -> u64| {
        status.databases.iter().map(move |one| (vec![("database", one.name.as_str())], value(one)))
    };
    let flag = "1 if so, else 0.";
    let mut yes = |name, help: &str, value| page.family(name, Type::Gauge, &format!("{help} {flag}"), each(value));
    yes("qbackd_database_failing", "The newest run failed, with all retries.", |one| {
        (one.state == State::Failing).into()
    });
    yes("qbackd_database_paused", "Nothing of it starts by itself.", |one| (one.state == State::Paused).into());
    yes("qbackd_database_stale", "There was no success for too long.", |one| one.stale.into());
    yes("qbackd_database_suspicious", "A backup is much smaller than those before.", |one| {
        one.suspicious.is_some().into()
    });
    yes("qbackd_database_running", "A run is going on.", |one| one.running.is_some().into());
    page.family(
        "qbackd_database_failures",
        Type::Gauge,
        "Failures since the last success; a series of retries is one.",
        each(|one| one.failures.into()),
    );
    let known = |value: fn(&DatabaseStatus) -> Option<f64>| {
        status.databases.iter().filter_map(move |one| Some((vec![("database", one.name.as_str())], value(one)?)))
    };
    page.family(
        "qbackd_database_stale_after_seconds",
        Type::Gauge,
        "How long it may be without a success.",
        known(|one| one.stale_after.map(whole)),
    );
    page.family(
        "qbackd_database_next_run_timestamp_seconds",
        Type::Gauge,
        "When the next run starts by itself, as seconds since 1970.",
        known(|one| one.next.map(seconds)),
    );
    page.family(
        "qbackd_database_proven_timestamp_seconds",
        Type::Gauge,
        "When a backup was last proven by a restore, a verify or a drill, as seconds since 1970.",
        known(|one| one.proven.as_ref().map(|proof| seconds(proof.at))),
    );
}

/// The last success of each database, of each type, at each destination.
fn backups(page: &mut Page, status: &Status) {
    let mut last: Vec<(Vec<(&str, &str)>, &Backup)> = Vec::new();
    for one in &status.databases {
        let full = one.last_full.iter().map(|backup| (BackupType::Full, backup));
        let incremental = one.last_incremental.iter().map(|backup| (BackupType::Incremental, backup));
        for (kind, backup) in full.chain(incremental) {
            let labels = |destination| {
                vec![("database", one.name.as_str()), ("destination", destination), ("type", kind.as_str())]
            };
            last.extend(backup.destinations.iter().map(|destination| (labels(destination.as_str()), backup)));
        }
    }
    let now = seconds(status.at);
    let mut family = |name, help, value: &dyn Fn(&Backup) -> Option<f64>| {
        let rows = last.iter().filter_map(|(labels, backup)| Some((labels.clone(), value(backup)?)));
        page.family(name, Type::Gauge, help, rows);
    };
    family(
        "qbackd_last_success_timestamp_seconds",
        "When the last good backup was published, as seconds since 1970.",
        &|backup| Some(seconds(backup.finished)),
    );
    family("qbackd_last_success_age_seconds", "How old the data of the last good backup is.", &|backup| {
        Some((now - seconds(backup.started)).max(0.0))
    });
    family("qbackd_last_success_duration_seconds", "How long the last good backup took.", &|backup| took(backup));
    family("qbackd_last_success_plain_bytes", "How large it was before compression and encryption.", &|backup| {
        backup.plain_bytes.map(whole)
    });
    family("qbackd_last_success_stored_bytes", "How large it is at the destination.", &|backup| {
        backup.stored_bytes.map(whole)
    });
    family("qbackd_last_success_bytes_per_second", "Plain bytes in a second, over the whole run.", &|backup| {
        let took = took(backup).filter(|took| *took > 0.0)?;
        Some(whole(backup.plain_bytes?) / took)
    });
}

fn counted(page: &mut Page, counters: &Counters) {
    let runs = counters.runs.iter().map(|((database, kind, outcome), count)| {
        (vec![("database", database.as_str()), ("kind", kind.as_str()), ("outcome", outcome.as_str())], *count)
    });
    page.family("qbackd_runs_total", Type::Counter, "Runs that ended since the daemon started.", runs);
    let stored = counters.stored.iter().map(|(database, bytes)| (vec![("database", database.as_str())], *bytes));
    let help = "Bytes that runs brought to destinations, or from there, since the daemon started.";
    page.family("qbackd_stored_bytes_total", Type::Counter, help, stored);
}

fn took(backup: &Backup) -> Option<f64> {
    let took = seconds(backup.finished) - seconds(backup.started);
    (took >= 0.0).then_some(took)
}

/// Seconds since 1970, to the millisecond.
fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// A number as Prometheus has them: exact up to 2^53.
fn whole(number: u64) -> f64 {
    number as f64
}
