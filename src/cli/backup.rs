//! `qbackd backup`: back up now.

use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use futures::{StreamExt, stream};
use serde::Serialize;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use super::{Global, daemon, ground, output, owner, progress, report, signals, watching};
use crate::config::Database;
use crate::control::{self, Client, Ended, Made};
use crate::error::{Error, Kind, Result};
use crate::job::backup::backup;
use crate::job::{Context, pausing};
use crate::model::{BackupType, Event, Name, Progress};

/// Back up databases now.
///
/// Dumps, compresses, encrypts and stores each database as its policy says, and
/// publishes the backup only when all of it is proven: the tool ended well, every
/// byte was counted and hashed, the destination holds what was sent. Exits with
/// 75 if another run of the database is going on.
///
/// Where a daemon runs, it does the work, and Ctrl-C only ends the watching.
/// Alone, Ctrl-C cancels; nothing half is left to be seen.
///
/// Examples:
///   qbackd backup shop
///   qbackd backup shop blog
///   qbackd backup --all
///   qbackd backup shop --type full --to offsite
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The databases.
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    pub(super) names: Vec<Name>,
    /// Every database that is enabled.
    #[arg(long)]
    pub(super) all: bool,
    /// The type of backup; by default what the policy calls for.
    #[arg(long = "type", value_name = "TYPE", value_parser = PossibleValuesParser::new(BackupType::WORDS).try_map(|w| w.parse::<BackupType>()))]
    pub(super) kind: Option<BackupType>,
    /// Back up to this destination instead of the policy's.
    #[arg(long, value_name = "DESTINATION")]
    pub(super) to: Option<Name>,
    /// Hand the work to the daemon and return at once.
    #[arg(long)]
    pub(super) no_block: bool,
}

#[derive(Serialize)]
struct Printed {
    backups: Vec<report::Backup>,
    failed: Vec<Failed>,
}

#[derive(Serialize)]
struct Failed {
    database: Name,
    error: String,
    hint: Option<String>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if let Some(daemon) = daemon::find(global)? {
        return signals::block_on_looking(|cancel| async move { ask(&daemon, args, global, cancel).await });
    }
    if args.no_block {
        return Err(Error::new(Kind::Unavailable, "there is no daemon to hand the work to")
            .hint("without --no-block the backup is made here and now"));
    }
    let plan = ground::plan(global)?;
    owner::become_owner(&plan.daemon.state_dir)?;
    signals::block_on(|cancel| async {
        let context = ground::context(plan, "backup", cancel)?;
        context.history.seen(context.plan.databases.keys())?;
        let databases = chosen(&context, args)?;
        work(&context, databases, args, global).await
    })
}

/// Has the daemon back up, and watches.
async fn ask(daemon: &Client, args: &Args, global: &Global, cancel: CancellationToken) -> Result<()> {
    let Args { names, all, kind, to, .. } = args;
    let ask = control::Backup { names: names.clone(), all: *all, kind: *kind, to: to.clone() };
    let started = tokio::select! {
        started = daemon.backup(&ask) => started?,
        () = cancel.cancelled() => return Err(Error::interrupted()),
    };
    started.warnings.iter().for_each(|warning| output::warn(&output::clean(warning)));
    if args.no_block {
        if global.json {
            return output::json(&started);
        }
        let run =
            |handle: &control::Handle| handle.run.as_ref().map_or_else(String::new, |run| format!(" as run {run}"));
        return started
            .runs
            .iter()
            .try_for_each(|one| output::line(&format!("{}: accepted{}", one.database, run(one))));
    }
    let show = |name: &Name, ended: &Ended| {
        ended.warnings.iter().for_each(|warning| output::warn(&output::clean(&format!("{name}: {warning}"))));
        match &ended.made {
            Some(made) if !global.json => output::line(&told(made)),
            _ => Ok(()),
        }
    };
    let ended = watching::watch(daemon, &started.runs, &cancel, show).await?;
    let made = |ended: Result<Ended>| ended.and_then(watching::result).map(|ended| ended.made.map(|made| *made));
    finish(ended.into_iter().map(|(name, ended)| (name, made(ended))).collect(), global)
}

fn chosen(context: &Context, args: &Args) -> Result<Vec<Arc<Database>>> {
    let mut databases: Vec<Arc<Database>> = if args.all {
        context.plan.databases.values().filter(|database| database.policy.enabled).cloned().collect()
    } else {
        args.names.iter().map(|name| context.database(name)).collect::<Result<_>>()?
    };
    let warnings = pausing::leave_out_paused(context.history.read(), &mut databases, args.all)?;
    warnings.iter().for_each(|warning| output::warn(&output::clean(warning)));
    if databases.is_empty() {
        return Err(Error::new(Kind::Usage, "there is no database to back up")
            .hint("name one in the configuration: [database.NAME]"));
    }
    for database in &databases {
        let can = database.engine.abilities.iter().any(|a| a.method == database.source.method && a.incremental);
        if args.kind == Some(BackupType::Incremental) && !can {
            return Err(Error::new(Kind::Usage, format!("{} cannot be backed up incrementally", database.name))
                .because(format!("the engine {} makes full backups only", database.engine.name)));
        }
    }
    Ok(databases)
}

/// Backs up as many at a time as `max_parallel` allows. One that fails stops no other.
async fn work(context: &Context, databases: Vec<Arc<Database>>, args: &Args, global: &Global) -> Result<()> {
    let watched: Vec<(Name, Progress)> = databases.iter().map(|d| (d.name.clone(), Progress::default())).collect();
    let parallel = usize::try_from(context.plan.daemon.options.max_parallel).unwrap_or(1).max(1);
    let runs = databases.iter().zip(&watched).map(|(database, (_, progress))| async move {
        let (notices, mut heard) = unbounded_channel();
        let context = Context { notices: Some(notices), ..context.clone() };
        let made = backup(&context, database, args.to.as_ref(), progress).await;
        while let Ok(notice) = heard.try_recv() {
            if matches!(notice.event, Event::Paused | Event::SuspiciousSize) {
                output::warn(&format!("{}: {}", database.name, notice.text));
            }
        }
        let made = made.map(|made| {
            let destination = made.destination.to_string();
            Made { manifest: made.manifest, called: context.called(&destination), destination }
        });
        if let (Ok(made), false) = (&made, global.json) {
            output::line(&told(made))?;
        }
        Ok((database.name.clone(), made.map(Some)))
    });
    let ended: Vec<Result<_>> =
        progress::watch(&watched, stream::iter(runs).buffer_unordered(parallel).collect()).await;
    finish(ended.into_iter().collect::<Result<_>>()?, global)
}

/// Tells how all of them ended. Of one that succeeded nothing may be left to tell: its backup is gone already.
fn finish(ended: Vec<(Name, Result<Option<Made>>)>, global: &Global) -> Result<()> {
    let (mut printed, mut errors) = (Printed { backups: Vec::new(), failed: Vec::new() }, Vec::new());
    for (database, made) in ended {
        match made {
            Ok(Some(made)) => printed.backups.push(report::Backup::new(&made.manifest, &made.destination)),
            Ok(None) if global.json => {}
            Ok(None) => output::line(&format!("{database}: ok"))?,
            Err(e) => {
                printed.failed.push(Failed { database, error: e.line(), hint: e.remedy().map(Into::into) });
                errors.push(e);
            }
        }
    }
    if global.json {
        output::json(&printed)?;
    }
    // All are told; the last one also decides the exit code.
    let last = errors.pop();
    for error in errors {
        output::error(&error, signals::exit_code(&error), global.json);
    }
    last.map_or(Ok(()), Err)
}

fn told(made: &Made) -> String {
    let manifest = &made.manifest;
    let mut text = format!("{} at {}: ok: {}", manifest.reference(), made.called, report::figures(manifest));
    for note in &manifest.notes {
        text.push_str(&format!("\n  note: {}", output::clean(note)));
    }
    text
}
