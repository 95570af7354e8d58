//! A restore: plan, prove, restore, check. The plan is shown and agreed to between the two halves.

use std::fmt::Display;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::backup::backup;
use super::context::Given;
use super::hooks::{About, Hooks};
use super::limits::{Limits, unless_cancelled, within};
use super::recorded::{Account, begin, end, record_refusal};
use super::scratch::Scratch;
use super::{Context, Place, Wanted};
use crate::config::Database;
use crate::engine::{self, Engine, RestorePlan, RestoreRequest, Restored};
use crate::error::{Error, Kind, Result};
use crate::history::{Ending, NewRun, lock};
use crate::model::artifact::Encryption;
use crate::model::figures::figures;
use crate::model::manifest::counts;
use crate::model::{BackupRef, Manifest, Outcome, Progress, RunKind};
use crate::repository::{Plain, Reader, Repository, settled};

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which backup.
    pub wanted: Wanted,
    /// Where from, if not from the configured destinations.
    pub from: Option<Place>,
    /// Keys besides those of the configuration.
    pub keys: Given,
    /// Where to, and which parts.
    pub request: RestoreRequest,
    /// Whether it is only to be looked at: then nothing is recorded.
    pub dry_run: bool,
}

/// A restore that was planned and can be done.
pub struct Planned {
    /// What is to be restored, the full backup first.
    pub chain: Vec<Manifest>,
    /// What will happen.
    pub plan: RestorePlan,
    repository: Plain,
    reader: Box<dyn Reader>,
    engine: Box<dyn Engine>,
    request: RestoreRequest,
    work: engine::Run,
    progress: Progress,
    _scratch: Scratch,
}

/// A plan as it is shown, here or behind the control socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outline {
    /// What would be restored.
    pub backup: String,
    /// Where from.
    pub from: String,
    /// When its data was read.
    pub started: Timestamp,
    /// Bytes before compression and encryption.
    pub plain_bytes: u64,
    /// Bytes at the destination.
    pub stored_bytes: u64,
    /// What it holds, for people.
    pub holds: String,
    /// What will happen.
    pub plan: RestorePlan,
}

/// A restore into a database's own place, by somebody who has no keys: what the daemon does for them.
#[derive(Debug, Clone)]
pub struct Errand {
    /// Which backup of the database.
    pub wanted: Wanted,
    /// Whether what is there may be replaced.
    pub overwrite: bool,
    /// What it is that may be replaced, as a plan named it; none: whatever is there.
    pub agreed: Option<Vec<String>>,
    /// Back up what is there before.
    pub backup_first: bool,
}

/// A restore that was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// What was restored.
    pub backup: String,
    /// Where from.
    pub from: String,
    /// What the engine did and checked.
    #[serde(flatten)]
    pub restored: Restored,
    /// Plain bytes read.
    pub plain_bytes: u64,
    /// Stored bytes read.
    pub stored_bytes: u64,
}

impl Outline {
    /// Whether there is room where it goes.
    ///
    /// # Errors
    /// There is not; nothing was changed.
    pub fn has_room(&self) -> Result<()> {
        room_for(&self.plan, &self.backup)
    }
}

fn room_for(plan: &RestorePlan, backup: impl Display) -> Result<()> {
    let remedy = "nothing was changed; free some space there, or restore to another place with --to";
    let refused = |e: Error| e.during(format!("cannot restore {backup}")).hint(remedy);
    plan.needs.iter().try_for_each(|need| need.check().map_err(refused))
}

impl Account for Done {
    fn account(&self) -> Ending {
        let (tables, rows) = counts(&self.restored.objects);
        Ending {
            backup: self.backup.rsplit_once('/').and_then(|(_, id)| id.parse().ok()),
            plain_bytes: Some(self.plain_bytes),
            stored_bytes: Some(self.stored_bytes),
            tables: Some(tables),
            rows,
            notes: self.restored.warnings.clone(),
            ..Ending::new(Outcome::Succeeded)
        }
    }
}

/// Finds the backup and says what restoring it would do. Changes nothing; a failure is recorded as that of a restore.
///
/// # Errors
/// There is no such backup, no key for it, or it cannot be restored so.
pub async fn plan(context: &Context, order: Order, progress: &Progress) -> Result<Planned> {
    let (from, wanted, dry_run) = (order.from.clone(), order.wanted.clone(), order.dry_run);
    match look(context, order, progress).await {
        Err(e) if !dry_run => {
            record_refusal(context, RunKind::Restore, from.as_ref(), &wanted, &e)?;
            Err(e)
        }
        planned => planned,
    }
}

async fn look(context: &Context, order: Order, progress: &Progress) -> Result<Planned> {
    let (repository, manifest, listing) = context.find(order.from.as_ref(), &order.wanted).await?;
    let chain = listing.chain(&manifest)?;
    let keys = context.identities(&order.keys)?;
    if keys.is_empty() && chain.iter().flat_map(|m| &m.artifacts).any(|a| a.encryption == Encryption::Age) {
        return Err(Error::new(Kind::Usage, format!("{} is encrypted and no identity is given", manifest.reference()))
            .because(format!("its recipients are {}", manifest.recipients.join(", ")))
            .hint("give --identity FILE, or `identity_files` in the [encryption] table of the configuration"));
    }
    let engine = context.engine_for(&manifest)?;
    let scratch = Scratch::anywhere("restore")?;
    let work = engine::Run {
        database: manifest.database.clone(),
        scratch: scratch.path(),
        cancel: CancellationToken::new(),
        progress: progress.clone(),
    };
    let reader = repository.read(chain.clone(), Arc::clone(&keys), progress);
    let plan = engine.plan_restore(reader.source(), &order.request, &work).await?;
    reader.verdict().await?;
    Ok(Planned {
        chain,
        plan,
        repository,
        reader,
        engine,
        request: order.request,
        work,
        progress: progress.clone(),
        _scratch: scratch,
    })
}

impl Planned {
    /// The backup that is restored last.
    pub fn manifest(&self) -> &Manifest {
        &self.chain[self.chain.len() - 1]
    }

    /// Where it is read from.
    pub fn from(&self) -> &str {
        self.repository.label()
    }

    /// The plan as it is shown.
    pub fn outline(&self) -> Outline {
        let manifest = self.manifest();
        Outline {
            backup: manifest.reference().to_string(),
            from: self.from().to_owned(),
            started: manifest.started,
            plain_bytes: manifest.plain_bytes(),
            stored_bytes: manifest.stored_bytes(),
            holds: figures(manifest),
            plan: self.plan.clone(),
        }
    }

    /// Whether there is room where it goes. Asked before anybody agrees to anything; what is refused is recorded as a restore that failed.
    ///
    /// # Errors
    /// There is not; nothing was changed.
    pub fn has_room(&self, context: &Context) -> Result<()> {
        room_for(&self.plan, self.manifest().reference()).or_else(|error| {
            let run = begin(context, self.record(context), None)?;
            context.history.finish(&run, Ending::of(&error))?;
            Err(error)
        })
    }

    /// As the history knows it.
    fn record(&self, context: &Context) -> NewRun {
        let at = self.manifest().reference();
        NewRun {
            id: context.run.clone(),
            kind: RunKind::Restore,
            database: at.database,
            destinations: vec![self.from().to_owned()],
            backup: Some(at.id),
            initiated_by: context.initiated_by.clone(),
            due: None,
            attempt: None,
        }
    }

    /// Lets the restore replace what the plan says it replaces.
    pub fn agree_to_overwrite(&mut self) {
        self.request.overwrite = true;
    }

    /// Does `read_all` alone, until `context` is cancelled.
    ///
    /// # Errors
    /// As it, or that it was cancelled.
    pub async fn rehearse(&self, context: &Context) -> Result<()> {
        unless_cancelled(&context.cancel, self.read_all()).await
    }

    /// Does all that the restore would read: opens every artifact, lets the engine's own tool parse it, and writes nothing.
    ///
    /// # Errors
    /// One is not what its manifest says, or not what the engine can restore.
    async fn read_all(&self) -> Result<()> {
        self.progress.phase("reading all of it");
        let parsed = self.engine.parse(self.reader.source(), &self.work).await;
        settled(parsed, self.reader.verdict().await).map(drop)
    }
}

/// Compares every stored artifact of a chain with its manifest.
///
/// # Errors
/// One differs or is missing.
pub(super) async fn prove_stored(repository: &dyn Repository, chain: &[Manifest], progress: &Progress) -> Result<()> {
    for manifest in chain {
        for artifact in &manifest.artifacts {
            repository.stored(manifest, artifact, progress).await?.prove().await?;
        }
    }
    Ok(())
}

/// Plans a restore of `database` into its own place, with the keys of the configuration and no others.
///
/// # Errors
/// As [`plan`]; the backup was made by another engine than the database has now.
pub async fn plan_own(
    context: &Context,
    database: &Database,
    wanted: Wanted,
    dry_run: bool,
    progress: &Progress,
) -> Result<Planned> {
    let (keys, request) = (Given::default(), RestoreRequest::default());
    let planned = plan(context, Order { wanted, from: None, keys, request, dry_run }, progress).await?;
    let manifest = planned.manifest();
    // Where such a one goes is said by the backup, not by the configuration.
    if manifest.database != database.name || manifest.engine != database.engine.name {
        return Err(Error::new(Kind::NotPermitted, format!("{} is no backup of this database", manifest.reference()))
            .because(format!("{} made it, and {} is {}", manifest.engine, database.name, database.engine.name))
            .hint("restore it with --to as a user who can read the keys"));
    }
    Ok(planned)
}

/// Restores `database` into its own place, as far as somebody agreed to what that replaces.
///
/// # Errors
/// As [`plan_own`] and [`restore`]; something else would be replaced, or what is there could not be backed up first.
pub async fn restore_own(
    context: &Context,
    database: &Arc<Database>,
    errand: Errand,
    progress: &Progress,
) -> Result<Done> {
    let mut planned = plan_own(context, database, errand.wanted, false, progress).await?;
    planned.has_room(context)?;
    let replaces = &planned.plan.replaces;
    if !replaces.is_empty() {
        if !errand.overwrite {
            return Err(Error::failed(format!("{} would be replaced", replaces.join(", ")))
                .hint("nothing was changed; --overwrite replaces it"));
        }
        if errand.agreed.is_some_and(|agreed| agreed != *replaces) {
            return Err(Error::new(Kind::TryAgain, "what would be replaced is not what it was a moment ago")
                .because(format!("now it is {}", replaces.join(", ")))
                .hint("nothing was changed; look at the plan again"));
        }
        if errand.backup_first {
            let context = Context { run: None, ..context.clone() };
            let made = backup(&context, database, None, progress).await;
            made.map_err(|e| e.during("nothing was restored, since what is there could not be backed up first"))?;
        }
        planned.agree_to_overwrite();
    }
    restore(context, planned).await
}

/// Does what was planned. What would be written over in place is only touched after all of the backup was opened and read: a
/// wrong identity is found as well as a flipped bit.
///
/// # Errors
/// Any error of any part; what the target is then like is said.
pub async fn restore(context: &Context, planned: Planned) -> Result<Done> {
    let manifest = planned.manifest().clone();
    let at = manifest.reference();
    // In its own place a database has one run at a time, whatever the run does.
    let lock = match (&planned.request.to, context.plan.databases.contains_key(&at.database)) {
        (None, true) => Some(lock::hold(&context.state, &at.database)?),
        _ => None,
    };
    let run = begin(context, planned.record(context), lock.as_ref())?;
    let progress = planned.progress.clone();
    let about =
        About { run: &run, kind: RunKind::Restore, backup: &at, destination: planned.from(), progress: &progress };
    let database = lock.is_some().then(|| context.plan.databases.get(&at.database)).flatten();
    let hooks = Hooks::new(context, database.map(|d| &**d), &about).restoring(&manifest);
    let done = match hooks.before_restore().await {
        Ok(()) => restore_now(context, planned, &at).await,
        Err(refused) => Err(refused),
    };
    let done = end(context, &run, done.map_err(|e| e.during(format!("restore of {at} failed"))));
    match &done {
        Ok(done) => hooks.after_restore(&done.account()).await,
        Err(error) => hooks.on_failure(error).await,
    }
    done
}

async fn restore_now(context: &Context, planned: Planned, at: &BackupRef) -> Result<Done> {
    let Planned { chain, repository, reader, engine, request, work, progress, .. } = &planned;
    let plain_bytes = chain.iter().map(Manifest::plain_bytes).sum();
    let restored = within(Limits::NONE, &context.cancel, &work.cancel, progress, async {
        progress.expect(plain_bytes);
        if !planned.plan.atomic {
            // All of it is read twice.
            progress.expect(plain_bytes);
            prove_stored(repository, &chain[..chain.len() - 1], progress).await?;
            planned.read_all().await?;
        }
        progress.phase("restoring");
        let restored = engine.restore(reader.source(), request, work).await;
        // What the engine says of a stream that broke is only the echo of why it broke.
        settled(restored, reader.verdict().await)
    });
    Ok(Done {
        backup: at.to_string(),
        from: repository.label().to_owned(),
        restored: restored.await?,
        plain_bytes,
        stored_bytes: chain.iter().map(Manifest::stored_bytes).sum(),
    })
}
