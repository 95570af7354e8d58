//! Retention: what is decided at each destination of a database, and the deletions that follow.
//!
//! A destination that cannot be listed whole loses nothing: what is not seen could be what the rest builds on.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::Context;
use super::delete::{Gone, remove};
use super::limits::unless_cancelled;
use super::pausing::{self, accept_size};
use super::recorded::beside;
use super::sweep::recover;
use crate::config::{Database, Destination};
use crate::control::retention;
use crate::control::{self, Going};
use crate::error::{Error, Result};
use crate::history::{Ending, Hold, Level, Lock, NewRun, lock};
use crate::model::{BackupId, BackupRef, Name, RunId, RunKind};
use crate::repository::{Listing, Repository};
use crate::retention::{Candidate, Decision, Keep, Rules, Verdict, decide, in_order_of_deletion};
use crate::schedule;
use crate::store::Access;

/// What is to be done with the decisions.
#[derive(Debug, Clone, Copy)]
pub enum Act<'a> {
    /// Nothing: they are told. Needs no lock.
    DryRun,
    /// What no rule keeps is deleted; while the newest backup is suspicious, nothing is.
    Delete,
    /// The same, but only what a person saw in a plan and agreed to.
    Agreed(&'a [Going]),
    /// What no rule keeps is deleted, and a suspicious backup is believed from now on: a person said `--yes`.
    Insist,
}

/// What was decided for a database, and what was done.
#[derive(Debug)]
pub struct Pruned {
    /// The database.
    pub database: Name,
    /// Each of its destinations at which anything was decided or went wrong.
    pub destinations: Vec<AtDestination>,
}

/// What was decided at one destination.
#[derive(Debug)]
pub struct AtDestination {
    /// Its name.
    pub destination: Name,
    /// Each backup there, the newest first.
    pub backups: Vec<Judged>,
    /// Why nothing, or nothing more, was deleted here.
    pub failure: Option<Error>,
}

/// A backup and what became of it.
#[derive(Debug)]
pub struct Judged {
    /// Whether it stays, and why.
    pub decision: Decision,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl Pruned {
    /// What is to be deleted or was, with the name of its destination.
    pub fn going(&self) -> impl Iterator<Item = (&Name, &Judged)> {
        let all =
            self.destinations.iter().flat_map(|at| at.backups.iter().map(move |judged| (&at.destination, judged)));
        all.filter(|(_, judged)| judged.decision.verdict == Verdict::Delete)
    }

    /// What is to be deleted, for a person to agree to.
    pub fn agreed(&self) -> Vec<Going> {
        let going = self.going();
        going.map(|(at, judged)| Going { destination: at.clone(), id: judged.decision.id.clone() }).collect()
    }

    /// For people and programs, here or behind the control socket.
    fn told(&self, context: &Context) -> retention::OfDatabase {
        let at = |at: &AtDestination| retention::AtDestination {
            destination: at.destination.clone(),
            called: context.called(at.destination.as_str()),
            backups: at.backups.iter().map(Judged::told).collect(),
            failure: at.failure.as_ref().map(Error::line),
        };
        retention::OfDatabase {
            database: self.database.clone(),
            destinations: self.destinations.iter().map(at).collect(),
        }
    }

    /// The failures, taken out.
    pub fn into_failures(self) -> impl Iterator<Item = Error> {
        self.destinations.into_iter().filter_map(|at| at.failure)
    }
}

impl Judged {
    fn told(&self) -> retention::Judged {
        let decision = &self.decision;
        retention::Judged {
            id: decision.id.clone(),
            kind: decision.kind,
            started: decision.started,
            stored_bytes: decision.stored_bytes,
            verdict: decision.verdict.as_str().to_owned(),
            reasons: decision.reasons.iter().map(ToString::to_string).collect(),
            deleted: self.deleted,
        }
    }
}

/// Does [`prune`] for one database after the other, and tells all of it. One that fails stops no other.
pub async fn prune_each(context: &Context, databases: &[Arc<Database>], act: Act<'_>) -> control::Pruned {
    let dry_run = matches!(act, Act::DryRun);
    let mut done = control::Pruned { dry_run, databases: Vec::new(), freed_bytes: 0, failed: Vec::new() };
    for database in databases {
        match prune(context, database, act).await {
            Ok(pruned) => {
                let counts = |judged: &Judged| dry_run || judged.deleted;
                let freed = pruned.going().filter(|(_, judged)| counts(judged)).map(|(_, j)| j.decision.stored_bytes);
                done.freed_bytes = freed.fold(done.freed_bytes, u64::saturating_add);
                done.databases.push(pruned.told(context));
                done.failed.extend(pruned.into_failures().map(|error| (&error).into()));
            }
            Err(error) => done.failed.push((&error).into()),
        }
    }
    done
}

/// Applies the rules of `keep` at every destination of a database. One that fails stops no other; its failure is in the result.
/// Where there is no `keep`, or the destination says `prune = false`, nothing is looked at, but for a [`Act::DryRun`].
///
/// # Errors
/// The database is being worked on, or the history cannot be used.
pub async fn prune(context: &Context, database: &Arc<Database>, act: Act<'_>) -> Result<Pruned> {
    let lock = match act {
        Act::DryRun => None,
        Act::Delete | Act::Agreed(_) | Act::Insist => Some(lock::hold(&context.state, &database.name)?),
    };
    if let Some(lock) = &lock {
        recover(context, Some(lock)).await?;
    }
    at_each(context, database, &database.policy.destinations, act, lock.as_ref()).await
}

/// Applies the rules where a backup was just published, under the lock of its run. A failure is told, and noted beside the run; it
/// is none of the backup's.
pub(super) async fn after_backup(context: &Context, database: &Database, destination: &Name, run: &RunId, lock: &Lock) {
    let known = database.policy.destinations.iter();
    let changed: Vec<Arc<Destination>> = known.filter(|known| known.name == *destination).cloned().collect();
    let pruned = at_each(context, database, &changed, Act::Delete, Some(lock)).await;
    let failures: Vec<Error> = match pruned {
        Ok(pruned) => pruned.into_failures().collect(),
        Err(error) => vec![error],
    };
    for error in failures {
        beside(context, run, Level::Warning, &error.during(format!("old backups of {} stay", database.name)));
    }
}

async fn at_each(
    context: &Context,
    database: &Database,
    destinations: &[Arc<Destination>],
    act: Act<'_>,
    lock: Option<&Lock>,
) -> Result<Pruned> {
    let mut pruned = Pruned { database: database.name.clone(), destinations: Vec::new() };
    let zone = schedule::zone(context.plan.daemon.options.timezone.as_deref());
    let hold = hold(context, database, act)?;
    for destination in destinations {
        let keep = destination.keep.as_ref().or(database.policy.keep.as_ref());
        let there = There { context, database, destination, keep, zone: &zone, hold: hold.as_ref() };
        match lock {
            None => pruned.destinations.push(there.look().await),
            Some(lock) if there.may_delete() => pruned.destinations.push(there.prune(act, lock).await?),
            Some(_) => {}
        }
    }
    Ok(pruned)
}

/// The suspicious backup that holds retention, unless somebody insists that its size is right.
fn hold(context: &Context, database: &Database, act: Act<'_>) -> Result<Option<Hold>> {
    if matches!(act, Act::Insist) {
        accept_size(&context.history, &database.name, &context.initiated_by, context.clock.now())?;
    }
    pausing::hold(context.history.read(), &database.name)
}

/// One destination of a database, and the rules there.
struct There<'a> {
    context: &'a Context,
    database: &'a Database,
    destination: &'a Destination,
    keep: Option<&'a Keep>,
    zone: &'a TimeZone,
    hold: Option<&'a Hold>,
}

impl There<'_> {
    fn may_delete(&self) -> bool {
        self.keep.is_some() && self.destination.options.prune
    }

    /// What would be deleted, and why the rest stays.
    async fn look(&self) -> AtDestination {
        let mut at = AtDestination { destination: self.destination.name.clone(), backups: Vec::new(), failure: None };
        match self.list().await {
            Ok(listing) => {
                at.failure = damage(&listing, &at.destination);
                at.backups = self.judge(&listing, at.failure.as_ref());
            }
            Err(error) => at.failure = Some(error),
        }
        at
    }

    /// Looks, and deletes. Every deletion is a run of its own in the history, and so is the failure to look.
    async fn prune(&self, act: Act<'_>, lock: &Lock) -> Result<AtDestination> {
        let mut at = self.look().await;
        if let Some(error) = &at.failure {
            let run = self.context.history.begin(self.run(), Some(lock))?;
            self.context.history.finish(&run, Ending::of(error))?;
            return Ok(at);
        }
        let seen: Option<BTreeSet<&BackupId>> = match act {
            Act::Agreed(going) => {
                let here = going.iter().filter(|going| going.destination == at.destination);
                Some(here.map(|going| &going.id).collect())
            }
            Act::DryRun | Act::Delete | Act::Insist => None,
        };
        let decisions: Vec<Decision> = at.backups.iter().map(|judged| judged.decision.clone()).collect();
        let mut gone = BTreeSet::new();
        for decision in in_order_of_deletion(&decisions) {
            if seen.as_ref().is_some_and(|seen| !seen.contains(&decision.id)) {
                continue;
            }
            match self.remove(decision, lock).await {
                Ok(()) => drop(gone.insert(&decision.id)),
                // What refuses one will refuse the next.
                Err(error) => {
                    at.failure = Some(error);
                    break;
                }
            }
        }
        at.backups.iter_mut().for_each(|judged| judged.deleted = gone.contains(&judged.decision.id));
        Ok(at)
    }

    async fn list(&self) -> Result<Listing> {
        let repository = self.context.repository(&self.destination.name, Access::Read)?;
        unless_cancelled(&self.context.cancel, repository.list(Some(&self.database.name))).await
    }

    fn judge(&self, listing: &Listing, damage: Option<&Error>) -> Vec<Judged> {
        // What came after a suspicious backup while it is held was no better.
        let suspicious = |id: &BackupId| self.hold.is_some_and(|hold| id.started() >= hold.backup.started());
        let candidate = |manifest| {
            let seen = Candidate::from(manifest);
            Candidate { good: !suspicious(&seen.id), ..seen }
        };
        let candidates: Vec<Candidate> = listing.backups.iter().map(candidate).collect();
        let held = match (damage, self.hold) {
            _ if !self.destination.options.prune => Some("`prune = false`".to_owned()),
            (Some(damage), _) => Some(damage.line()),
            (None, Some(hold)) => {
                Some(format!("{} is of a suspicious size; `prune --yes` says that it is good", hold.backup))
            }
            (None, None) => None,
        };
        let rules = Rules { keep: self.keep, zone: self.zone, hold: held.as_deref() };
        let decided = decide(&candidates, &rules, self.context.clock.now());
        decided.into_iter().map(|decision| Judged { decision, deleted: false }).collect()
    }

    async fn remove(&self, decision: &Decision, lock: &Lock) -> Result<()> {
        if self.context.cancel.is_cancelled() {
            return Err(Error::interrupted());
        }
        let repository = self.context.repository(&self.destination.name, Access::Write)?;
        let at = BackupRef { database: self.database.name.clone(), id: decision.id.clone() };
        let notes = decision.reasons.iter().map(ToString::to_string).collect();
        let gone = Gone { at, stored_bytes: Some(decision.stored_bytes), notes };
        remove(self.context, &repository, RunKind::Prune, gone, lock).await
    }

    /// The run that records why nothing could be decided.
    fn run(&self) -> NewRun {
        NewRun {
            id: None,
            kind: RunKind::Prune,
            database: self.database.name.clone(),
            destinations: vec![self.destination.name.to_string()],
            backup: None,
            initiated_by: self.context.initiated_by.clone(),
            due: None,
            attempt: None,
        }
    }
}

/// What cannot be read may be the newest good backup, or what others build on.
fn damage(listing: &Listing, destination: &Name) -> Option<Error> {
    let (at, error) = listing.damaged.first()?;
    let others = match listing.damaged.len() {
        1 => String::new(),
        n => format!(", and {} more", n - 1),
    };
    Some(
        Error::failed(format!("nothing is deleted at {destination}"))
            .because(format!("{}{others}", error.line()))
            .hint(format!("look at {at} there; mend it from a copy, or move its folder away")),
    )
}
