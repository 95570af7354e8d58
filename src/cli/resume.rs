//! `qbackd resume`: ends a pause.

use super::Global;
use super::change::change;
use crate::error::Result;
use crate::job::pausing::resume;
use crate::model::Name;

/// End the pause of databases, whoever began it: an operator, or failures.
///
/// Failures that led to it are forgotten. What was missed meanwhile is caught up
/// by one run, if the policy is `persistent`.
///
/// Examples:
///   qbackd resume shop
///   qbackd resume shop blog
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The databases.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<Name>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    change("resume", &args.names, global, resume, async |daemon, name| daemon.resume(name).await)
}
