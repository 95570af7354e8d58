//! `qbackd reset-failed`: forgets failures, as `systemctl reset-failed` does.

use super::Global;
use super::change::change;
use crate::error::Result;
use crate::job::pausing::reset_failed;
use crate::model::Name;

/// Forget the failures of databases, and a pause they led to.
///
/// An operator's pause stays: it ends only by `qbackd resume`.
///
/// Examples:
///   qbackd reset-failed shop
///   qbackd reset-failed shop blog
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The databases.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<Name>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    change("reset-failed", &args.names, global, reset_failed, async |daemon, name| daemon.reset_failed(name).await)
}
