//! `qbackd reload`: have the daemon take over the files as they are now.

use super::{Global, daemon, output, signals};
use crate::control::Reload;
use crate::error::{Error, Kind, Result};

/// Have the daemon load its configuration again, and wait until it has.
///
/// Runs that are going on keep the configuration they began with; schedules that
/// the edit did not touch keep their next time. Files with an error change
/// nothing: the errors are shown, the exit code is 78, and the configuration
/// accepted last stays. The daemon also sees by itself when the files change.
///
/// Examples:
///   qbackd reload
///   qbackd check && qbackd diff && qbackd reload
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {}

/// Runs the verb.
pub(super) fn run(_: &Args, global: &Global) -> Result<()> {
    signals::block_on(|cancel| async move {
        let daemon = daemon::needed(global, "reload the configuration").await?;
        let result = tokio::select! {
            result = daemon.reload() => result?,
            () = cancel.cancelled() => return Err(Error::interrupted()),
        };
        show(&result, "the configuration is loaded, and nothing has changed", global)?;
        if result.accepted {
            return Ok(());
        }
        Err(Error::new(Kind::Configuration, "the daemon did not accept the configuration")
            .because(output::count(result.errors, "error"))
            .hint("what was accepted last goes on; mend the files and reload again"))
    })
}

/// Shows what a reload did or would do; `unchanged` is said where that is nothing.
pub(super) fn show(result: &Reload, unchanged: &str, global: &Global) -> Result<()> {
    if !result.diagnostics.is_empty() {
        output::tell(result.diagnostics.trim_end());
    }
    if global.json {
        return output::json(result);
    }
    if result.accepted && result.changes.is_empty() {
        output::tell(unchanged);
    }
    result.changes.iter().try_for_each(|change| output::line(&output::clean(change)))
}
