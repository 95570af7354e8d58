//! Engines: what knows a kind of database. One folder each, one line each in the registry.
//!
//! An engine looks at its source, hands *plain* streams to a sink and takes them back from a source; compression, encryption,
//! names at a destination and publishing are none of its business. What the trait carries was fixed after doing by hand what
//! the hardest engines will need; `docs/engines.md` has the facts.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::model::manifest::{Object, Source, Tool};
use crate::model::position::{LogSpan, RestorePoint};
use crate::model::{ArtifactSink, ArtifactSource, BackupId, BackupType, FileName, Manifest, Method, Name, Progress};

pub mod command;
pub mod files;
pub mod kind;
pub mod options;
pub mod process;
pub mod registry;
pub mod space;
pub mod sqlite;
pub mod thread;

pub use kind::EngineKind;
pub use options::{OptionError, SourceOptions};
pub use registry::kinds;
pub use space::Need;

/// One configured database, seen by the code that knows its kind.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Looks at the source before a run: which server or replica, what it holds, how large it is. Changes nothing.
    ///
    /// # Errors
    /// The source is missing, empty, unreachable, or a needed tool is.
    async fn inspect(&self, run: &Run) -> Result<Inspection>;

    /// Dumps what `inspect` found into artifacts of `sink`, side by side where it can. Every artifact's outlet is ended only
    /// after the tool that filled it said that it ended well. Whether an incremental can be made is the engine's answer, given
    /// before the first byte.
    ///
    /// # Errors
    /// Anything less than a complete dump.
    async fn dump(
        &self,
        found: &Inspection,
        request: &DumpRequest,
        sink: &dyn ArtifactSink,
        run: &Run,
    ) -> Result<Dumped>;

    /// What a restore would do, without doing it. An engine that must look into the backup (a table of contents) opens an
    /// artifact and stops early.
    ///
    /// # Errors
    /// The restore cannot be done: a selection the backup does not hold, a target out of reach.
    async fn plan_restore(&self, from: &dyn ArtifactSource, request: &RestoreRequest, run: &Run)
    -> Result<RestorePlan>;

    /// Restores. What was there before stays whole until the new data is complete, where the engine can do that.
    ///
    /// # Errors
    /// Any error of any tool; a half restored target is named.
    async fn restore(&self, from: &dyn ArtifactSource, request: &RestoreRequest, run: &Run) -> Result<Restored>;

    /// Reads every artifact of the last backup of the chain and lets the engine's own tool parse it, restoring nothing.
    ///
    /// # Errors
    /// The data is not what the engine can restore.
    async fn parse(&self, from: &dyn ArtifactSource, run: &Run) -> Result<Parsed>;
}

/// What every piece of work of an engine is told.
#[derive(Debug, Clone)]
pub struct Run {
    /// The database; artifacts are named after it.
    pub database: Name,
    /// Where small things may lie during the run; removed afterwards. Not for dumps, unless the engine's tool demands it and
    /// the space was checked. Mode 0700.
    pub scratch: PathBuf,
    /// Fires when the work must stop: children are killed as whole process groups, streams dropped.
    pub cancel: CancellationToken,
    /// Who watches.
    pub progress: Progress,
}

/// What an engine found when it looked at its source.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// Which server, or which file, was chosen, with version and identity.
    pub source: Source,
    /// What it holds.
    pub objects: Vec<Object>,
    /// Plain bytes the dump will have, an estimate; `None` if nobody can know.
    pub estimate: Option<u64>,
    /// Bytes of local disk the dump needs at once in `scratch`, because the engine's tool wants files.
    pub spool: u64,
    /// The tools that will be used.
    pub tools: Vec<Tool>,
}

/// What kind of dump is wanted.
#[derive(Debug, Clone)]
pub struct DumpRequest {
    /// Full, or against `parent`.
    pub kind: BackupType,
    /// The newest published backup of the chain, for an incremental.
    pub parent: Option<Parent>,
}

/// The backup an incremental builds on.
#[derive(Debug, Clone)]
pub struct Parent {
    /// Its manifest, with positions and versions.
    pub manifest: Manifest,
    /// Its artifacts marked [`for_children`](crate::model::ArtifactSpec::for_children), in plain, as files.
    pub files: Vec<(FileName, PathBuf)>,
}

/// How a dump ended, other than by failing.
#[derive(Debug, Clone)]
pub enum Dumped {
    /// It is complete.
    Done(Dump),
    /// The parent cannot be built on, and why. The job begins again with a full backup; nothing was written.
    NeedsFull(String),
    /// Nothing happened at the source since the parent, and how the engine knows.
    NothingNew(String),
}

/// What a finished dump leaves for the manifest.
#[derive(Debug, Clone, Default)]
pub struct Dump {
    /// The part of the log it spans.
    pub log: Option<LogSpan>,
    /// What it holds, where the dump knows better than the inspection.
    pub objects: Option<Vec<Object>>,
    /// What a reader of the manifest should know.
    pub notes: Vec<String>,
}

/// What is wanted from a restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreRequest {
    /// Another path or URL than the database's own.
    pub to: Option<String>,
    /// A point in time of the log, where the engine has one.
    pub at: Option<RestorePoint>,
    /// Only these parts; empty for all.
    pub only: Selection,
    /// Whether what is at the target may be replaced.
    pub overwrite: bool,
}

/// Parts of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `--database`
    pub databases: Vec<String>,
    /// `--schema`
    pub schemas: Vec<String>,
    /// `--table`
    pub tables: Vec<String>,
    /// `--file`: paths or globs within a tree.
    pub files: Vec<String>,
}

/// What a restore would do, for people and for `--json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RestorePlan {
    /// Where the data goes.
    pub target: String,
    /// One sentence a step, in order.
    pub steps: Vec<String>,
    /// What exists there now and would be replaced; a restore asks, or wants `--overwrite`.
    pub replaces: Vec<String>,
    /// Whether what is replaced stays whole until the new data is proven (a rename), or is written over in place.
    pub atomic: bool,
    /// Who is connected to what would be replaced.
    pub sessions: Vec<String>,
    /// Local space it takes, a file system each, as far as anybody can know before it is done.
    pub needs: Vec<Need>,
    /// What the reader should know before saying yes.
    pub notes: Vec<String>,
}

/// What a restore left.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Restored {
    /// Where the data is now.
    pub target: String,
    /// What it holds, as counted there.
    pub objects: Vec<Object>,
    /// How the restored data was checked, one sentence a check.
    pub checks: Vec<String>,
    /// What went not quite as it was (an owner that does not exist here).
    pub warnings: Vec<String>,
}

/// What reading a whole backup told.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Parsed {
    /// One sentence a check.
    pub checks: Vec<String>,
}

/// The artifact and backup a single-artifact engine restores from: the newest of the chain.
///
/// # Errors
/// The manifest lists none with that ending.
pub fn only_artifact(chain: &[Manifest], ending: &str) -> Result<(BackupId, FileName)> {
    chain
        .last()
        .and_then(|m| {
            Some((m.id.clone(), m.artifacts.iter().find(|a| a.name.as_str().ends_with(ending))?.name.clone()))
        })
        .ok_or_else(|| crate::error::Error::failed(format!("the backup holds no artifact `*{ending}`")))
}

/// What an engine can do with a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ability {
    /// The method.
    pub method: Method,
    /// Whether it makes incremental backups.
    pub incremental: bool,
    /// Whether it archives a log and restores to a point in time.
    pub pitr: bool,
}
