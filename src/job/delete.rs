//! Deleting backups: one by hand, and how any is deleted: manifest first, data after, as a run of its own.

use tracing::Level;

use super::recorded::{Account, recorded};
use super::{Context, Place, Wanted};
use crate::control::{Deleted, ToDelete};
use crate::error::{Error, Kind, Result};
use crate::history::{Ending, Lock, NewRun, lock};
use crate::model::journal::Fields;
use crate::model::{BackupRef, Moment, Outcome, RunId, RunKind, Size};
use crate::repository::{Listing, Plain, Repository};

/// A deletion that was planned and can be done.
pub struct Planned {
    /// What is to go.
    pub at: BackupRef,
    /// How much lies there, in bytes; `None` if its manifest cannot tell.
    pub stored_bytes: Option<u64>,
    /// What is wrong with its manifest, if it is damaged.
    pub damage: Option<Error>,
    /// Whether no other sound backup of the database would be left there.
    pub last: bool,
    repository: Plain,
}

/// Finds the backup, sound or damaged, and says what deleting it would mean.
///
/// # Errors
/// There is none, or others build on it.
pub async fn plan(context: &Context, from: Option<&Place>, wanted: &Wanted) -> Result<Planned> {
    let (repository, listing, at, stored_bytes, damage) = match context.find(from, wanted).await {
        Ok((repository, manifest, listing)) => {
            (repository, listing, manifest.reference(), Some(manifest.stored_bytes()), None)
        }
        Err(e) => match find_damaged(context, from, wanted).await? {
            Some((repository, listing, at, damage)) => (repository, listing, at, None, Some(damage)),
            None => return Err(e),
        },
    };
    let same = || listing.backups.iter().filter(|m| m.database == at.database);
    if let Some(child) = same().find(|m| m.parent.as_ref() == Some(&at.id)) {
        return Err(Error::failed(format!("{at} cannot be deleted"))
            .because(format!("{} builds on it", child.reference()))
            .hint("delete what builds on it first"));
    }
    let last = same().all(|m| m.id == at.id);
    Ok(Planned { at, stored_bytes, damage, last, repository })
}

/// The only backup with a damaged manifest that `wanted` names by its id, at the first place that has one.
async fn find_damaged(
    context: &Context,
    from: Option<&Place>,
    wanted: &Wanted,
) -> Result<Option<(Plain, Listing, BackupRef, Error)>> {
    let Wanted::Prefix(database, prefix) = wanted else { return Ok(None) };
    for place in context.places(from, database.as_ref()) {
        let repository = context.open(&place)?;
        let mut listing = repository.list(database.as_ref()).await?;
        // What a newer qbackd made is not damaged: it is sound to that one.
        let named =
            |(at, error): &(BackupRef, Error)| at.id.as_str().starts_with(prefix) && error.kind() == Kind::Failed;
        let found: Vec<usize> = (0..listing.damaged.len()).filter(|i| named(&listing.damaged[*i])).collect();
        match found[..] {
            [] => {}
            [one] => {
                let (at, damage) = listing.damaged.swap_remove(one);
                return Ok(Some((repository, listing, at, damage)));
            }
            _ => {
                return Err(Error::new(Kind::Usage, format!("{prefix} is the beginning of several damaged backups"))
                    .hint("give more of the id"));
            }
        }
    }
    Ok(None)
}

impl Planned {
    /// Where it lies.
    pub fn place(&self) -> &str {
        self.repository.label()
    }

    /// What is asked about, for people and programs, here or behind the control socket.
    pub fn told(&self) -> ToDelete {
        ToDelete {
            to_delete: self.at.to_string(),
            database: self.at.database.clone(),
            stored_bytes: self.stored_bytes,
            at: self.place().to_owned(),
            last: self.last,
            damage: self.damage.as_ref().map(Error::line),
        }
    }
}

/// Deletes it.
///
/// # Errors
/// The database is being worked on, or the destination refuses.
pub async fn delete(context: &Context, planned: Planned) -> Result<Deleted> {
    let Planned { at, stored_bytes, repository, .. } = planned;
    let lock = lock::hold(&context.state, &at.database)?;
    let deleted = Deleted { deleted: at.to_string(), stored_bytes };
    remove(context, &repository, RunKind::Delete, Gone { at, stored_bytes, notes: Vec::new() }, &lock).await?;
    Ok(deleted)
}

/// A backup that goes, and what the history keeps of it.
pub(super) struct Gone {
    /// Which.
    pub(super) at: BackupRef,
    /// What it took at the destination, in bytes, where that is known.
    pub(super) stored_bytes: Option<u64>,
    /// Why, where nobody asked for it by name.
    pub(super) notes: Vec<String>,
}

impl Account for Gone {
    fn account(&self) -> Ending {
        Ending {
            backup: Some(self.at.id.clone()),
            stored_bytes: self.stored_bytes,
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
    let run = RunId::new(context.clock.now(), &context.host);
    let new = NewRun {
        id: Some(run.clone()),
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
    let gone = deleted.await?;
    let size = gone.stored_bytes.map_or_else(String::new, |bytes| format!(", {}", Size(bytes)));
    let notes: String = gone.notes.iter().map(|note| format!("; {note}")).collect();
    let (by, label) = (&context.initiated_by, repository.label());
    let fields = Fields {
        database: Some(gone.at.database.as_str()),
        run: Some(run.as_str()),
        backup: Some(gone.at.id.to_string()),
        destination: Some(label),
        ..Fields::of(Moment::Deleted)
    };
    fields.say(Level::INFO, &format!("deleted {} at {label}{size}, asked for by {by}{notes}", gone.at.id));
    Ok(())
}
