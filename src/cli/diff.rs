//! `qbackd diff`: what a reload would change.

use super::reload::show;
use super::{Global, daemon, signals};
use crate::error::{Error, Kind, Result};

/// Show what a reload would change in the running daemon.
///
/// A line for each database, destination, policy and schedule that the files have
/// and the daemon has not, or the other way, or that differs. Exits with 78 if
/// the files have an error: then a reload would change nothing.
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
        let daemon = daemon::needed(global, "compare with the running configuration").await?;
        let result = tokio::select! {
            result = daemon.diff() => result?,
            () = cancel.cancelled() => return Err(Error::interrupted()),
        };
        show(&result, "a reload would change nothing", global)?;
        if result.accepted {
            return Ok(());
        }
        Err(Error::new(Kind::Configuration, "the daemon would not accept the configuration"))
    })
}
