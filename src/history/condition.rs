//! What the history keeps of a database besides its runs: counters, a pause, what was told, and what its newest runs were.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::Run;
use crate::model::{BackupId, Outcome, RunId};

/// What is known of a database between its runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// When it was first in a configuration that ran, or first had a run.
    pub first_seen: Timestamp,
    /// Failures since the last success.
    pub failures: u32,
    /// When the first of them ended.
    pub failing_since: Option<Timestamp>,
    /// Why nothing of it starts by itself now.
    pub pause: Option<Pause>,
    /// When somebody was last told that it is paused after failures.
    pub reminded: Option<Timestamp>,
    /// When somebody was last told that it is stale; none as soon as it is not.
    pub stale_told: Option<Timestamp>,
    /// The suspicious backup for which retention deletes nothing of it.
    pub hold: Option<Hold>,
    /// Backups before this one are no measure for the size of new ones: somebody said that it is as it should be.
    pub usual_since: Option<Timestamp>,
}

impl Condition {
    /// The condition of a database that was never seen before `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            first_seen: now,
            failures: 0,
            failing_since: None,
            pause: None,
            reminded: None,
            stale_told: None,
            hold: None,
            usual_since: None,
        }
    }
}

/// A pause: nothing starts by schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub at: Timestamp,
    /// Who did it.
    pub by: PausedBy,
    /// Why, for people.
    pub why: String,
    /// What the database's tables in the configuration were then, as a hash. An edit of them ends a pause by failures.
    pub tables: Option<String>,
}

/// Who paused a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PausedBy {
    /// `pause_after`.
    Failures,
    /// A person, by name.
    Operator(String),
}

const OPERATOR: &str = "operator: ";
const FAILURES: &str = "failures";

impl PausedBy {
    /// The opposite of its `Display`.
    pub(super) fn from_text(text: &str) -> Self {
        match text {
            FAILURES => Self::Failures,
            _ => Self::Operator(text.strip_prefix(OPERATOR).unwrap_or(text).to_owned()),
        }
    }
}

impl fmt::Display for PausedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures => f.write_str(FAILURES),
            Self::Operator(who) => write!(f, "{OPERATOR}{who}"),
        }
    }
}

impl Serialize for PausedBy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A hold on retention: the newest backup is suspicious, so the older ones stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// When the first suspicious backup started.
    pub since: Timestamp,
    /// That backup.
    pub backup: BackupId,
}

/// The newest instant of its calendar for which a database had a run, and how the newest attempt at it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDue {
    /// The instant.
    pub due: Timestamp,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How it ended; none while it runs.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The run.
    pub run: RunId,
}

/// When a database was last backed up well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Success {
    /// When the newest good backup was published.
    pub last: Timestamp,
    /// Whether there is a full one.
    pub full: bool,
}

/// The newest runs of a database, by what they say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newest {
    /// The newest good full backup.
    pub full: Option<Run>,
    /// The newest good incremental backup.
    pub incremental: Option<Run>,
    /// The newest backup that failed or timed out.
    pub failed: Option<Run>,
    /// The newest restore, verify or drill that succeeded.
    pub proof: Option<Run>,
}
