//! The format at a destination: stages strung together over a store; put, publish, list, read (`docs/format.md`).
//!
//! Engines and jobs hand over and get back *plain* streams and know nothing of compression, encryption or names; another
//! format is another implementation of [`Repository`].

mod draft;
mod header;
mod plain;
mod reading;
mod recovery;
mod sweep;

pub use plain::Plain;
pub use reading::Reading;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::error::{DEFECT, Error, Result};
use crate::model::{Artifact, ArtifactSink, ArtifactSource, BackupRef, Inlet, Manifest, Name, Progress};
use crate::stage::{CompressionOptions, Identities, Recipients};

/// Backups at one destination.
#[async_trait]
pub trait Repository: Send + Sync {
    /// What the destination is called in messages.
    fn label(&self) -> &str;

    /// Begins a backup. Nobody sees it before [`Draft::publish`].
    ///
    /// # Errors
    /// The destination cannot be written, holds another format, or has no room for `estimate` bytes.
    async fn begin(
        &self,
        at: &BackupRef,
        packing: Packing,
        estimate: Option<u64>,
        progress: &Progress,
    ) -> Result<Box<dyn Draft>>;

    /// What is published, what is not (yet), and what is damaged; of one database or of all.
    ///
    /// # Errors
    /// The destination cannot be listed. A listing is whole or an error.
    async fn list(&self, database: Option<&Name>) -> Result<Listing>;

    /// The manifest of one published backup.
    ///
    /// # Errors
    /// There is none, or it is damaged or of a newer format.
    async fn manifest(&self, at: &BackupRef) -> Result<Manifest>;

    /// Opens a chain for reading in plain, the full backup first.
    fn read(&self, chain: Vec<Manifest>, keys: Arc<Identities>, progress: &Progress) -> Box<dyn Reader>;

    /// Streams an artifact as it is stored; the stream ends properly only if size and SHA-256 are the manifest's.
    ///
    /// # Errors
    /// It is not there.
    async fn stored(&self, of: &Manifest, artifact: &Artifact, progress: &Progress) -> Result<Stored>;

    /// Removes what an unpublished backup left. Says whether there was anything.
    ///
    /// # Errors
    /// It is published, or the destination refuses.
    async fn sweep(&self, at: &BackupRef) -> Result<bool>;

    /// Deletes a published backup: its manifest first, its data after.
    ///
    /// # Errors
    /// The destination refuses. What is left then is debris.
    async fn delete(&self, at: &BackupRef) -> Result<()>;
}

/// A backup in the making.
#[async_trait]
pub trait Draft: ArtifactSink {
    /// Waits until every artifact that was opened is complete and durable, and says what they are.
    ///
    /// # Errors
    /// The first cause why one is not.
    async fn artifacts(&self) -> Result<Vec<Artifact>>;

    /// Publishes: checksums, then the manifest, which makes the backup exist. A cancel counts until that is begun.
    ///
    /// # Errors
    /// The destination refuses, or `cancel` fired; the backup does not exist.
    async fn publish(&self, manifest: &Manifest, cancel: &CancellationToken) -> Result<()>;

    /// Removes all of it. Best effort: what stays is swept later.
    async fn discard(&self);
}

/// A chain being read. After the engine has done its part, [`Reader::verdict`] must be asked: an engine's tool may be content
/// with a stream that was not.
#[async_trait]
pub trait Reader: ArtifactSource {
    /// Waits for all streams that were opened.
    ///
    /// # Errors
    /// The first cause why one was not what its manifest says. A stream whose reader stopped early is no error.
    async fn verdict(&self) -> Result<()>;

    /// For passing to an engine.
    fn source(&self) -> &dyn ArtifactSource;
}

/// How artifacts are packed.
#[derive(Debug, Clone)]
pub struct Packing {
    /// zstd and its level, or none.
    pub compression: CompressionOptions,
    /// Threads that compress each artifact.
    pub workers: u32,
    /// Whom they are encrypted to; `None` is `encryption = "none"`.
    pub recipients: Option<Arc<Recipients>>,
}

/// An artifact's bytes as stored.
pub struct Stored {
    /// The stream.
    pub inlet: Inlet,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// Whether a stream was what the manifest says; known when it was read to its end.
pub struct Verdict(tokio::task::JoinHandle<Result<()>>);

impl Verdict {
    /// Waits until the stream is done with; its inlet must be read or dropped.
    ///
    /// # Errors
    /// It was not what the manifest says, or could not be read.
    pub async fn given(self) -> Result<()> {
        joined(self.0.await)
    }
}

impl Stored {
    /// Reads to the end, dropping the bytes, and says whether they are what the manifest says.
    ///
    /// # Errors
    /// They are not, or could not be read.
    pub async fn prove(self) -> Result<()> {
        let Self { mut inlet, verdict } = self;
        let read = async {
            while inlet.next_async().await?.is_some() {}
            Ok(())
        };
        settled(read.await, verdict.given().await)
    }
}

/// What came of using a stream: the stream's own failure explains its user's, unless the user failed by itself.
///
/// # Errors
/// Either's.
pub fn settled<T>(used: Result<T>, verdict: Result<()>) -> Result<T> {
    match (used, verdict) {
        (Err(e), Err(cause)) if e.is_consequence() => Err(cause),
        (Err(e), _) => Err(e),
        (Ok(_), Err(cause)) => Err(cause),
        (Ok(done), Ok(())) => Ok(done),
    }
}

/// What is at a destination.
#[derive(Debug, Default)]
pub struct Listing {
    /// Published backups with sound manifests, oldest first.
    pub backups: Vec<Manifest>,
    /// Published backups whose manifests cannot be used, and why.
    pub damaged: Vec<(BackupRef, Error)>,
    /// Folders of backups without a manifest: running now, or debris of a dead run.
    pub unfinished: Vec<BackupRef>,
    /// What lies among backups and is none; never touched.
    pub strangers: Vec<String>,
}

impl Listing {
    /// The chain that ends with `last`, the full backup first.
    ///
    /// # Errors
    /// A link is missing.
    pub fn chain(&self, last: &Manifest) -> Result<Vec<Manifest>> {
        let mut chain = vec![last.clone()];
        let mut parent = last.parent.clone();
        while let Some(id) = parent.take() {
            let found = self.backups.iter().find(|m| m.database == last.database && m.id == id);
            let Some(found) = found.filter(|_| chain.len() <= self.backups.len()) else {
                return Err(Error::failed(format!("{} cannot be restored", last.reference()))
                    .because(format!("its parent {id} is not there")));
            };
            parent.clone_from(&found.parent);
            chain.push(found.clone());
        }
        chain.reverse();
        Ok(chain)
    }
}

/// The result of a task; one that panicked is a failure like any other.
fn joined<T>(result: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    result.unwrap_or_else(|_| Err(Error::failed("a part of the pipeline panicked").hint(DEFECT)))
}

/// The first failure that is a cause; a consequence only if there is no cause.
fn root_cause(results: impl IntoIterator<Item = Option<Error>>) -> Option<Error> {
    let mut consequence = None;
    for error in results.into_iter().flatten() {
        if !error.is_consequence() {
            return Some(error);
        }
        consequence.get_or_insert(error);
    }
    consequence
}
