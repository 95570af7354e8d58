//! Removing what has no manifest.

use crate::error::{Error, Result};
use crate::model::{BackupRef, FileName};
use crate::store::{Store, paths};

/// Removes what an unpublished backup left in its folder, and the folder if that empties it. What is not named as our files
/// are stays. Says whether there was anything.
///
/// # Errors
/// It has a manifest, or the destination refuses.
pub(super) async fn remove_unpublished(store: &Store, at: &BackupRef) -> Result<bool> {
    let folder = paths::backup(at);
    let entries = store.list_all(&folder).await?;
    if entries.iter().any(|entry| entry == paths::MANIFEST) {
        return Err(Error::failed(format!("{at} is published")));
    }
    let (ours, strange): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| entry.trim_start_matches('.').parse::<FileName>().is_ok());
    for entry in &ours {
        store.delete(&format!("{folder}{entry}")).await?;
    }
    if strange.is_empty() {
        store.delete(&folder).await?;
    }
    Ok(!ours.is_empty())
}
