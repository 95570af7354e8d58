//! `qbackd verify`: whether a stored backup is whole.

use clap::ValueEnum;

use super::Global;
use super::keys::KeyArgs;
use crate::error::{Error, Kind, Result};

/// Prove that a stored backup is whole.
///
/// `checksum` reads what is stored and needs no key; `decode` decrypts, decompresses, compares with what was backed up
/// and lets the database's tool parse it; `restore` brings it back into a scratch instance.
///
/// Examples:
///   qbackd verify shop
///   qbackd verify shop@latest --level decode --identity ./identity.txt
///   qbackd verify shop --from /mnt/rescued/backups
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// A database (its newest backup) or a backup: an id, a unique beginning of one, NAME@latest.
    #[arg(value_name = "NAME|ID")]
    pub(super) what: String,
    /// How much is proven.
    #[arg(long, value_enum, default_value_t = Level::Checksum)]
    pub(super) level: Level,
    /// The destination to read from: a name of the configuration, a folder, or SERVICE://BUCKET/ROOT?option=value.
    #[arg(long, value_name = "DEST|URL|DIR")]
    pub(super) from: Option<String>,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

/// How much a verify proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// What is stored is what was stored.
    Checksum,
    /// It can be decrypted and read.
    Decode,
    /// It can be restored.
    Restore,
}

/// Runs the verb.
pub(super) fn run(_args: &Args, _global: &Global) -> Result<()> {
    Err(Error::new(Kind::Unavailable, "`verify` is not built"))
}
