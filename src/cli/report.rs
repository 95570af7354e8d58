//! A backup as the verbs show it: in figures for people, as one object for programs.

use jiff::Timestamp;
use serde::Serialize;

pub(super) use crate::model::figures::{figures, grouped};
use crate::model::{BackupType, Manifest, Name};

/// One backup in JSON, the same from every verb.
#[derive(Debug, Serialize)]
pub(super) struct Backup {
    /// `shop/20261120T020000Z-full-k3f9x2ab`
    pub(super) id: String,
    pub(super) database: Name,
    pub(super) engine: String,
    #[serde(rename = "type")]
    pub(super) kind: BackupType,
    pub(super) parent: Option<String>,
    pub(super) destination: String,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
    pub(super) plain_bytes: u64,
    pub(super) stored_bytes: u64,
    pub(super) recipients: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) initiated_by: String,
}

impl Backup {
    pub(super) fn new(manifest: &Manifest, destination: &str) -> Self {
        Self {
            id: manifest.reference().to_string(),
            database: manifest.database.clone(),
            engine: manifest.engine.clone(),
            kind: manifest.kind,
            parent: manifest.parent.as_ref().map(ToString::to_string),
            destination: destination.to_owned(),
            started: manifest.started,
            finished: manifest.finished,
            plain_bytes: manifest.plain_bytes(),
            stored_bytes: manifest.stored_bytes(),
            recipients: manifest.recipients.clone(),
            notes: manifest.notes.clone(),
            initiated_by: manifest.initiated_by.clone(),
        }
    }
}
