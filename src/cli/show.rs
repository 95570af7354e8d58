//! `qbackd show`: one manifest.

use super::Global;
use crate::error::{Error, Kind, Result};

/// Show what is known of one backup: its manifest.
///
/// A backup is named by its id, by the beginning of it if that is unique, or as NAME@latest.
///
/// Examples:
///   qbackd show shop@latest
///   qbackd show shop/20261120T020000Z-full-k3f9x2ab
///   qbackd show shop/20261120 --from /mnt/rescued/backups
///   qbackd show shop@latest --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The backup.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    /// The destination to ask: a name of the configuration, a folder, or SERVICE://BUCKET/ROOT?option=value.
    #[arg(long, value_name = "DEST|URL|DIR")]
    pub(super) from: Option<String>,
}

/// Runs the verb.
pub(super) fn run(_args: &Args, _global: &Global) -> Result<()> {
    Err(Error::new(Kind::Unavailable, "`show` is not built"))
}
