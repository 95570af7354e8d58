//! `qbackd restore`: bring data back.

use std::path::PathBuf;

use super::Global;
use super::keys::KeyArgs;
use crate::error::{Error, Kind, Result};

/// Bring data back.
///
/// Shows a plan first (which backup, how large, where to, whether there is room, what is overwritten) and asks before it
/// overwrites anything. What is restored lies beside until it is complete and checked, then takes its place by a rename.
/// Works on a bare machine too: it needs this program, a destination and a key.
///
/// Examples:
///   qbackd restore shop --dry-run
///   qbackd restore shop --to /tmp/shop.db
///   qbackd restore shop@latest --overwrite --backup-first
///   qbackd restore www --file etc/app.conf --to /tmp/www
///   qbackd restore shop --from /mnt/rescued/backups --identity ./identity.txt --to ./shop.db
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// A database (its newest backup) or a backup: an id, a unique beginning of one, NAME@latest.
    #[arg(value_name = "NAME|ID")]
    pub(super) what: String,
    #[command(flatten)]
    pub(super) point: Point,
    /// Restore to here instead of where it came from.
    #[arg(long, value_name = "URL|PATH")]
    pub(super) to: Option<String>,
    /// The destination to read from: a name of the configuration, a folder, or SERVICE://BUCKET/ROOT?option=value.
    #[arg(long, value_name = "DEST|URL|DIR")]
    pub(super) from: Option<String>,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// A file with the password of a server the configuration does not know.
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) parts: Parts,
    #[command(flatten)]
    pub(super) how: How,
    /// Show the plan and change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// With --dry-run: read and decode everything the restore would read.
    #[arg(long, requires = "dry_run")]
    pub(super) verify: bool,
    /// Overwrite what is there.
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Back up what is there before it is overwritten.
    #[arg(long)]
    pub(super) backup_first: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// Up to when or where; needs an archived log.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Point in time")]
pub(super) struct Point {
    /// Up to this time.
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// Up to this position of PostgreSQL's log.
    #[arg(long, value_name = "LSN")]
    pub(super) lsn: Option<String>,
    /// Up to this transaction of MySQL or MariaDB.
    #[arg(long, value_name = "GTID")]
    pub(super) gtid: Option<String>,
    /// Up to this named restore point of PostgreSQL.
    #[arg(long, value_name = "NAME")]
    pub(super) restore_point: Option<String>,
}

/// Which parts of the backup; each may be given several times.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Parts")]
pub(super) struct Parts {
    /// This database of a server only.
    #[arg(long, value_name = "NAME")]
    pub(super) database: Vec<String>,
    /// This schema only.
    #[arg(long, value_name = "NAME")]
    pub(super) schema: Vec<String>,
    /// This table only.
    #[arg(long, value_name = "NAME")]
    pub(super) table: Vec<String>,
    /// This file or folder of the archived files only.
    #[arg(long, value_name = "PATH")]
    pub(super) file: Vec<String>,
    /// Put the archived files below this folder.
    #[arg(long, value_name = "DIR")]
    pub(super) files_to: Option<PathBuf>,
    /// Leave the archived files out.
    #[arg(long, conflicts_with_all = ["file", "files_to"])]
    pub(super) no_files: bool,
    /// Roles and tablespaces of the server as well.
    #[arg(long)]
    pub(super) globals: bool,
}

/// How a server takes it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Servers")]
pub(super) struct How {
    /// Leave owners and grants out.
    #[arg(long)]
    pub(super) no_owner: bool,
    /// Have everything belong to this role.
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Option<String>,
    /// Create the database on the server.
    #[arg(long)]
    pub(super) create: bool,
}

/// Runs the verb.
pub(super) fn run(_args: &Args, _global: &Global) -> Result<()> {
    Err(Error::new(Kind::Unavailable, "`restore` is not built"))
}
