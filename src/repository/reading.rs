//! Reading a chain: destination -> measure -> age -> zstd -> measure, each byte proven on the way.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use tokio::task::JoinHandle;

use super::{Reader, Stored, Verdict, joined, root_cause};
use crate::error::{Error, Kind, Result};
use crate::model::artifact::{Compression, Encryption};
use crate::model::{Artifact, ArtifactSource, BackupId, BackupRef, FileName, Inlet, Manifest, Outlet, Progress, pipe};
use crate::stage::{Decompress, Decrypt, Identities, Prove, spawn};
use crate::store::{Store, paths};

/// A chain being read from a store.
pub struct Reading {
    store: Store,
    chain: Vec<Manifest>,
    keys: Arc<Identities>,
    progress: Progress,
    streams: Mutex<Vec<JoinHandle<Result<()>>>>,
}

impl Reading {
    pub(super) fn new(store: Store, chain: Vec<Manifest>, keys: Arc<Identities>, progress: Progress) -> Self {
        Self { store, chain, keys, progress, streams: Mutex::default() }
    }

    fn find(&self, backup: &BackupId, name: &FileName) -> Result<(BackupRef, &Artifact, &Manifest)> {
        let manifest = self.chain.iter().find(|m| &m.id == backup);
        let found = manifest.and_then(|m| Some((m.reference(), m.artifact(name)?, m)));
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("the backup {backup} holds no {name}")))
    }
}

#[async_trait]
impl ArtifactSource for Reading {
    fn chain(&self) -> &[Manifest] {
        &self.chain
    }

    async fn open(&self, backup: &BackupId, name: &FileName) -> Result<Inlet> {
        let (at, artifact, manifest) = self.find(backup, name)?;
        let what = format!("{} of {at}", artifact.location);
        if artifact.encryption == Encryption::Age && self.keys.is_empty() {
            return Err(Error::new(Kind::Usage, format!("{at} is encrypted and no identity is given"))
                .because(format!("its recipients are {}", manifest.recipients.join(", ")))
                .hint("give --identity FILE, or `identity_files` in the [encryption] table of the configuration"));
        }
        let Stored { mut inlet, verdict } = fetch(&self.store, &at, artifact, &self.progress).await?;
        let mut stages = Vec::new();
        if artifact.encryption == Encryption::Age {
            let (next, stage) = spawn(Decrypt { with: self.keys.clone() }, inlet)?;
            inlet = next;
            stages.push(stage);
        }
        if artifact.compression == Compression::Zstd {
            let (next, stage) = spawn(Decompress, inlet)?;
            inlet = next;
            stages.push(stage);
        }
        let progress = self.progress.clone();
        let proving =
            Prove::new(artifact.plain.clone(), format!("the content of {what}"), move |bytes| progress.plain(bytes));
        let (inlet, plain) = spawn(proving, inlet)?;
        let stream = tokio::spawn(async move {
            let mut failures = vec![verdict.given().await.err()];
            for stage in stages {
                failures.push(stage.left().await.err());
            }
            failures.push(plain.left().await.err());
            match root_cause(failures) {
                Some(error) if error.is_consequence() => Err(error),
                Some(error) => Err(error.during(format!("cannot read {what}"))),
                None => Ok(()),
            }
        });
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        Ok(inlet)
    }
}

#[async_trait]
impl Reader for Reading {
    async fn verdict(&self) -> Result<()> {
        let streams = std::mem::take(&mut *self.streams.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failures = Vec::new();
        for stream in streams {
            failures.push(joined(stream.await).err().filter(|e| !e.is_consequence()));
        }
        root_cause(failures).map_or(Ok(()), Err)
    }

    fn source(&self) -> &dyn ArtifactSource {
        self
    }
}

/// Streams an artifact as stored, proving it against the manifest.
pub(super) async fn fetch(store: &Store, at: &BackupRef, artifact: &Artifact, progress: &Progress) -> Result<Stored> {
    let path = paths::artifact(at, &artifact.location);
    let what = format!("{path} at {}", store.label());
    match store.size(&path).await? {
        None => {
            return Err(Error::failed(format!("{what} is missing"))
                .hint("restore from another backup or from a copy; `qbackd verify` tells which are sound"));
        }
        Some(size) if size != artifact.stored.bytes => {
            return Err(Error::failed(format!("{what} is damaged"))
                .because(format!("it has {size} bytes where the manifest says {}", artifact.stored.bytes))
                .hint("restore from another backup or from a copy; `qbackd verify` tells which are sound"));
        }
        Some(_) => {}
    }
    let blocks = store.read(&path).await?;
    let (outlet, inlet) = pipe();
    let feed = tokio::spawn(feed(blocks, outlet));
    let progress = progress.clone();
    let proving = Prove::new(artifact.stored.clone(), what, move |bytes| progress.stored(bytes));
    let (inlet, proof) = spawn(proving, inlet)?;
    let verdict = tokio::spawn(async move {
        let fed = joined(feed.await).err();
        let proven = proof.left().await.err();
        root_cause([fed, proven]).map_or(Ok(()), Err)
    });
    Ok(Stored { inlet, verdict: Verdict(verdict) })
}

async fn feed(mut blocks: futures::stream::BoxStream<'static, Result<bytes::Bytes>>, mut to: Outlet) -> Result<()> {
    while let Some(block) = blocks.next().await {
        to.send_async(block?).await?;
    }
    to.end_async().await
}
