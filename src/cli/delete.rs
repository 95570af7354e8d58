//! `qbackd delete`: delete one backup by hand.

use super::Global;
use crate::error::{Error, Kind, Result};

/// Delete one backup.
///
/// Asks first. The manifest goes first, the data after: nobody ever sees half a backup.
///
/// Examples:
///   qbackd delete shop/20261120T020000Z-full-k3f9x2ab
///   qbackd delete shop/20261120T020000Z-full-k3f9x2ab --yes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The backup: an id, or a unique beginning of one.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    /// The incrementals that build on it as well.
    #[arg(long)]
    pub(super) with_children: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// Runs the verb.
pub(super) fn run(_args: &Args, _global: &Global) -> Result<()> {
    Err(Error::new(Kind::Unavailable, "`delete` is not built"))
}
