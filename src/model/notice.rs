//! Something that happened, as everybody who is told of it gets it: the journal, the history, those who are to be notified.

use jiff::Timestamp;
use serde::Serialize;

use super::{BackupId, Event, Name, RunId};

/// One event, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What happened.
    pub event: Event,
    /// When.
    pub at: Timestamp,
    /// The name of the machine it happened on.
    pub host: String,
    /// The database it is about; `None`: qbackd itself.
    pub database: Option<Name>,
    /// The run it came of.
    pub run: Option<RunId>,
    /// The backup it is about.
    pub backup: Option<BackupId>,
    /// The name of the destination it is about.
    pub destination: Option<String>,
    /// All of it on one line, without the name of the database: `backup failed: connection refused`.
    pub text: String,
    /// What went wrong, on one line.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// More that people like to see, in order: what it is, and how much.
    pub details: Vec<(String, String)>,
}

impl Notice {
    /// A notice with nothing but this.
    pub fn new(event: Event, at: Timestamp, host: &str, database: Option<&Name>, text: impl Into<String>) -> Self {
        Self {
            event,
            at,
            host: host.to_owned(),
            database: database.cloned(),
            run: None,
            backup: None,
            destination: None,
            text: text.into(),
            error: None,
            hint: None,
            details: Vec::new(),
        }
    }
}
