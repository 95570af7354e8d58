//! `qbackd pause`: nothing of a database starts by itself.

use super::Global;
use super::change::change;
use crate::control::Pause;
use crate::error::Result;
use crate::job::pausing::pause;
use crate::model::Name;

/// Pause databases: nothing of them starts by itself until `qbackd resume`.
///
/// A run that is going on goes on, and `qbackd backup NAME` still works. Alarms
/// stay on: a database that is paused for too long grows stale.
///
/// Examples:
///   qbackd pause shop
///   qbackd pause shop blog --reason "moving to db2 until Monday"
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The databases.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<Name>,
    /// Why, for those who read the status.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let ask = Pause { reason: args.reason.clone() };
    change(
        "pause",
        &args.names,
        global,
        |history, name, who, now| pause(history, name, who, args.reason.as_deref(), now),
        async |daemon, name| daemon.pause(name, &ask).await,
    )
}
