//! Requests and answers as they travel, one type each. `docs/control-api.md` shows every one as JSON.
//!
//! A [`Document`] is what a verb that works alone prints with `--json`; the daemon makes the same, and the verb shows it the
//! same way.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::model::{BackupId, BackupType, Manifest, Name, Outcome, RunId};

/// The version of the wire, the first part of every path: `/v1/status`.
pub const VERSION: &str = "v1";

/// What the verb prints with `--json`.
pub type Document = serde_json::Value;

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The version of qbackd.
    pub version: String,
    /// The version of the wire.
    pub api: String,
    /// The daemon's process.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// The folder of its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
}

impl Build {
    /// This process, a daemon since `started`.
    pub fn this(started: Timestamp) -> Self {
        let (version, api) = (env!("CARGO_PKG_VERSION").to_owned(), VERSION.to_owned());
        Self { version, api, pid: std::process::id(), started, config: None }
    }

    /// Whether `config` is another folder than the daemon's. One that cannot be compared is not.
    pub fn serves_another_than(&self, config: &Path) -> bool {
        let theirs = self.config.as_ref().and_then(|theirs| theirs.canonicalize().ok());
        theirs.zip(config.canonicalize().ok()).is_some_and(|(theirs, ours)| theirs != ours)
    }
}

/// Back up now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backup {
    /// The databases.
    pub names: Vec<Name>,
    /// Every database that is enabled; `names` is empty then.
    pub all: bool,
    /// The type; not given: what the policy calls for.
    #[serde(rename = "type")]
    pub kind: Option<BackupType>,
    /// Another destination than the policy's first.
    pub to: Option<Name>,
}

/// A run that was accepted. A database has at most one, so its name leads to it, also before it has an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// The database.
    pub database: Name,
    /// The id that the run has in the history, once it has begun.
    pub run: Option<RunId>,
}

/// Runs that were accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// One for each database.
    pub runs: Vec<Handle>,
    /// What the caller should know, a sentence each: which databases were left out, since they are paused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Where a run is: one line of the stream of its progress. The last line has `ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// The database.
    pub database: Name,
    /// The run.
    pub run: Option<RunId>,
    /// Which attempt this is, from 1; each is a run of its own.
    pub attempt: u32,
    /// What it does now, for people.
    pub phase: String,
    /// Whether no bytes are expected to move now.
    pub quiet: bool,
    /// Plain bytes expected in all, an estimate; 0 if nobody knows.
    pub expected: u64,
    /// Plain bytes so far.
    pub plain: u64,
    /// Bytes at the destination so far.
    pub stored: u64,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended: Option<Ended>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// The outcome.
    pub outcome: Outcome,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<Problem>,
    /// What was made, if it was a backup that succeeded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub made: Option<Box<Made>>,
    /// What was restored, as `qbackd restore --json` prints it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restored: Option<Document>,
    /// What else people should know, a sentence each: that the database is paused now, who cancelled the run.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}

impl Ended {
    /// An end of which no more is known.
    pub fn new(outcome: Outcome) -> Self {
        Self { outcome, error: None, made: None, restored: None, warnings: Vec::new() }
    }
}

/// A backup that a run made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// The manifest as it was written.
    pub manifest: Manifest,
    /// The name of the destination it is at.
    pub destination: String,
    /// The destination as people know it: with its `label`, where it has one.
    pub called: String,
}

/// Pause a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pause {
    /// Why, for those who read the status.
    pub reason: Option<String>,
}

/// What `pause`, `resume` and `reset-failed` came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The database.
    pub database: Name,
    /// Its state now, one of the design's words: `active`, `paused`, …
    pub state: String,
    /// What was done, or that there was nothing to do, for people.
    pub text: String,
}

/// What a reload came to, or (`diff`) would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// Whether the files are accepted. If not, nothing changed.
    pub accepted: bool,
    /// How many errors the files have.
    pub errors: usize,
    /// How many warnings they deserve.
    pub warnings: usize,
    /// Errors and warnings with their lines, as `qbackd check` shows them; empty if there are none.
    pub diagnostics: String,
    /// What changed, a line each; empty: nothing.
    pub changes: Vec<String>,
}

/// Which runs of the history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// A database, or the beginning of a run's id. Not given: all runs.
    pub what: Option<String>,
    /// How many runs, the newest ones.
    pub count: usize,
    /// Go on with each run that starts or ends and, of one run, each line, until the caller goes away or that run ends.
    pub follow: bool,
}

/// One line of the stream of the history: a run (when asked for, when it starts, when it ends), what somebody did, or a line of
/// the one run.
///
/// `R`, `A` and `L` are the history's own types, in both processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry<R, A, L> {
    /// A run.
    Run(R),
    /// What somebody did.
    Action(A),
    /// What the run said.
    Line(L),
    /// The stream ends here for a reason.
    Error(Problem),
}

/// Apply retention now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prune {
    /// The databases; none: all.
    pub names: Vec<Name>,
    /// Explain only.
    pub dry_run: bool,
    /// Delete these and no others: what a person saw and agreed to. Not given: whatever no rule keeps, and a backup of a
    /// suspicious size is believed from now on.
    pub only: Option<Vec<Going>>,
}

/// A backup that somebody agreed to lose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Going {
    /// Where it is.
    pub destination: Name,
    /// Which it is.
    pub id: BackupId,
}

/// Delete one backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delete {
    /// The backup as typed: an id, the beginning of one, `shop@latest`.
    pub id: String,
    /// The destination to delete it from. Not given: the first one that has it.
    pub from: Option<Name>,
    /// What builds on it as well.
    pub with_children: bool,
    /// Tell what would go, and delete nothing.
    pub dry_run: bool,
}

/// A backup that is to be deleted: what a dry run tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToDelete {
    /// The backup: `shop/20261120T020000Z-full-k3f9x2ab`.
    pub to_delete: String,
    /// Its database.
    pub database: Name,
    /// What it takes, in bytes, where that is known.
    pub stored_bytes: Option<u64>,
    /// The name of the destination it is at, or the folder.
    pub at: String,
    /// Whether no other sound backup of the database is there.
    pub last: bool,
    /// What is wrong with its manifest.
    pub damage: Option<String>,
}

/// A backup that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// The backup.
    pub deleted: String,
    /// What it took, in bytes, where that is known.
    pub stored_bytes: Option<u64>,
}

/// Restore a database into its own server, for somebody who has no access to the secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Restore {
    /// A database (its newest backup), or a backup as typed.
    pub what: String,
    /// Overwrite what is there.
    pub overwrite: bool,
    /// What may be overwritten, as the plan named it: if it is something else by now, nothing is restored. Not given: whatever
    /// is there.
    pub agreed: Option<Vec<String>>,
    /// Back up what is there before.
    pub backup_first: bool,
    /// Tell the plan, and change nothing.
    pub dry_run: bool,
}
