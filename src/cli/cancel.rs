//! `qbackd cancel`: stop the run of a database.

use super::{Global, daemon, output, signals};
use crate::error::Result;
use crate::model::{Name, Outcome};

/// Cancel the run of a database that the daemon works on, or that waits there.
///
/// Returns when the run has ended: what was half written is gone, and the run is
/// recorded as interrupted. It is not tried again before its next time. A run
/// that works alone, without the daemon, is cancelled by Ctrl-C where it runs.
///
/// Examples:
///   qbackd cancel shop
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The database.
    #[arg(value_name = "NAME")]
    pub(super) name: Name,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let name = &args.name;
    signals::block_on(|cancel| async move {
        let daemon = daemon::needed(global, &format!("cancel the run of {name}")).await?;
        let ended = tokio::select! {
            ended = daemon.cancel(name) => ended?,
            // The daemon was told; only nobody waits for it here any more.
            () = cancel.cancelled() => return Ok(()),
        };
        if global.json {
            return output::json(&serde_json::json!({ "database": name, "outcome": ended.outcome }));
        }
        output::line(&match ended.outcome {
            Outcome::Interrupted => format!("{name}: cancelled"),
            // It came to its end before it heard.
            other => format!("{name}: the run had ended already: {other}"),
        })
    })
}
