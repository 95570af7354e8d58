//! `qbackd download`: the files of a backup.

use std::path::PathBuf;

use super::Global;
use super::keys::KeyArgs;
use crate::error::{Error, Kind, Result};

/// Download the files of a backup.
///
/// By default decoded: decrypted and decompressed, as the database's own tools read them.
///
/// Examples:
///   qbackd download shop@latest -o ./shop
///   qbackd download shop@latest --raw -o ./as-stored
///   qbackd download shop@latest --tar > shop.tar
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The backup: an id, a unique beginning of one, NAME@latest.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    /// Where to; a folder, or a file with --tar. Nothing there is overwritten.
    #[arg(short, long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,
    /// As stored: compressed and encrypted. Needs no key.
    #[arg(long)]
    pub(super) raw: bool,
    /// One file with checksums.
    #[arg(long)]
    pub(super) tar: bool,
    /// Links that open for a while, where the destination can make them.
    #[arg(long, conflicts_with_all = ["raw", "tar", "output"])]
    pub(super) link: bool,
    /// The destination to read from: a name of the configuration, a folder, or SERVICE://BUCKET/ROOT?option=value.
    #[arg(long, value_name = "DEST|URL|DIR")]
    pub(super) from: Option<String>,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

/// Runs the verb.
pub(super) fn run(_args: &Args, _global: &Global) -> Result<()> {
    Err(Error::new(Kind::Unavailable, "`download` is not built"))
}
