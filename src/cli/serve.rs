//! `qbackd daemon`: the service, in the foreground. What it does is the daemon's room; it is handed in by `main`.

use std::path::Path;

use super::Global;
use crate::error::Result;

/// What `main` hands in.
pub type Serve = fn(&Path) -> Result<()>;

/// The service, in the foreground.
///
/// Makes backups when their schedules say so, follows the files as they change,
/// answers the other verbs on its control socket, and tells systemd and the
/// journal what it does. SIGHUP reads the files again, SIGTERM stops: what runs
/// may go on for `shutdown_grace`, a second SIGTERM ends it at once. Files that
/// are wrong change nothing: the last accepted configuration goes on, also after
/// a restart.
///
/// Examples:
///   systemctl enable --now qbackd
///   qbackd daemon --config ./etc -v
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {}

/// Runs the verb.
pub(super) fn run(_: &Args, global: &Global, serve: Serve) -> Result<()> {
    serve(&global.config)
}
