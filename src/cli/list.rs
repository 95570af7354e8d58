//! `qbackd list`: the backups at a destination.

use super::Global;
use crate::error::{Error, Kind, Result};
use crate::model::Name;

/// List backups and chains, straight from the destination.
///
/// Examples:
///   qbackd list
///   qbackd list shop
///   qbackd list --from /mnt/rescued/backups
///   qbackd list shop --from offsite --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Of this database only.
    pub(super) name: Option<Name>,
    /// The destination to ask: a name of the configuration, a folder, or SERVICE://BUCKET/ROOT?option=value.
    #[arg(long, value_name = "DEST|URL|DIR")]
    pub(super) from: Option<String>,
}

/// Runs the verb.
pub(super) fn run(_args: &Args, _global: &Global) -> Result<()> {
    Err(Error::new(Kind::Unavailable, "`list` is not built"))
}
