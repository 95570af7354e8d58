//! How much room a restore takes, file system by file system, without refusing one that would fit.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::super::space::Need;
use super::super::thread::Stop;
use crate::error::Result;

/// Where one root of the backup goes.
pub(super) struct Place {
    /// Its path below the target.
    pub(super) path: PathBuf,
    /// The content of its files, without holes.
    pub(super) bytes: u64,
}

/// What each file system needs for `places`. What lies at a place may be written over, and its room is counted as free: too
/// little is asked for then, never too much. Nothing is said of a place that spans several file systems.
///
/// # Errors
/// A folder cannot be looked at.
pub(super) fn needs(places: &[Place], stop: &Stop) -> Result<Vec<Need>> {
    let mut systems: BTreeMap<u64, (PathBuf, u64)> = BTreeMap::new();
    for place in places {
        let Some((folder, device)) = folder_of(&place.path) else { continue };
        let Some(there) = taken(&place.path, device, stop)? else { continue };
        let system = systems.entry(device).or_insert((folder, 0));
        system.1 += place.bytes.saturating_sub(there);
    }
    let systems = systems.into_values().filter(|(_, bytes)| *bytes > 0);
    systems.map(|(folder, bytes)| Need::of(&folder, bytes)).collect()
}

/// The folder that is there already of those above `path`, or `path` itself, and its device.
fn folder_of(path: &Path) -> Option<(PathBuf, u64)> {
    path.ancestors().find_map(|dir| {
        let meta = dir.metadata().ok().filter(std::fs::Metadata::is_dir)?;
        Some((dir.to_owned(), meta.dev()))
    })
}

/// Bytes that the files at `path` take of `device`; `None` if some of what is there lies elsewhere. What cannot be looked at takes
/// nothing.
fn taken(path: &Path, device: u64, stop: &Stop) -> Result<Option<u64>> {
    let mut bytes = 0;
    for entry in WalkDir::new(path).follow_links(false) {
        stop.check()?;
        let Some(meta) = entry.ok().and_then(|entry| entry.metadata().ok()) else { continue };
        if meta.dev() != device {
            return Ok(None);
        }
        if meta.is_file() {
            bytes += meta.blocks() * 512;
        }
    }
    Ok(Some(bytes))
}
