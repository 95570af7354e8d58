//! `qbackd prune`: delete what no rule of `keep` keeps, after telling what and why.

use std::sync::Arc;

use serde::Serialize;

use super::{Global, ask, ground, human, output, owner, signals};
use crate::config::Database;
use crate::error::{Error, Result};
use crate::job::Context;
use crate::job::prune::{Act, AtDestination, Judged, Pruned, prune};
use crate::model::{Clock, Name, Size, SystemClock};
use crate::retention::{Reason, Verdict};

/// Delete the backups that no rule keeps.
///
/// Shows each backup with what the rules of `keep` say of it and every reason
/// why, and asks before anything is deleted. The same is done without asking
/// after each backup that succeeded. The newest good full backup always stays.
/// With --yes it deletes as well what is held because the newest backup is of a
/// suspicious size.
///
/// Examples:
///   qbackd prune --dry-run
///   qbackd prune shop
///   qbackd prune shop --yes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Of this database only.
    pub(super) name: Option<Name>,
    /// Show what would be deleted and why, and delete nothing.
    #[arg(long, conflicts_with = "yes")]
    pub(super) dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(super) yes: bool,
}

#[derive(Serialize)]
struct Printed<'a> {
    dry_run: bool,
    databases: &'a [Pruned],
    /// What the deleted backups took, or with --dry-run what those that would be deleted take.
    freed_bytes: u64,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let files = ground::plan(global)?;
    if !args.dry_run {
        owner::become_owner(&files.daemon.state_dir)?;
    }
    signals::block_on(|cancel| async {
        let (context, _guard) = if args.dry_run {
            ground::context_to_read(files, "prune", cancel)?
        } else {
            (ground::context(files, "prune", cancel)?, None)
        };
        let databases: Vec<Arc<Database>> = match &args.name {
            Some(name) => vec![context.database(name)?],
            None => context.plan.databases.values().cloned().collect(),
        };
        if args.yes {
            let done = each(databases.iter().map(|database| prune(&context, database, Act::Insist))).await;
            return finish(done, &context, global);
        }
        let (planned, failures) = each(databases.iter().map(|database| prune(&context, database, Act::DryRun))).await;
        let nothing = planned.iter().all(|pruned| pruned.going().next().is_none());
        if args.dry_run && global.json {
            output::json(&Printed { dry_run: true, databases: &planned, freed_bytes: bytes(&planned, |_| true) })?;
        } else if !global.json {
            planned.iter().try_for_each(|pruned| show(pruned, &context))?;
        }
        if args.dry_run {
            return last_of(planned, failures, global);
        }
        if nothing {
            return finish((planned, failures), &context, global);
        }
        let backups = output::count(planned.iter().map(|pruned| pruned.going().count()).sum(), "backup");
        ask::confirm(&format!("Delete {backups} for ever, {}?", Size(bytes(&planned, |_| true))), false)?;
        let going = planned.iter().filter(|pruned| pruned.going().next().is_some());
        let acts = going.filter_map(|plan| Some((databases.iter().find(|d| d.name == plan.database)?, plan)));
        let (done, mut failed) = each(acts.map(|(database, plan)| prune(&context, database, Act::Agreed(plan)))).await;
        failed.extend(failures);
        finish((done, failed), &context, global)
    })
}

/// One database after the other. One that fails stops no other.
async fn each(prunings: impl Iterator<Item = impl Future<Output = Result<Pruned>>>) -> (Vec<Pruned>, Vec<Error>) {
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for pruning in prunings {
        match pruning.await {
            Ok(pruned) => done.push(pruned),
            Err(error) => failures.push(error),
        }
    }
    (done, failures)
}

/// What those take that no rule keeps.
fn bytes(databases: &[Pruned], of: impl Fn(&Judged) -> bool) -> u64 {
    let going = databases.iter().flat_map(Pruned::going).map(|(_, judged)| judged);
    going.filter(|judged| of(judged)).map(|judged| judged.decision.stored_bytes).fold(0, u64::saturating_add)
}

fn finish((done, failures): (Vec<Pruned>, Vec<Error>), context: &Context, global: &Global) -> Result<()> {
    let freed_bytes = bytes(&done, |judged| judged.deleted);
    if global.json {
        output::json(&Printed { dry_run: false, databases: &done, freed_bytes })?;
    } else {
        let mut deleted = 0;
        for pruned in &done {
            for (destination, judged) in pruned.going().filter(|(_, judged)| judged.deleted) {
                let (decision, at) = (&judged.decision, context.called(destination.as_str()));
                let size = Size(decision.stored_bytes);
                output::line(&format!("deleted {}/{} at {at}, {size}: {}", pruned.database, decision.id, why(judged)))?;
                deleted += 1;
            }
        }
        output::line(&match deleted {
            0 => "nothing was deleted".to_owned(),
            n => format!("{} deleted, {} free again", output::count(n, "backup"), Size(freed_bytes)),
        })?;
    }
    last_of(done, failures, global)
}

/// All failures are told; the last one decides the exit code.
fn last_of(databases: Vec<Pruned>, mut failures: Vec<Error>, global: &Global) -> Result<()> {
    failures.extend(databases.into_iter().flat_map(Pruned::into_failures));
    let last = failures.pop();
    for error in failures {
        output::error(&error, signals::exit_code(&error), global.json);
    }
    last.map_or(Ok(()), Err)
}

fn show(pruned: &Pruned, context: &Context) -> Result<()> {
    for at in &pruned.destinations {
        output::line(&format!("{} at {}", pruned.database, context.called(at.destination.as_str())))?;
        if at.backups.is_empty() {
            output::line(if at.failure.is_some() { "it could not be looked at\n" } else { "there is no backup\n" })?;
            continue;
        }
        let now = SystemClock.now();
        let row = |judged: &Judged| {
            let decision = &judged.decision;
            let verdict = match decision.verdict {
                Verdict::Keep => "keep",
                Verdict::Delete => "delete",
            };
            vec![
                decision.id.to_string(),
                human::ago(decision.started, now),
                Size(decision.stored_bytes).to_string(),
                verdict.into(),
                why(judged),
            ]
        };
        output::table(&["BACKUP", "AGE", "STORED", "VERDICT", "WHY"], at.backups.iter().map(row).collect())?;
        output::line(&format!("{}\n", summary(at)))?;
    }
    Ok(())
}

/// `to delete: 3 of 10 backups, 3.6 MiB of 12 MiB`
fn summary(at: &AtDestination) -> String {
    let going: Vec<&Judged> = at.backups.iter().filter(|j| j.decision.verdict == Verdict::Delete).collect();
    let total = |all: &mut dyn Iterator<Item = &Judged>| {
        Size(all.map(|j| j.decision.stored_bytes).fold(0, u64::saturating_add))
    };
    let all = total(&mut at.backups.iter());
    match going.len() {
        0 => format!("nothing to delete, {all} stay"),
        n => format!(
            "to delete: {n} of {}, {} of {all}",
            output::count(at.backups.len(), "backup"),
            total(&mut going.into_iter())
        ),
    }
}

fn why(judged: &Judged) -> String {
    judged.decision.reasons.iter().map(Reason::to_string).collect::<Vec<_>>().join("; ")
}
