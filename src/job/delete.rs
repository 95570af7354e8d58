//! Deleting one backup by hand.

use super::recorded::{Account, recorded};
use super::{Context, Place, Wanted};
use crate::error::{Error, Result};
use crate::history::{Ending, NewRun, lock};
use crate::model::{Manifest, Outcome, RunKind};
use crate::repository::{Plain, Repository};

/// A deletion that was planned and can be done.
pub struct Planned {
    /// What is to go.
    pub manifest: Manifest,
    /// Whether no other backup of the database would be left there.
    pub last: bool,
    repository: Plain,
}

struct Gone(Manifest);

impl Account for Gone {
    fn account(&self) -> Ending {
        Ending {
            backup: Some(self.0.id.clone()),
            stored_bytes: Some(self.0.stored_bytes()),
            ..Ending::new(Outcome::Succeeded)
        }
    }
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

/// Deletes it: the manifest first, the data after.
///
/// # Errors
/// The database is being worked on, or the destination refuses.
pub async fn delete(context: &Context, planned: Planned) -> Result<Manifest> {
    let at = planned.manifest.reference();
    let lock = lock::hold(&context.state, &at.database)?;
    let new = NewRun {
        id: context.run.clone(),
        kind: RunKind::Delete,
        database: at.database.clone(),
        destinations: vec![planned.at().to_owned()],
        backup: Some(at.id.clone()),
        initiated_by: context.initiated_by.clone(),
        due: None,
        attempt: None,
    };
    let gone = recorded(context, new, Some(&lock), |_| async {
        planned.repository.delete(&at).await.map_err(|e| e.during(format!("cannot delete {at}")))?;
        Ok(Gone(planned.manifest))
    });
    gone.await.map(|gone| gone.0)
}
