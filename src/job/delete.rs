//! Deleting backups: one by hand, and how any is deleted: manifest first, data after, as a run of its own.

use super::recorded::{Account, recorded};
use super::{Context, Place, Wanted};
use crate::error::{Error, Result};
use crate::history::{Ending, Lock, NewRun, lock};
use crate::model::{BackupRef, Manifest, Outcome, RunKind};
use crate::repository::{Plain, Repository};

/// A deletion that was planned and can be done.
pub struct Planned {
    /// What is to go.
    pub manifest: Manifest,
    /// Whether no other backup of the database would be left there.
    pub last: bool,
    repository: Plain,
}

/// Finds the backup and says what deleting it would mean.
///
/// # Errors
/// There is none, or others build on it.
pub async fn plan(context: &Context, from: Option<&Place>, wanted: &Wanted) -> Result<Planned> {
    let (repository, manifest, listing) = context.find(from, wanted).await?;
    let same = || listing.backups.iter().filter(|m| m.database == manifest.database);
    if let Some(child) = same().find(|m| m.parent.as_ref() == Some(&manifest.id)) {
        return Err(Error::failed(format!("{} cannot be deleted", manifest.reference()))
            .because(format!("{} builds on it", child.reference()))
            .hint("delete what builds on it first"));
    }
    let last = same().count() == 1;
    Ok(Planned { manifest, last, repository })
}

impl Planned {
    /// Where it lies.
    pub fn at(&self) -> &str {
        self.repository.label()
    }
}

/// Deletes it.
///
/// # Errors
/// The database is being worked on, or the destination refuses.
pub async fn delete(context: &Context, planned: Planned) -> Result<Manifest> {
    let Planned { manifest, repository, .. } = planned;
    let lock = lock::hold(&context.state, &manifest.database)?;
    let gone = Gone { at: manifest.reference(), stored_bytes: manifest.stored_bytes(), notes: Vec::new() };
    remove(context, &repository, RunKind::Delete, gone, &lock).await?;
    Ok(manifest)
}

/// A backup that goes, and what the history keeps of it.
pub(super) struct Gone {
    /// Which.
    pub(super) at: BackupRef,
    /// What it took at the destination, in bytes.
    pub(super) stored_bytes: u64,
    /// Why, where nobody asked for it by name.
    pub(super) notes: Vec<String>,
}

impl Account for Gone {
    fn account(&self) -> Ending {
        Ending {
            backup: Some(self.at.id.clone()),
            stored_bytes: Some(self.stored_bytes),
            notes: self.notes.clone(),
            ..Ending::new(Outcome::Succeeded)
        }
    }
}

/// Deletes one published backup as a run of its own, so that a crash in the middle is known and its debris swept by the next
/// run: the manifest first, the data after.
///
/// # Errors
/// The destination refuses.
pub(super) async fn remove(
    context: &Context,
    repository: &Plain,
    kind: RunKind,
    gone: Gone,
    lock: &Lock,
) -> Result<()> {
    let new = NewRun {
        id: None,
        kind,
        database: gone.at.database.clone(),
        destinations: vec![repository.label().to_owned()],
        backup: Some(gone.at.id.clone()),
        initiated_by: context.initiated_by.clone(),
        due: None,
        attempt: None,
    };
    let deleted = recorded(context, new, Some(lock), |_| async {
        repository.delete(&gone.at).await.map_err(|e| e.during(format!("cannot delete {}", gone.at)))?;
        Ok(gone)
    });
    deleted.await.map(drop)
}
