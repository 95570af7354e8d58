//! The status as it travels and as `qbackd status --json` prints it: where each database stands, and the sentence over all of them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Build;
use crate::model::timespan::rough;
use crate::model::{BackupId, Name, RunId, RunKind};

/// Where everything stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// When this was so.
    pub at: Timestamp,
    /// The daemon that says so; none if there is none, and the history alone was asked.
    pub daemon: Option<Build>,
    /// What is wrong with the service itself, a sentence each: a configuration that was refused.
    pub problems: Vec<String>,
    /// The databases, worst first.
    pub databases: Vec<DatabaseStatus>,
}

/// Where a database stands (DESIGN section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its newest run failed, with all retries.
    Failing,
    /// Nothing of it starts by itself.
    Paused,
    /// It was never backed up yet.
    Validating,
    /// All is well.
    Active,
    /// `enabled = false`.
    Disabled,
    /// It is not in the configuration any more.
    Detached,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Paused => "paused",
            Self::Validating => "validating",
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Detached => "detached",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where one database stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseStatus {
    /// The database.
    pub name: Name,
    /// Its engine; none for one that is not in the configuration.
    pub engine: Option<String>,
    /// Its state.
    pub state: State,
    /// Whether there was no success for too long.
    pub stale: bool,
    /// Seconds without a success until it is stale; none: never.
    pub stale_after: Option<u64>,
    /// The newest good full backup.
    pub last_full: Option<Backup>,
    /// The newest good incremental backup.
    pub last_incremental: Option<Backup>,
    /// When the next run starts by itself; none if none will.
    pub next: Option<Timestamp>,
    /// What runs now.
    pub running: Option<Running>,
    /// Failures since the last success; a series of retries is one.
    pub failures: u32,
    /// When the first of them ended.
    pub failing_since: Option<Timestamp>,
    /// The newest failure, whether or not it was mended since.
    pub last_error: Option<Failure>,
    /// Why nothing of it starts by itself.
    pub pause: Option<Pause>,
    /// A backup much smaller than those before, for which retention deletes nothing.
    pub suspicious: Option<Suspicion>,
    /// What last proved a backup: a restore, a verify, a drill.
    pub proven: Option<Proof>,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its id.
    pub id: BackupId,
    /// The run that made it.
    pub run: RunId,
    /// When its data was read.
    pub started: Timestamp,
    /// When it was published.
    pub finished: Timestamp,
    /// Bytes before compression and encryption.
    pub plain_bytes: Option<u64>,
    /// Bytes at the destination.
    pub stored_bytes: Option<u64>,
    /// Where it was stored.
    pub destinations: Vec<String>,
}

/// A run that is going on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The run.
    pub run: RunId,
    /// What it does.
    pub kind: RunKind,
    /// Since when.
    pub started: Timestamp,
    /// What it does just now, for people, where that is known.
    pub phase: Option<String>,
    /// How much of it is done, 0 to 100, where that can be told.
    pub percent: Option<u8>,
}

/// How a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The run.
    pub run: RunId,
    /// When it ended.
    pub at: Timestamp,
    /// What went wrong, on one line.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why nothing of a database starts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// `failures`, or `operator: alice`.
    pub by: String,
    /// Why, for people.
    pub why: String,
}

/// A backup that looks wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspicion {
    /// The first one that did.
    pub backup: BackupId,
    /// Since when.
    pub since: Timestamp,
}

/// A backup that was proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// How: restore, verify, drill.
    pub how: RunKind,
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// The backup.
    pub backup: Option<BackupId>,
}

impl DatabaseStatus {
    /// Whether somebody should look at it.
    pub fn degraded(&self) -> bool {
        self.stale || self.suspicious.is_some() || matches!(self.state, State::Failing | State::Paused)
    }

    /// The newest good backup of either type.
    pub fn last(&self) -> Option<&Backup> {
        self.last_full.iter().chain(&self.last_incremental).max_by_key(|backup| backup.started)
    }

    /// Its place in a list with the worst first.
    pub fn rank(&self) -> (bool, bool, State, &Name) {
        (!self.degraded(), !self.stale, self.state, &self.name)
    }
}

impl Status {
    /// Whether somebody should look.
    pub fn degraded(&self) -> bool {
        !self.problems.is_empty() || self.databases.iter().any(DatabaseStatus::degraded)
    }

    /// All of it in one sentence: `3 databases, 1 running (shop 41%), next blog in 2h, all fresh`.
    pub fn headline(&self) -> String {
        let present = self.databases.iter().filter(|database| database.state != State::Detached).count();
        let mut parts = vec![match present {
            0 => "no databases".to_owned(),
            1 => "1 database".to_owned(),
            n => format!("{n} databases"),
        }];
        parts.extend(self.counted("running", |database| {
            let percent = database.running.as_ref()?.percent;
            Some(percent.map_or_else(|| database.name.to_string(), |percent| format!("{} {percent}%", database.name)))
        }));
        let named = |yes: bool, database: &DatabaseStatus| yes.then(|| database.name.to_string());
        parts.extend(self.counted("failing", |database| named(database.state == State::Failing, database)));
        parts.extend(self.counted("paused", |database| named(database.state == State::Paused, database)));
        parts.extend(self.counted("stale", |database| named(database.stale, database)));
        parts.extend(self.counted("suspicious", |database| named(database.suspicious.is_some(), database)));
        parts.extend(self.counted("validating", |database| named(database.state == State::Validating, database)));
        if let Some((next, name)) = self.databases.iter().filter_map(|one| Some((one.next?, &one.name))).min() {
            let seconds = u64::try_from(next.duration_since(self.at).as_secs()).unwrap_or(0);
            parts.push(
                rough(seconds).map_or_else(|| format!("next {name} now"), |wait| format!("next {name} in {wait}")),
            );
        }
        if present > 0 && !self.databases.iter().any(|one| one.degraded() || one.state == State::Validating) {
            parts.push("all fresh".to_owned());
        }
        let mut line = parts.join(", ");
        if !self.problems.is_empty() {
            line = format!("degraded: {line}");
        }
        line
    }

    /// `2 failing`, or with one of them its name: `1 failing (shop)`.
    fn counted(&self, word: &str, which: impl Fn(&DatabaseStatus) -> Option<String>) -> Option<String> {
        let mut found = self.databases.iter().filter_map(which);
        let first = found.next()?;
        Some(match found.count() {
            0 => format!("1 {word} ({first})"),
            more => format!("{} {word}", more + 1),
        })
    }
}
