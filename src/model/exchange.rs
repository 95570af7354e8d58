//! The two ends at which an engine hands over the files of a backup: a sink to dump into, a source to restore from.

use async_trait::async_trait;

use super::{ArtifactSpec, BackupId, FileName, Inlet, Manifest, Outlet};
use crate::error::Result;

/// Where an engine puts what it dumps. Artifacts may be opened and written side by side.
#[async_trait]
pub trait ArtifactSink: Send + Sync {
    /// Opens an artifact. The engine writes *plain* bytes and calls `end` only after its tool said that all is well;
    /// dropping the outlet throws the artifact away.
    async fn open(&self, spec: ArtifactSpec) -> Result<Outlet>;
}

/// Where an engine gets what it restores.
#[async_trait]
pub trait ArtifactSource: Send + Sync {
    /// The backups a restore needs, the full one first, the one to be restored last.
    fn chain(&self) -> &[Manifest];

    /// Streams one artifact of one of them in plain. Sizes and hashes are compared on the way: the stream ends properly only
    /// if every byte was as the manifest says, so a reader must treat what it got as unproven until then. A reader that has
    /// enough drops the inlet.
    async fn open(&self, backup: &BackupId, artifact: &FileName) -> Result<Inlet>;
}
