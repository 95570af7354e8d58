//! What the daemon knows of its configuration: what runs, what was read last, who waits for an answer.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::metrics::Configuration;
use crate::config::source::Source;
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
    pub(super) fingerprint: Fingerprint,
    /// What they said alone, without what was found wrong with it.
    texts: Fingerprint,
    pub(super) reading: bool,
    /// Asked for while a reading was going on: the files may have changed after they were read.
    pub(super) again: bool,
    /// A signal asked for it: it is told also that nothing changed.
    pub(super) insisted: bool,
    pub(super) waiting: Vec<Answer>,
    pub(super) later: Vec<Answer>,
}

/// What the files say, in short: tells an edit from a touch.
pub(super) type Fingerprint = [u8; 32];

/// The files, read.
pub(super) struct Read {
    pub(super) result: Result<Loaded, Report>,
    pub(super) fingerprint: Fingerprint,
    pub(super) texts: Fingerprint,
    /// Whether they could be kept for a restart; nothing is kept of files that were only touched or are broken.
    pub(super) kept: Result<()>,
    /// How long reading and checking took, and keeping.
    pub(super) took: [Duration; 2],
}

impl Configured {
    /// As `report` has it: what was read, and whether it is what runs.
    pub(super) fn new(report: &Report, rejected: Option<String>, now: Timestamp) -> Self {
        Self {
            rejected,
            since: now,
            fingerprint: fingerprint(report),
            texts: texts(report.sources()),
            reading: false,
            again: false,
            insisted: false,
            waiting: Vec::new(),
            later: Vec::new(),
        }
    }

    /// Takes note of what was read.
    pub(super) fn note(&mut self, read: &Read) {
        (self.fingerprint, self.texts) = (read.fingerprint, read.texts);
    }

    /// What files say that need not be understood again: nobody asked, and they are what runs.
    pub(super) fn untouched(&self) -> Option<Fingerprint> {
        let asked = self.insisted || !self.waiting.is_empty();
        (!asked && self.rejected.is_none()).then_some(self.texts)
    }

    /// For those who measure.
    pub(super) fn shown(&self) -> Configuration {
        Configuration { accepted: self.rejected.is_none(), since: self.since }
    }
}

/// What the files say, in short; also that some cannot be read, and why.
pub(super) fn fingerprint(report: &Report) -> Fingerprint {
    let mut hash = hash(report.sources());
    report.lines().for_each(|(_, line)| add(&mut hash, line.as_bytes()));
    hash.finalize().into()
}

/// What the files say, and where they are.
pub(super) fn texts(sources: &[Source]) -> Fingerprint {
    hash(sources).finalize().into()
}

fn hash(sources: &[Source]) -> Sha256 {
    let mut hash = Sha256::new();
    for source in sources {
        add(&mut hash, source.path().as_os_str().as_encoded_bytes());
        add(&mut hash, source.text().as_bytes());
    }
    hash
}

fn add(hash: &mut Sha256, text: &[u8]) {
    hash.update(text.len().to_le_bytes());
    hash.update(text);
}

/// The first error of a report on one line, and how many more there are.
pub(super) fn in_short(report: &Report) -> String {
    let (errors, _) = report.counts();
    let first = report.lines().next().map(|(_, line)| line).unwrap_or_default();
    if errors > 1 { format!("{first} (and {} more)", errors - 1) } else { first }
}
