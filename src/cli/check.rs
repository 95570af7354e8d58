//! `qbackd check`: whether the configuration is right.

use super::Global;
use crate::error::{Error, Kind, Result};

/// Check the configuration, without touching anything.
///
/// Reads all *.toml of the folder as the daemon does and shows every error at once, each with file, line, column and
/// what was expected. Opens nothing but the configuration: a file it names that is absent is a warning. Exits with 78 if
/// there is any error.
///
/// Examples:
///   qbackd check
///   qbackd check --config ./etc
///   qbackd check --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Try every server, tool, recipient and destination as well.
    #[arg(long)]
    pub(super) connect: bool,
}

/// Runs the verb.
pub(super) fn run(_args: &Args, _global: &Global) -> Result<()> {
    Err(Error::new(Kind::Unavailable, "`check` is not built"))
}
