//! What the history keeps of a run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::model::{BackupId, Name, Outcome, RunId, RunKind};

/// A run that is about to start.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id, if whoever starts it wants to know it before; a new one otherwise.
    pub id: Option<RunId>,
    /// What it does.
    pub kind: RunKind,
    /// The database it is about.
    pub database: Name,
    /// Where it writes to or reads from: names of destinations, or what `--from` said.
    pub destinations: Vec<String>,
    /// The backup, if it is known already.
    pub backup: Option<BackupId>,
    /// Who asked, for people: `root on the command line`, `the schedule`.
    pub initiated_by: String,
    /// The instant of its calendar that a run by schedule is for; none for one by hand.
    pub due: Option<Timestamp>,
    /// Which attempt at that instant it is, from 1; none for one by hand.
    pub attempt: Option<u32>,
}

/// How a run ended and what came of it. `None` means unknown.
#[derive(Debug, Clone)]
pub struct Ending {
    /// The outcome.
    pub outcome: Outcome,
    /// The backup, if it was not known at the start.
    pub backup: Option<BackupId>,
    /// What went wrong, on one line.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Bytes before compression and encryption.
    pub plain_bytes: Option<u64>,
    /// Bytes at the destination.
    pub stored_bytes: Option<u64>,
    /// Tables, or whatever the engine counts as one object.
    pub tables: Option<u64>,
    /// Rows, as the server estimates.
    pub rows: Option<u64>,
    /// Remarks for people.
    pub notes: Vec<String>,
    /// How long each part took, in order.
    pub phases: Vec<Phase>,
}

impl Ending {
    /// An end with this outcome, and nothing else known.
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            backup: None,
            error: None,
            hint: None,
            plain_bytes: None,
            stored_bytes: None,
            tables: None,
            rows: None,
            notes: Vec::new(),
            phases: Vec::new(),
        }
    }

    /// The end of a run that `error` ended.
    pub fn of(error: &Error) -> Self {
        let outcome = match error.kind() {
            Kind::TimedOut => Outcome::TimedOut,
            Kind::Interrupted => Outcome::Interrupted,
            Kind::Vetoed => Outcome::Vetoed,
            _ => Outcome::Failed,
        };
        let hint = error.remedy().map(str::to_owned);
        Self { error: Some(error.line()), hint, ..Self::new(outcome) }
    }
}

/// One part of a run and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// The part's name.
    pub phase: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// A run as the history knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What it did.
    pub kind: RunKind,
    /// The database.
    pub database: Name,
    /// Where it wrote to or read from.
    pub destinations: Vec<String>,
    /// The backup it made, read or deleted.
    pub backup: Option<BackupId>,
    /// When it started, to the millisecond.
    pub started: Timestamp,
    /// When it ended; for a run that died, when that was noticed.
    pub ended: Option<Timestamp>,
    /// How it ended; none while it runs.
    pub outcome: Option<Outcome>,
    /// Who asked.
    pub initiated_by: String,
    /// The instant of its calendar that a run by schedule was for, to the millisecond.
    pub due: Option<Timestamp>,
    /// Which attempt at that instant it was, from 1.
    pub attempt: Option<u32>,
    /// What went wrong, on one line.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Bytes before compression and encryption.
    pub plain_bytes: Option<u64>,
    /// Bytes at the destination.
    pub stored_bytes: Option<u64>,
    /// Tables, or whatever the engine counts as one object.
    pub tables: Option<u64>,
    /// Rows, as the server estimates.
    pub rows: Option<u64>,
    /// Remarks for people.
    pub notes: Vec<String>,
    /// How long each part took, in order.
    pub phases: Vec<Phase>,
    /// The lock that is held as long as the run lives.
    #[serde(skip)]
    pub(super) lock: String,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// It went wrong.
    Error,
}

impl Level {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The level of a word; one that is unknown is information.
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "error" => Self::Error,
            "warning" => Self::Warning,
            _ => Self::Info,
        }
    }
}

/// One line a run said about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its place in the run, from 1.
    pub number: u64,
    /// When it was said, to the millisecond.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// What was said.
    pub text: String,
}

#[cfg(test)]
impl Run {
    /// A backup of `shop` that ended so at `at`.
    pub(crate) fn example(at: Timestamp, outcome: Outcome) -> Self {
        let error = (outcome != Outcome::Succeeded).then(|| "backup of shop failed: connection refused".to_owned());
        Self {
            id: RunId::new(at, "db1"),
            kind: RunKind::Backup,
            database: Name::try_from("shop".to_owned()).expect("a name"),
            destinations: vec!["local".into()],
            backup: Some(BackupId::new(at, crate::model::BackupType::Full)),
            started: at,
            ended: Some(at),
            outcome: Some(outcome),
            initiated_by: "the schedule".into(),
            due: Some(at),
            attempt: Some(1),
            error,
            hint: None,
            plain_bytes: (outcome == Outcome::Succeeded).then_some(1 << 20),
            stored_bytes: None,
            tables: (outcome == Outcome::Succeeded).then_some(84),
            rows: None,
            notes: Vec::new(),
            phases: Vec::new(),
            lock: String::new(),
        }
    }
}
