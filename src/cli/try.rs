//! `qbackd try`: proof on one screen, without any configuration.

use super::Global;
use crate::error::{Error, Kind, Result};

/// Back something up encrypted, restore it beside, and compare.
///
/// Needs no configuration, no root and no key. Backs up a database or a folder (by default a sample SQLite database that
/// it makes), encrypted to a new key, into ./qbackd-try; restores it beside; compares the two by checksums that are
/// computed from outside; and shows the commands that do the same by hand. What it is pointed at is only read.
///
/// Examples:
///   qbackd try
///   qbackd try /srv/app/app.db
///   qbackd try /etc
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// A URL, an SQLite file or a folder; by default a sample database is made.
    #[arg(value_name = "URL|PATH")]
    pub(super) what: Option<String>,
}

/// Runs the verb.
pub(super) fn run(_args: &Args, _global: &Global) -> Result<()> {
    Err(Error::new(Kind::Unavailable, "`try` is not built"))
}
