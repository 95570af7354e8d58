//! What a run tells those who watch it: a phase, counters, an estimate. Cheap enough to be told at every block.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// The progress of one run, shared between the run and its watchers.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    phase: Mutex<String>,
    quiet: AtomicBool,
    expected: AtomicU64,
    plain: AtomicU64,
    stored: AtomicU64,
}

/// The progress of a run at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it does now, for people.
    pub phase: String,
    /// Whether no bytes are expected to move now.
    pub quiet: bool,
    /// Plain bytes expected in all, an estimate; 0 if nobody knows.
    pub expected: u64,
    /// Plain bytes read (or written, in a restore) so far.
    pub plain: u64,
    /// Bytes that went to (or came from) the destination so far.
    pub stored: u64,
}

impl Progress {
    /// Says what the run does now. Bytes are expected to move; if they do not, that is a stall.
    pub fn phase(&self, phase: impl Into<String>) {
        *self.shared.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase.into();
        self.shared.quiet.store(false, Relaxed);
    }

    /// Says what the run does now, where no bytes move for a good reason: a checkpoint, an integrity check.
    pub fn quiet_phase(&self, phase: impl Into<String>) {
        self.phase(phase);
        self.shared.quiet.store(true, Relaxed);
    }

    /// Adds to the estimate of plain bytes in all.
    pub fn expect(&self, bytes: u64) {
        self.shared.expected.fetch_add(bytes, Relaxed);
    }

    /// Counts plain bytes.
    pub fn plain(&self, bytes: usize) {
        self.shared.plain.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts bytes at the destination.
    pub fn stored(&self, bytes: usize) {
        self.shared.stored.fetch_add(bytes as u64, Relaxed);
    }

    /// Takes over what another process tells of its run.
    pub fn mirror(&self, there: Snapshot) {
        let Snapshot { phase, quiet, expected, plain, stored } = there;
        self.phase(phase);
        self.shared.quiet.store(quiet, Relaxed);
        self.shared.expected.store(expected, Relaxed);
        self.shared.plain.store(plain, Relaxed);
        self.shared.stored.store(stored, Relaxed);
    }

    /// Where the run is now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase: self.shared.phase.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            quiet: self.shared.quiet.load(Relaxed),
            expected: self.shared.expected.load(Relaxed),
            plain: self.shared.plain.load(Relaxed),
            stored: self.shared.stored.load(Relaxed),
        }
    }
}
