//! `qbackd backup`: back up now.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::Global;
use crate::error::{Error, Kind, Result};
use crate::model::{BackupType, Name};

/// Back up databases now.
///
/// Dumps, compresses, encrypts and stores each database as its policy says, and publishes the backup only when all of it
/// is proven: the tool ended well, every byte was counted and hashed, the destination holds what was sent. Exits with 75
/// if another run of the database is going on. Ctrl-C cancels; nothing half is left to be seen.
///
/// Examples:
///   qbackd backup shop
///   qbackd backup shop blog
///   qbackd backup --all
///   qbackd backup shop --type full --to offsite
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The databases.
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    pub(super) names: Vec<Name>,
    /// Every database that is enabled.
    #[arg(long)]
    pub(super) all: bool,
    /// The type of backup; by default what the policy calls for.
    #[arg(long = "type", value_name = "TYPE", value_parser = PossibleValuesParser::new(BackupType::WORDS).try_map(|w| w.parse::<BackupType>()))]
    pub(super) kind: Option<BackupType>,
    /// Back up to this destination instead of the policy's.
    #[arg(long, value_name = "DESTINATION")]
    pub(super) to: Option<Name>,
    /// Hand the work to the daemon and return at once.
    #[arg(long)]
    pub(super) no_block: bool,
}

/// Runs the verb.
pub(super) fn run(_args: &Args, _global: &Global) -> Result<()> {
    Err(Error::new(Kind::Unavailable, "`backup` is not built"))
}
