//! `qbackd status`: where every database stands, at a glance, for a watcher, for monitoring.

mod show;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Global, daemon, ground, output, signals};
use crate::config::Plan;
use crate::control::Status;
use crate::error::{Error, Kind, Result};
use crate::history::{Reader, StateDir};
use crate::job::overview::{Gaps, Live, overview, running};
use crate::model::{Clock, Name, SystemClock};

/// Show where the databases stand, a line each, the worst first.
///
/// With names: everything that is known of these. Exits with 3 if a database is
/// failing, paused or stale, if a backup is suspiciously small, or if something
/// is wrong with the service itself.
///
/// Examples:
///   qbackd status
///   qbackd status shop
///   qbackd status --watch
///   qbackd status --health || mail -s "backups" root
///   qbackd status --json | jq '.databases[] | select(.stale) | .name'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// These databases only, with all that is known.
    #[arg(value_name = "NAME")]
    names: Vec<Name>,
    /// Look again every two seconds, until Ctrl-C.
    #[arg(short, long, conflicts_with = "health")]
    watch: bool,
    /// Print one line for monitoring: OK or DEGRADED, and why.
    #[arg(long)]
    health: bool,
}

/// How often a status that is watched is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if args.watch {
        return signals::block_on_looking(|cancel| watch(args, global, cancel));
    }
    let status = signals::block_on_looking(|cancel| async move {
        tokio::select! {
            status = look(args, global) => status,
            () = cancel.cancelled() => Err(Error::interrupted()),
        }
    })?;
    match (global.json, args.health) {
        (true, _) => output::json(&status)?,
        (false, true) => output::line(&health(&status))?,
        (false, false) => output::line(&show::all(&status, &args.names, show::Screen::of_stdout()))?,
    }
    if status.degraded() { Err(Error::new(Kind::Degraded, status.headline())) } else { Ok(()) }
}

async fn look(args: &Args, global: &Global) -> Result<Status> {
    match daemon::ask(global).await? {
        Some(daemon) => daemon.status(&args.names).await,
        None => alone(&ground::plan_at_a_glance(global)?, &args.names),
    }
}

/// What the files and the history say where no daemon runs: then nothing starts by itself.
fn alone(plan: &Plan, names: &[Name]) -> Result<Status> {
    let now = SystemClock.now();
    let path = &plan.daemon.state_dir;
    let state = match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        _ => Some(StateDir::open(path)?),
    };
    let reader = state.as_ref().map(Reader::open).transpose()?.flatten();
    let running = match (&reader, &state) {
        (Some(reader), Some(state)) => running(reader, state)?,
        _ => HashMap::new(),
    };
    let gaps = Gaps::of(plan, now);
    let live = Live { next: &|_| None, longest_gap: &|name| gaps.longest(name), running };
    let databases = overview(plan, reader.as_ref(), names, &live, now)?;
    let scheduled = plan.databases.values().any(|database| {
        database.policy.enabled && !(database.policy.full.is_empty() && database.policy.incremental.is_empty())
    });
    let problems = if scheduled { vec!["no daemon is running, so no schedule is kept".to_owned()] } else { Vec::new() };
    Ok(Status { at: now, daemon: None, problems, databases })
}

/// The line for monitoring.
fn health(status: &Status) -> String {
    let headline = status.headline();
    let problems: String = status.problems.iter().map(|problem| format!("; {problem}")).collect();
    match headline.strip_prefix("degraded: ") {
        _ if !status.degraded() => format!("OK: {headline}"),
        bare => format!("DEGRADED: {}{}", bare.unwrap_or(&headline), output::clean(&problems)),
    }
}

async fn watch(args: &Args, global: &Global, cancel: CancellationToken) -> Result<()> {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(()),
            _ = looks.tick() => {}
        }
        let status = tokio::select! {
            status = look(args, global) => status?,
            () = cancel.cancelled() => return Ok(()),
        };
        let screen = show::Screen::of_stdout();
        if global.json {
            output::json_line(&status)?;
        } else {
            output::line(&format!("{}{}", screen.clear(), show::all(&status, &args.names, screen)))?;
        }
        if output::stdout_is_gone() {
            return Ok(());
        }
    }
}
