//! What the daemon knows of its configuration: what runs, what was read last, who waits for an answer.

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::metrics::Configuration;
use crate::config::{Loaded, Report};
use crate::control;
use crate::error::Result;

/// Somebody who waits for a reload to end.
pub(super) type Answer = oneshot::Sender<Result<control::Reload>>;

/// What the daemon knows of its configuration.
#[derive(Debug)]
pub(super) struct Configured {
    /// Why the files as they are now are not what runs, on one line; none if they are.
    pub(super) rejected: Option<String>,
    /// When what runs was accepted.
    pub(super) since: Timestamp,
    /// What the files said when they were last read, whatever became of it.
    pub(super) texts: Vec<String>,
    pub(super) reading: bool,
    /// Asked for while a reading was going on: the files may have changed after they were read.
    pub(super) again: bool,
    pub(super) waiting: Vec<Answer>,
    pub(super) later: Vec<Answer>,
}

/// The files, read.
pub(super) struct Read(pub(super) Result<Loaded, Report>);

impl Configured {
    /// As `report` has it: what was read, and whether it is what runs.
    pub(super) fn new(report: &Report, rejected: Option<String>, now: Timestamp) -> Self {
        Self {
            rejected,
            since: now,
            texts: texts(report),
            reading: false,
            again: false,
            waiting: Vec::new(),
            later: Vec::new(),
        }
    }

    /// For those who measure.
    pub(super) fn shown(&self) -> Configuration {
        Configuration { accepted: self.rejected.is_none(), since: self.since }
    }
}

/// What the files say, to tell an edit from a touch.
pub(super) fn texts(report: &Report) -> Vec<String> {
    report.sources().iter().map(|source| format!("{}\n{}", source.path().display(), source.text())).collect()
}

/// The first error of a report on one line, and how many more there are.
pub(super) fn in_short(report: &Report) -> String {
    let (errors, _) = report.counts();
    let first = report.lines().next().map(|(_, line)| line).unwrap_or_default();
    if errors > 1 { format!("{first} (and {} more)", errors - 1) } else { first }
}
