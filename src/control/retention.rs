//! What `qbackd prune` shows, as it travels: what was decided of each backup, and what was done.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::wire::Going;
use crate::model::{BackupId, BackupType, Name};

/// What retention came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Whether it was only explained.
    pub dry_run: bool,
    /// Each database.
    pub databases: Vec<OfDatabase>,
    /// What the deleted backups took, or with `dry_run` what those that would be deleted take.
    pub freed_bytes: u64,
    /// What went wrong.
    #[serde(default)]
    pub failed: Vec<Problem>,
}

/// What was decided for a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfDatabase {
    /// The database.
    pub database: Name,
    /// Each of its destinations at which anything was decided or went wrong.
    pub destinations: Vec<AtDestination>,
}

/// What was decided at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtDestination {
    /// Its name.
    pub destination: Name,
    /// The destination as people know it: with its `label`, where it has one.
    pub called: String,
    /// Each backup there, the newest first.
    pub backups: Vec<Judged>,
    /// Why nothing, or nothing more, was deleted here.
    pub failure: Option<String>,
}

/// A backup and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Which.
    pub id: BackupId,
    /// Full or incremental.
    #[serde(rename = "type")]
    pub kind: BackupType,
    /// When it started.
    pub started: Timestamp,
    /// What it takes at the destination, in bytes.
    pub stored_bytes: u64,
    /// `keep` or `delete`.
    pub verdict: String,
    /// Every reason for it, at least one.
    pub reasons: Vec<String>,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl Judged {
    /// Whether no rule keeps it.
    pub fn goes(&self) -> bool {
        self.verdict == "delete"
    }
}

impl AtDestination {
    /// What no rule keeps here.
    pub fn going(&self) -> impl Iterator<Item = &Judged> {
        self.backups.iter().filter(|judged| judged.goes())
    }
}

impl OfDatabase {
    /// What no rule keeps, with its destination.
    pub fn going(&self) -> impl Iterator<Item = (&AtDestination, &Judged)> {
        self.destinations.iter().flat_map(|at| at.going().map(move |judged| (at, judged)))
    }

    /// The same, to be agreed to.
    pub fn to_agree(&self) -> Vec<Going> {
        self.going().map(|(at, judged)| Going { destination: at.destination.clone(), id: judged.id.clone() }).collect()
    }
}
