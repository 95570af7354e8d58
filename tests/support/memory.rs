//! The two ends of an engine in memory: a sink that keeps what ended well, a source that gives it back, whole or broken.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use qbackd::engine::{Dump, DumpRequest, Dumped, Engine, Run};
use qbackd::error::{Error, Result};
use qbackd::model::artifact::{Compression, Encryption};
use qbackd::model::blocks::BLOCK;
use qbackd::model::{
    Artifact, ArtifactSink, ArtifactSource, ArtifactSpec, BackupId, BackupType, FileName, Inlet, Manifest, Measured,
    Method, Outlet, Progress, pipe,
};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Keeps artifacts in memory. One whose outlet was dropped without an end is no artifact.
#[derive(Default)]
pub struct MemorySink {
    open: Mutex<Vec<(FileName, JoinHandle<Result<Bytes>>)>>,
    broken: bool,
    /// Fired when the first block arrived.
    pub started: CancellationToken,
}

impl MemorySink {
    /// One that reads nothing, as a destination that fails does.
    pub fn broken() -> Self {
        Self { broken: true, ..Self::default() }
    }

    /// The artifacts that were ended, once all outlets are gone.
    pub async fn finished(&self) -> BTreeMap<FileName, Bytes> {
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        let mut finished = BTreeMap::new();
        for (name, content) in open {
            if let Ok(content) = content.await.unwrap() {
                assert!(finished.insert(name.clone(), content).is_none(), "{name} was opened twice");
            }
        }
        finished
    }
}

#[async_trait]
impl ArtifactSink for MemorySink {
    async fn open(&self, spec: ArtifactSpec) -> Result<Outlet> {
        let (outlet, mut inlet) = pipe();
        if self.broken {
            return Ok(outlet);
        }
        let started = self.started.clone();
        let content = tokio::spawn(async move {
            let mut content = Vec::new();
            while let Some(block) = inlet.next_async().await? {
                started.cancel();
                content.extend_from_slice(&block);
            }
            Ok(Bytes::from(content))
        });
        self.open.lock().unwrap().push((spec.name, content));
        Ok(outlet)
    }
}

/// A finished backup in memory.
pub struct MemoryBackup {
    chain: Vec<Manifest>,
    /// Its artifacts in plain.
    pub artifacts: BTreeMap<FileName, Bytes>,
    /// Breaks every stream off after so many bytes.
    pub breaks_after: Option<usize>,
}

impl MemoryBackup {
    /// The backup that a dump of `engine` left in `sink`.
    pub async fn publish(run: &Run, engine: &str, dump: Dump, sink: &MemorySink) -> Self {
        let (now, artifacts) = (Timestamp::now(), sink.finished().await);
        let id = BackupId::new(now, BackupType::Full);
        let listed = artifacts.iter().map(|(name, content)| {
            let measured = Measured { bytes: content.len() as u64, sha256: sha256(content) };
            Artifact {
                name: name.clone(),
                location: name.clone(),
                plain: measured.clone(),
                stored: measured,
                compression: Compression::None,
                encryption: Encryption::None,
                for_children: false,
            }
        });
        let manifest = Manifest {
            format: qbackd::model::manifest::FORMAT,
            qbackd: "test".into(),
            id: id.clone(),
            database: run.database.clone(),
            engine: engine.into(),
            method: Method::Logical,
            host: "test".into(),
            source: Default::default(),
            tools: Vec::new(),
            kind: BackupType::Full,
            parent: None,
            chain: id,
            started: now,
            finished: now,
            log: None,
            objects: dump.objects.unwrap_or_default(),
            artifacts: listed.collect(),
            recipients: Vec::new(),
            notes: dump.notes,
            initiated_by: "test".into(),
        };
        Self { chain: vec![manifest], artifacts, breaks_after: None }
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.chain[0]
    }

    /// The only artifact.
    pub fn content(&self) -> &Bytes {
        assert_eq!(self.artifacts.len(), 1);
        self.artifacts.values().next().unwrap()
    }

    /// The same backup with another content in its only artifact.
    pub fn set_content(&mut self, content: impl Into<Bytes>) {
        assert_eq!(self.artifacts.len(), 1);
        *self.artifacts.values_mut().next().unwrap() = content.into();
    }
}

#[async_trait]
impl ArtifactSource for MemoryBackup {
    fn chain(&self) -> &[Manifest] {
        &self.chain
    }

    async fn open(&self, backup: &BackupId, artifact: &FileName) -> Result<Inlet> {
        assert_eq!(backup, &self.chain[0].id);
        let content = self.artifacts.get(artifact).cloned().ok_or_else(|| Error::failed("no such artifact"))?;
        let (mut outlet, inlet) = pipe();
        let whole = self.breaks_after.is_none();
        let content = content.slice(..self.breaks_after.unwrap_or(content.len()).min(content.len()));
        tokio::spawn(async move {
            let mut content = content;
            while !content.is_empty() {
                let block = content.split_to(content.len().min(BLOCK));
                outlet.send_async(block).await?;
            }
            if whole { outlet.end_async().await } else { Ok(()) }
        });
        Ok(inlet)
    }
}

/// 64 hex digits.
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect()
}

/// A run of the database `name` with its scratch below `dir`.
pub fn run_in(dir: &Path, name: &str) -> Run {
    let scratch = dir.join("scratch");
    std::fs::create_dir_all(&scratch).unwrap();
    Run { database: name.parse().unwrap(), scratch, cancel: CancellationToken::new(), progress: Progress::default() }
}

/// Inspects and dumps into `sink`; a full backup.
pub async fn dump(engine: &dyn Engine, run: &Run, sink: &MemorySink) -> Result<Dump> {
    let found = engine.inspect(run).await?;
    let request = DumpRequest { kind: BackupType::Full, parent: None };
    match engine.dump(&found, &request, sink, run).await? {
        Dumped::Done(dump) => Ok(dump),
        other => panic!("a full dump ended as {other:?}"),
    }
}

/// Inspects and dumps into memory.
pub async fn back_up(engine: &dyn Engine, kind: &str, run: &Run) -> Result<MemoryBackup> {
    let sink = MemorySink::default();
    let dump = dump(engine, run, &sink).await?;
    Ok(MemoryBackup::publish(run, kind, dump, &sink).await)
}
