//! A backup in the making: one pipeline an artifact, then SHA256SUMS, then the manifest.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Draft, Packing, joined, root_cause};
use crate::error::{Error, Result};
use crate::model::artifact::{Compression, Encryption};
use crate::model::{
    Artifact, ArtifactSink, ArtifactSpec, BackupRef, FileName, Inlet, Manifest, Outlet, Progress, Step, pipe,
};
use crate::stage::{Compress, CompressionOptions, Encrypt, Meter, spawn};
use crate::store::{Create, Store, Upload, paths};

pub(super) struct PlainDraft {
    store: Store,
    at: BackupRef,
    packing: Packing,
    progress: Progress,
    opened: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    names: BTreeSet<FileName>,
    pipelines: Vec<JoinHandle<Result<Artifact>>>,
}

impl PlainDraft {
    pub(super) fn new(store: Store, at: BackupRef, packing: Packing, progress: Progress) -> Self {
        Self { store, at, packing, progress, opened: Mutex::default() }
    }

    fn take_pipelines(&self) -> Vec<JoinHandle<Result<Artifact>>> {
        std::mem::take(&mut self.opened.lock().unwrap_or_else(PoisonError::into_inner).pipelines)
    }

    /// Where an artifact goes and what is done to it on the way; the sizes and hashes come when it is complete.
    fn announce(&self, spec: ArtifactSpec) -> Result<Packed> {
        let level = match self.packing.compression {
            CompressionOptions::Zstd(level) if !spec.compressed => Some(level),
            _ => None,
        };
        let zst = if level.is_some() { ".zst" } else { "" };
        let age = if self.packing.recipients.is_some() { ".age" } else { "" };
        let location = format!("{}{zst}{age}", spec.name)
            .parse()
            .map_err(|e| Error::failed(format!("cannot name an artifact of {}", self.at)).because(e))?;
        Ok(Packed { spec, level, location })
    }
}

struct Packed {
    spec: ArtifactSpec,
    level: Option<i32>,
    location: FileName,
}

#[async_trait]
impl ArtifactSink for PlainDraft {
    /// measure -> zstd -> age -> measure -> destination
    async fn open(&self, spec: ArtifactSpec) -> Result<Outlet> {
        let packed = self.announce(spec)?;
        if !self.opened.lock().unwrap_or_else(PoisonError::into_inner).names.insert(packed.spec.name.clone()) {
            return Err(Error::failed(format!("the dump has two artifacts called {}", packed.spec.name)));
        }
        let upload = self.store.upload(&paths::artifact(&self.at, &packed.location)).await?;

        let (outlet, inlet) = pipe();
        let (read, wrote) = (self.progress.clone(), self.progress.clone());
        let (mut inlet, plain) = Meter::on(inlet, move |bytes| read.plain(bytes));
        let mut packers = Vec::new();
        if let Some(level) = packed.level {
            let (next, stage) = spawn(Compress { level, workers: self.packing.workers }, inlet)?;
            inlet = next;
            packers.push(stage);
        }
        if let Some(to) = self.packing.recipients.clone() {
            let (next, stage) = spawn(Encrypt { to }, inlet)?;
            inlet = next;
            packers.push(stage);
        }
        let (inlet, stored) = Meter::on(inlet, move |bytes| wrote.stored(bytes));
        let encryption = if self.packing.recipients.is_some() { Encryption::Age } else { Encryption::None };

        let pipeline = tokio::spawn(async move {
            let mut failures = vec![write_all(inlet, upload).await.err()];
            for stage in packers {
                failures.push(stage.left().await.err());
            }
            match root_cause(failures) {
                Some(error) => Err(error),
                None => Ok(Artifact {
                    name: packed.spec.name,
                    location: packed.location,
                    plain: plain.read(),
                    stored: stored.read(),
                    compression: if packed.level.is_some() { Compression::Zstd } else { Compression::None },
                    encryption,
                    for_children: packed.spec.for_children,
                }),
            }
        });
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).pipelines.push(pipeline);
        Ok(outlet)
    }
}

/// Writes a stream to its object; closes it only after the stream's proper end.
async fn write_all(mut from: Inlet, mut to: Upload) -> Result<()> {
    let mut first = true;
    let failure = loop {
        match from.next_async().await {
            Ok(Some(block)) => {
                if let Err(e) = to.write(block).await {
                    break e;
                }
                if std::mem::take(&mut first) {
                    Step::Writing.reached();
                }
            }
            Ok(None) => {
                to.close().await?;
                Step::Written.reached();
                return Ok(());
            }
            Err(e) => break e,
        }
    };
    to.abort().await;
    Err(failure)
}

#[async_trait]
impl Draft for PlainDraft {
    async fn artifacts(&self) -> Result<Vec<Artifact>> {
        let mut complete = Vec::new();
        let mut failures = Vec::new();
        for pipeline in self.take_pipelines() {
            match joined(pipeline.await) {
                Ok(artifact) => complete.push(artifact),
                Err(e) => failures.push(Some(e)),
            }
        }
        match root_cause(failures) {
            Some(error) => Err(error),
            None if complete.is_empty() => {
                Err(Error::failed(format!("the dump of {} has no artifacts", self.at.database)))
            }
            None => Ok(complete),
        }
    }

    async fn publish(&self, manifest: &Manifest, cancel: &CancellationToken) -> Result<()> {
        self.store.sync(&paths::manifest(&self.at)).await?;
        Step::AllWritten.reached();
        let sums: String =
            manifest.artifacts.iter().map(|a| format!("{}  {}\n", a.stored.sha256, a.location)).collect();
        self.store.put(&paths::sums(&self.at), sums, Create::New).await?;
        Step::Summed.reached();
        if cancel.is_cancelled() {
            return Err(Error::interrupted());
        }
        self.store.put(&paths::manifest(&self.at), manifest.to_json()?, Create::New).await?;
        Step::Published.reached();
        Ok(())
    }

    async fn discard(&self) {
        for pipeline in self.take_pipelines() {
            let _ = pipeline.await;
        }
        if let Err(e) = super::sweep::remove_unpublished(&self.store, &self.at).await {
            tracing::warn!(
                QBACKD_DATABASE = self.at.database.as_str(),
                "{}: what the failed run left could not be removed now: {}",
                self.at,
                e.line()
            );
        }
    }
}
