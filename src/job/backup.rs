//! One backup, in one straight line.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Context;
use super::hooks::{About, Hooks};
use super::limits::{Limits, within};
use super::pausing::conclude;
use super::prune::after_backup;
use super::recorded::{Account, begin as begin_run, end, unless_it_panics};
use super::sweep::recover;
use super::units::{self, Units};
use crate::config::Database;
use crate::engine::{self, Dump, DumpRequest, Dumped, Engine, Inspection};
use crate::error::{Error, Kind, Result};
use crate::history::{Ending, Filter, NewRun, lock};
use crate::model::manifest::{FORMAT, counts};
use crate::model::{Artifact, BackupId, BackupRef, BackupType, Manifest, Name, Outcome, Progress, RunId, RunKind};
use crate::repository::{Draft, Packing, Repository};
use crate::stage::CompressionOptions;
use crate::store::Access;

/// A published backup and the run that made it.
#[derive(Debug, Clone)]
pub struct Made {
    /// What was published.
    pub manifest: Manifest,
    /// Where.
    pub destination: Name,
}

impl Account for Made {
    fn account(&self) -> Ending {
        let (tables, rows) = counts(&self.manifest.objects);
        Ending {
            backup: Some(self.manifest.id.clone()),
            plain_bytes: Some(self.manifest.plain_bytes()),
            stored_bytes: Some(self.manifest.stored_bytes()),
            tables: Some(tables),
            rows,
            notes: self.manifest.notes.clone(),
            ..Ending::new(Outcome::Succeeded)
        }
    }
}

/// Backs up `database` now, to the first of its destinations or to `to`.
///
/// # Errors
/// [`Kind::TryAgain`] if it is being worked on; whatever failed otherwise. Nothing is published then.
pub async fn backup(
    context: &Context,
    database: &Arc<Database>,
    to: Option<&Name>,
    progress: &Progress,
) -> Result<Made> {
    let name = &database.name;
    let lock = lock::hold(&context.state, name)?;
    recover(context, Some(&lock)).await?;
    units::recover(context, name, &lock).await;
    let destination = primary(database, to)?;
    let at = BackupRef { database: name.clone(), id: BackupId::new(context.clock.now(), BackupType::Full) };
    let new = NewRun {
        id: context.run.clone(),
        kind: RunKind::Backup,
        database: name.clone(),
        destinations: vec![destination.to_string()],
        backup: Some(at.id.clone()),
        initiated_by: context.initiated_by.clone(),
        due: context.scheduled.map(|scheduled| scheduled.due),
        attempt: context.scheduled.map(|scheduled| scheduled.attempt),
    };
    let run = begin_run(context, new, Some(&lock))?;
    let about = About { run: &run, kind: RunKind::Backup, backup: &at, destination: destination.as_str(), progress };
    let hooks = Hooks::new(context, Some(database), &about);
    let manifest = unless_it_panics(make(context, database, &destination, &at, &run, &hooks, progress)).await;
    let made = manifest.map(|manifest| Made { manifest, destination });
    let made = end(context, &run, made.map_err(|e| e.during(format!("backup of {name} failed"))));
    let noted = conclude(context, database, &run);
    match &made {
        Ok(made) => {
            // Whether anything may go depends on what was noted: this backup may be suspicious.
            if noted {
                after_backup(context, database, &made.destination, &run, &lock).await;
            }
            hooks.after_backup(&made.manifest, &made.account()).await;
        }
        Err(error) => hooks.on_failure(error).await,
    }
    made
}

fn primary(database: &Database, to: Option<&Name>) -> Result<Name> {
    to.or(database.policy.destinations.first().map(|destination| &destination.name))
        .cloned()
        .ok_or_else(|| Error::new(Kind::Configuration, format!("the database {} has no destination", database.name)))
}

async fn make(
    context: &Context,
    database: &Database,
    destination: &Name,
    at: &BackupRef,
    run: &RunId,
    hooks: &Hooks<'_>,
    progress: &Progress,
) -> Result<Manifest> {
    let engine = context.engine(database)?;
    let packing = context.packing(database)?;
    // It may mount what is backed up, or where to.
    hooks.before_backup().await?;
    let repository = context.repository(destination, Access::Write)?;
    let scratch = context.scratch(run)?;
    let stop = CancellationToken::new();
    let work = engine::Run {
        database: database.name.clone(),
        scratch: scratch.path(),
        cancel: stop.clone(),
        progress: progress.clone(),
    };
    let limits = Limits { timeout: database.policy.timeout, stall_timeout: database.policy.stall_timeout };
    let recipients = packing.recipients.as_ref().map(|r| r.listed()).unwrap_or_default();
    let published = within(limits, &context.cancel, &stop, progress, async {
        progress.quiet_phase("looking at the source");
        let found = engine.inspect(&work).await?;
        progress.expect(found.estimate.unwrap_or(0));
        let draft = begin(context, &repository, at, packing, &found, progress).await?;
        progress.phase("dumping");
        let published = unless_it_panics(async {
            let (dump, artifacts) = dump(&*engine, &found, &*draft, &work).await?;
            let manifest = manifest(context, database, at, found, dump, artifacts, recipients);
            progress.quiet_phase("publishing");
            draft.publish(&manifest, &context.cancel).await.map(|()| manifest)
        })
        .await;
        if published.is_err() {
            draft.discard().await;
        }
        published
    });
    Units::of(context, database, run).stopped_during(progress, published).await
}

async fn begin(
    context: &Context,
    repository: &dyn Repository,
    at: &BackupRef,
    packing: Packing,
    found: &Inspection,
    progress: &Progress,
) -> Result<Box<dyn Draft>> {
    let estimate = found.estimate.and_then(|plain| will_store(context, &at.database, plain, packing.compression));
    repository.begin(at, packing, estimate, progress).await
}

/// How many bytes a dump of `plain` bytes will take at the destination, by what the last one took; nobody knows of the first
/// that is compressed.
fn will_store(context: &Context, database: &Name, plain: u64, compression: CompressionOptions) -> Option<u64> {
    if compression == CompressionOptions::None {
        return Some(plain);
    }
    let filter = Filter { database: Some(database.clone()) };
    let recent = context.history.read().recent(&filter, 20).ok()?;
    let last = recent.iter().find(|run| run.kind == RunKind::Backup && run.outcome == Some(Outcome::Succeeded))?;
    let (before, stored) = (last.plain_bytes.filter(|bytes| *bytes > 0)?, last.stored_bytes?);
    u64::try_from(u128::from(plain) * u128::from(stored) / u128::from(before)).ok()
}

/// Lets the engine dump, and waits until all of it is durable at the destination.
async fn dump(
    engine: &dyn Engine,
    found: &Inspection,
    draft: &dyn Draft,
    work: &engine::Run,
) -> Result<(Dump, Vec<Artifact>)> {
    let request = DumpRequest { kind: BackupType::Full, parent: None };
    let sink: &dyn crate::model::ArtifactSink = draft;
    let dumped = engine.dump(found, &request, sink, work).await;
    let dump = match dumped {
        Ok(Dumped::Done(dump)) => dump,
        Ok(Dumped::NeedsFull(why) | Dumped::NothingNew(why)) => {
            return Err(Error::failed("the engine refused a full backup").because(why));
        }
        // The engine only knows that nobody took its data; the pipeline knows why.
        Err(e) if e.is_consequence() => return Err(draft.artifacts().await.err().unwrap_or(e)),
        Err(e) => return Err(e),
    };
    let artifacts = draft.artifacts().await?;
    if artifacts.iter().all(|artifact| artifact.plain.bytes == 0) {
        return Err(Error::failed("the dump is empty").hint("a dump of nothing is not a backup; look at the source"));
    }
    Ok((dump, artifacts))
}

fn manifest(
    context: &Context,
    database: &Database,
    at: &BackupRef,
    found: Inspection,
    dump: Dump,
    artifacts: Vec<Artifact>,
    recipients: Vec<String>,
) -> Manifest {
    Manifest {
        format: FORMAT,
        qbackd: env!("CARGO_PKG_VERSION").into(),
        id: at.id.clone(),
        database: at.database.clone(),
        engine: database.engine.name.into(),
        method: database.source.method,
        host: context.host.clone(),
        source: found.source,
        tools: found.tools,
        kind: BackupType::Full,
        parent: None,
        chain: at.id.clone(),
        started: at.id.started(),
        finished: context.clock.now(),
        log: dump.log,
        objects: dump.objects.unwrap_or(found.objects),
        artifacts,
        recipients,
        notes: dump.notes,
        initiated_by: context.initiated_by.clone(),
    }
}
