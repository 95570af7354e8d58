//! What dead runs left: recorded as interrupted, and removed.

use super::Context;
use crate::error::{Kind, Result};
use crate::history::{Lock, Run};
use crate::model::{BackupRef, Name, RunKind};
use crate::repository::Repository;
use crate::store::Access;

/// Records runs that died as interrupted and removes what they left: at the destination, and in scratch. `lock` is that of a
/// database the caller is about to work on; without one those of all databases that nobody works on are looked for.
///
/// # Errors
/// The history cannot be used. What cannot be removed now is told, and stays.
pub async fn recover(context: &Context, lock: Option<&Lock>) -> Result<Vec<Run>> {
    let dead = context.history.recover(lock)?;
    for run in &dead {
        let _ = std::fs::remove_dir_all(context.state.path().join("scratch").join(run.id.as_str()));
        let (RunKind::Backup | RunKind::Delete | RunKind::Prune, Some(id)) = (run.kind, run.backup.clone()) else {
            continue;
        };
        let at = BackupRef { database: run.database.clone(), id };
        let destinations: Vec<Name> = run.destinations.iter().filter_map(|name| name.parse().ok()).collect();
        for destination in destinations {
            let swept = async {
                let repository = context.repository(&destination, Access::Write)?;
                match repository.manifest(&at).await {
                    Ok(_) => Ok(false),
                    Err(e) if e.kind() == Kind::NotFound => repository.sweep(&at).await,
                    Err(e) => Err(e),
                }
            };
            match swept.await {
                Ok(true) => tracing::info!(
                    QBACKD_DATABASE = at.database.as_str(),
                    QBACKD_RUN = run.id.as_str(),
                    "{at}: removed from {destination} what an interrupted run had left"
                ),
                Ok(false) => {}
                Err(e) => tracing::warn!(
                    QBACKD_DATABASE = at.database.as_str(),
                    QBACKD_RUN = run.id.as_str(),
                    "{at}: what an interrupted run left at {destination} stays: {}",
                    e.line()
                ),
            }
        }
    }
    Ok(dead)
}
