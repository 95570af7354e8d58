//! What the journal is told: one line for each thing that happened.

use jiff::SignedDuration;

use crate::config::{Diff, Report};
use crate::error::Result;
use crate::job::backup::Made;
use crate::model::{Name, Notice, RunId};

/// A run begins.
pub(super) fn run_started(database: &Name, run: &RunId, what: &str) {
    tracing::info!("{database}: {what} started ({run})");
}

/// A run ended, one line.
pub(super) fn run_ended(database: &Name, run: &RunId, what: &str, result: &Result<Option<Made>>, took: SignedDuration) {
    match result {
        Ok(_) => tracing::info!("{database}: {what} ok in {took:#} ({run})"),
        Err(e) => tracing::error!("{database}: {} ({run})", e.line()),
    }
}

/// The configuration was reloaded.
pub(super) fn reloaded(diff: &Diff, mended: bool, warnings: &Report) {
    let (_, warnings) = warnings.counts();
    tracing::info!(
        "configuration loaded: {diff}{}, {warnings} warnings",
        if mended { "; it is whole again" } else { "" }
    );
}

/// Something happened.
pub(super) fn tell(notice: &Notice) {
    tracing::warn!("{}", notice.text);
}

/// The daemon works.
pub(super) fn started(databases: usize) {
    tracing::info!("qbackd {} started: {databases} databases", env!("CARGO_PKG_VERSION"));
}

/// The daemon ended.
pub(super) fn stopped() {
    tracing::info!("qbackd stopped");
}
