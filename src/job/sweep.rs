//! What is done after runs that died: they are recorded as interrupted, and what they left is removed.

use super::Context;
use crate::error::{Kind, Result};
use crate::history::Lock;
use crate::model::{BackupRef, Name, RunKind};
use crate::repository::Repository;
use crate::store::Access;

/// Records runs that died as interrupted and removes what they left: at the destination, and in scratch. Who died while it
/// deleted a backup left data without a manifest, as one that died while it made one.
///
/// # Errors
/// The history cannot be used.
pub(super) async fn sweep_after_dead_runs(context: &Context, lock: &Lock) -> Result<()> {
    for dead in context.history.recover(Some(lock))? {
        let _ = std::fs::remove_dir_all(context.state.path().join("scratch").join(dead.id.as_str()));
        let (RunKind::Backup | RunKind::Delete | RunKind::Prune, Some(id)) = (dead.kind, dead.backup) else { continue };
        let at = BackupRef { database: dead.database, id };
        for destination in dead.destinations.iter().filter_map(|name| name.parse::<Name>().ok()) {
            let swept = async {
                let repository = context.repository(&destination, Access::Write)?;
                match repository.manifest(&at).await {
                    Ok(_) => Ok(false),
                    Err(e) if e.kind() == Kind::NotFound => repository.sweep(&at).await,
                    Err(e) => Err(e),
                }
            };
            match swept.await {
                Ok(true) => tracing::info!("{at}: removed from {destination} what an interrupted run had left"),
                Ok(false) => {}
                Err(e) => tracing::warn!("{at}: what an interrupted run left at {destination} stays: {}", e.line()),
            }
        }
    }
    Ok(())
}
