//! `qbackd prune`: delete what no rule of `keep` keeps, after telling what and why.

use std::sync::Arc;

use super::{Global, ask, daemon, ground, human, output, owner, signals};
use crate::config::Database;
use crate::control::retention::{AtDestination, Judged, OfDatabase};
use crate::control::{Client, Going, Problem, Prune, Pruned};
use crate::error::{Error, Result};
use crate::job::Context;
use crate::job::prune::{Act, prune_each};
use crate::job::scratch::Scratch;
use crate::model::{Clock, Name, Size, SystemClock};

/// So many agreed ids go into one request, which may have 64 KiB.
const AT_ONCE: usize = 500;

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

/// Who prunes.
enum Shears {
    Daemon(Client),
    Alone { context: Context, databases: Vec<Arc<Database>>, _guard: Option<Scratch> },
}

impl Shears {
    /// All of it, explained or done.
    async fn all(&self, args: &Args, dry_run: bool) -> Result<Pruned> {
        match self {
            Self::Daemon(daemon) => {
                let names = args.name.iter().cloned().collect();
                daemon.prune(&Prune { names, dry_run, only: None }).await
            }
            Self::Alone { context, databases, .. } => {
                Ok(prune_each(context, databases, if dry_run { Act::DryRun } else { Act::Insist }).await)
            }
        }
    }

    /// What was agreed to, of one database.
    async fn agreed(&self, name: &Name, going: Vec<Going>) -> Result<Pruned> {
        match self {
            Self::Daemon(daemon) => {
                daemon.prune(&Prune { names: vec![name.clone()], dry_run: false, only: Some(going) }).await
            }
            Self::Alone { context, .. } => {
                let database = context.database(name)?;
                Ok(prune_each(context, &[database], Act::Agreed(&going)).await)
            }
        }
    }
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if let Some(daemon) = daemon::find(global)? {
        let shears = Shears::Daemon(daemon);
        return signals::block_on_looking(|cancel| async move {
            tokio::select! {
                done = work(&shears, args, global) => done,
                () = cancel.cancelled() => {
                    Err(Error::interrupted().hint("what the daemon was told to delete by then, it deletes"))
                }
            }
        });
    }
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
        work(&Shears::Alone { context, databases, _guard }, args, global).await
    })
}

async fn work(shears: &Shears, args: &Args, global: &Global) -> Result<()> {
    if args.yes {
        return finish(shears.all(args, false).await?, global);
    }
    let planned = shears.all(args, true).await?;
    if args.dry_run && global.json {
        output::json(&planned)?;
    } else if !global.json {
        planned.databases.iter().try_for_each(show)?;
    }
    if args.dry_run {
        return last_of(planned.failed, global);
    }
    let going: usize = planned.databases.iter().map(|database| database.going().count()).sum();
    if going > 0 {
        let backups = output::count(going, "backup");
        ask::confirm(&format!("Delete {backups} for ever, {}?", Size(planned.freed_bytes)), false)?;
    }
    let mut done = Pruned { dry_run: false, databases: Vec::new(), freed_bytes: 0, failed: Vec::new() };
    for database in planned.databases {
        let agreed = database.to_agree();
        for part in agreed.chunks(AT_ONCE) {
            let Pruned { databases, freed_bytes, failed, .. } =
                shears.agreed(&database.database, part.to_vec()).await?;
            done.databases.extend(databases);
            done.freed_bytes = done.freed_bytes.saturating_add(freed_bytes);
            done.failed.extend(failed);
        }
        if agreed.is_empty() {
            done.databases.push(database);
        }
    }
    let also = planned.failed.into_iter().filter(|problem| !done.failed.contains(problem)).collect::<Vec<_>>();
    done.failed.extend(also);
    finish(done, global)
}

fn finish(done: Pruned, global: &Global) -> Result<()> {
    if global.json {
        output::json(&done)?;
    } else {
        let mut deleted = 0;
        for database in &done.databases {
            for (at, judged) in database.going().filter(|(_, judged)| judged.deleted) {
                let (name, id, size) = (&database.database, &judged.id, Size(judged.stored_bytes));
                output::line(&format!("deleted {name}/{id} at {}, {size}: {}", at.called, judged.reasons.join("; ")))?;
                deleted += 1;
            }
        }
        output::line(&match deleted {
            0 => "nothing was deleted".to_owned(),
            n => format!("{} deleted, {} free again", output::count(n, "backup"), Size(done.freed_bytes)),
        })?;
    }
    last_of(done.failed, global)
}

/// All failures are told; the last one decides the exit code.
fn last_of(failed: Vec<Problem>, global: &Global) -> Result<()> {
    let mut failures: Vec<Error> = failed.into_iter().map(Error::from).collect();
    let last = failures.pop();
    for error in failures {
        output::error(&error, signals::exit_code(&error), global.json);
    }
    last.map_or(Ok(()), Err)
}

fn show(pruned: &OfDatabase) -> Result<()> {
    for at in &pruned.destinations {
        output::line(&format!("{} at {}", pruned.database, at.called))?;
        if at.backups.is_empty() {
            output::line(if at.failure.is_some() { "it could not be looked at\n" } else { "there is no backup\n" })?;
            continue;
        }
        let now = SystemClock.now();
        let row = |judged: &Judged| {
            vec![
                judged.id.to_string(),
                human::ago(judged.started, now),
                Size(judged.stored_bytes).to_string(),
                judged.verdict.clone(),
                judged.reasons.join("; "),
            ]
        };
        output::table(&["BACKUP", "AGE", "STORED", "VERDICT", "WHY"], at.backups.iter().map(row).collect())?;
        output::line(&format!("{}\n", summary(at)))?;
    }
    Ok(())
}

/// `to delete: 3 of 10 backups, 3.6 MiB of 12 MiB`
fn summary(at: &AtDestination) -> String {
    let going: Vec<&Judged> = at.going().collect();
    let total = |all: &mut dyn Iterator<Item = &Judged>| {
        Size(all.map(|judged| judged.stored_bytes).fold(0, u64::saturating_add))
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
