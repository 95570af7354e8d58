//! Where things lie at a destination (`docs/format.md`). Every component is a checked type, so no path can climb.

use crate::model::{BackupId, BackupRef, FileName, Name};

/// Format version and repository id.
pub const HEADER: &str = "qbackd.json";
/// How to get the data back without qbackd.
pub const RECOVERY: &str = "RECOVERY.txt";
/// The file that makes a backup exist.
pub const MANIFEST: &str = "manifest.json";
/// For `sha256sum -c`.
pub const SUMS: &str = "SHA256SUMS";

/// The folder of a database's backups.
pub fn backups(database: &Name) -> String {
    format!("{database}/backup/")
}

/// The folder of one backup.
pub fn backup(at: &BackupRef) -> String {
    format!("{}/backup/{}/", at.database, at.id)
}

/// A backup's manifest.
pub fn manifest(at: &BackupRef) -> String {
    format!("{}{MANIFEST}", backup(at))
}

/// A backup's checksums.
pub fn sums(at: &BackupRef) -> String {
    format!("{}{SUMS}", backup(at))
}

/// An artifact.
pub fn artifact(at: &BackupRef, location: &FileName) -> String {
    format!("{}{location}", backup(at))
}

/// The backup that a name in [`backups`] means, as listed there (`…/`).
pub fn backup_id(entry: &str) -> Option<BackupId> {
    entry.strip_suffix('/')?.parse().ok()
}
