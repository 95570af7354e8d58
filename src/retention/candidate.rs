//! A backup as retention sees it.

use jiff::Timestamp;

use crate::model::{BackupId, BackupType, Manifest};

/// A published backup as retention sees it. Type and start are those of its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which it is.
    pub id: BackupId,
    /// What an incremental builds on.
    pub parent: Option<BackupId>,
    /// The full backup at the head of its chain; of a full, itself.
    pub chain: BackupId,
    /// When it was complete: tells which is newer of two that started in the same second.
    pub finished: Timestamp,
    /// What it takes at the destination, in bytes.
    pub stored_bytes: u64,
    /// Whether nothing is known against it. One that is not good takes no good one's place in any rule.
    pub good: bool,
    /// Whether a person said that it stays.
    pub pinned: bool,
}

impl Candidate {
    pub(super) fn is_full(&self) -> bool {
        self.id.kind() == BackupType::Full
    }

    pub(super) fn when(&self) -> (Timestamp, Timestamp, &BackupId) {
        (self.id.started(), self.finished, &self.id)
    }
}

impl From<&Manifest> for Candidate {
    /// A backup with a sound manifest, of which nothing else is known.
    fn from(manifest: &Manifest) -> Self {
        Self {
            id: manifest.id.clone(),
            parent: manifest.parent.clone(),
            chain: manifest.chain.clone(),
            finished: manifest.finished,
            stored_bytes: manifest.stored_bytes(),
            good: true,
            pinned: false,
        }
    }
}
