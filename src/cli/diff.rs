//! `qbackd diff`: what a reload would change.

use super::reload::show;
use super::{Global, daemon, signals};
use crate::config::{self, Diff, Report, accepted};
use crate::control::Reload;
use crate::error::{Error, Kind, Result};
use crate::history::StateDir;

/// Show what a reload would change in the running daemon.
///
/// A line for each database, destination and way to notify that the files have and
/// the daemon has not, or the other way, or that differs, with the keys that do.
/// Without a daemon the files are compared with what one accepted last. Exits with
/// 78 if the files have an error: then a reload would change nothing.
///
/// Examples:
///   qbackd diff
///   qbackd diff --json | jq -r '.changes[]'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {}

/// Runs the verb.
pub(super) fn run(_: &Args, global: &Global) -> Result<()> {
    signals::block_on(|cancel| async move {
        let (result, who) = match daemon::ask(global).await? {
            Some(daemon) => tokio::select! {
                result = daemon.diff() => (result?, "the daemon"),
                () = cancel.cancelled() => return Err(Error::interrupted()),
            },
            None => (alone(global)?, "a daemon"),
        };
        show(&result, "a reload would change nothing", global)?;
        if result.accepted {
            return Ok(());
        }
        Err(Error::new(Kind::Configuration, format!("{who} would not accept the configuration")))
    })
}

/// Compares with what was accepted last.
fn alone(global: &Global) -> Result<Reload> {
    let answer = |accepted, report: &Report, diff: &Diff| {
        let (errors, warnings) = report.counts();
        Reload { accepted, errors, warnings, diagnostics: report.render(false), changes: diff.lines() }
    };
    let loaded = match config::load(&global.config) {
        Ok(loaded) => loaded,
        Err(report) => return Ok(answer(false, &report, &Diff::default())),
    };
    let path = &loaded.plan.daemon.state_dir;
    let nothing = || {
        Error::new(Kind::Unavailable, "there is nothing to compare with")
            .because(format!("no daemon runs, and none has accepted a configuration yet in {}", path.display()))
            .hint("`qbackd check` shows whether one would accept this; --socket names a daemon elsewhere")
    };
    if !path.exists() {
        return Err(nothing());
    }
    let last = accepted::last(&StateDir::open(path)?)?.ok_or_else(nothing)?;
    Ok(answer(true, &loaded.warnings, &config::diff(&last.plan, &loaded.plan)))
}
