//! The named steps of a backup, where a crash must lose nothing. Debug builds can be told to die or to panic at one of them, so
//! that tests see what a power cut or a defect there leaves.

/// A moment in the life of a backup run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The run is in the history; nothing was written anywhere else.
    Recorded,
    /// The destination has its header and RECOVERY.txt.
    Prepared,
    /// An artifact is open and has its first block.
    Writing,
    /// An artifact is complete and durable.
    Written,
    /// All artifacts are.
    AllWritten,
    /// SHA256SUMS is.
    Summed,
    /// The manifest is there: the backup exists.
    Published,
    /// The history says so.
    Finished,
}

impl Step {
    /// Every step with its word, in the order a run meets them.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Recorded, "recorded"),
        (Self::Prepared, "prepared"),
        (Self::Writing, "writing"),
        (Self::Written, "written"),
        (Self::AllWritten, "all-written"),
        (Self::Summed, "summed"),
        (Self::Published, "published"),
        (Self::Finished, "finished"),
    ];

    /// The step's word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(step, _)| *step == self).map_or("", |(_, word)| word)
    }

    /// Says that the run got here.
    pub fn reached(self) {
        tracing::debug!(step = self.word(), "reached");
        #[cfg(debug_assertions)]
        self.obey();
    }

    #[cfg(debug_assertions)]
    fn obey(self) {
        assert!(
            !std::env::var("QBACKD_PANIC_AT").is_ok_and(|word| word == self.word()),
            "told to panic at {}",
            self.word()
        );
        if std::env::var("QBACKD_DIE_AT").is_ok_and(|word| word == self.word()) {
            // As a power cut would: no unwinding, no flush, nothing sent to anybody.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        if std::env::var("QBACKD_WAIT_AT").is_ok_and(|word| word == self.word()) {
            // A fifo: to open it waits until somebody opens its other end, to read it until that is closed.
            let _ = std::fs::read(std::env::var_os("QBACKD_GATE").unwrap_or_default());
        }
    }
}
