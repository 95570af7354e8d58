//! Who runs what: flocks below `state_dir/lock`. The kernel lets go of them when a process dies, however it dies.
//!
//! A run of a database holds `lock/NAME`. A run that need not keep others away (a verify, a download) holds a file named
//! after the run instead, so that its life can be told all the same. The content of a held file (pid and run) is for
//! messages only.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::StateDir;
use crate::error::{Error, Explain, Kind, Result};
use crate::model::{Name, RunId};

const FOLDER: &str = "lock";
/// Somebody who only asks whether a run lives holds its lock for an instant; that must not pass for a run.
const PROBE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(10);
/// What a lock file may hold, in bytes: a pid and the id of a run.
const MAX_CONTENT: u64 = 512;

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub struct Lock {
    file: File,
    name: String,
    /// For messages.
    path: PathBuf,
}

/// Takes the lock of the database `name`; `None` if somebody else runs it now (see [`busy`]).
///
/// # Errors
/// The lock file cannot be made or opened.
pub fn try_lock(state: &StateDir, name: &Name) -> Result<Option<Lock>> {
    take(state, name.as_str())
}

/// Takes the lock of the database `name`.
///
/// # Errors
/// [`busy`] if somebody else runs it now; the lock file cannot be made or opened.
pub fn hold(state: &StateDir, name: &Name) -> Result<Lock> {
    try_lock(state, name)?.ok_or_else(|| busy(state, name))
}

/// The error for a database that somebody else runs, with who that is.
pub fn busy(state: &StateDir, name: &Name) -> Error {
    let holder = holder(state, name.as_str()).unwrap_or_default();
    let error = Error::new(Kind::TryAgain, format!("{name} is busy"));
    match holder.trim() {
        "" => error.because("another run of it is going on"),
        holder => error.because(format!("another run of it is going on ({holder})")),
    }
    .hint(format!("wait for it to end; `qbackd history {name}` shows it"))
}

/// Takes the lock of the daemon: one works in a state directory.
///
/// # Errors
/// Another one works there, or the lock file cannot be made.
pub fn daemon(state: &StateDir) -> Result<Lock> {
    // No database can be called that.
    take(state, "daemon.lock")?.ok_or_else(|| {
        let who = holder(state, "daemon.lock").unwrap_or_default();
        Error::new(Kind::TryAgain, format!("another qbackd daemon works in {}", state.path().display()))
            .because(format!("it holds the lock there ({})", who.trim()))
            .hint("stop that one, or give this one another state_dir in [daemon]")
    })
}

/// Takes the lock called `name`, whether a database's or a run's.
pub(super) fn take(state: &StateDir, name: &str) -> Result<Option<Lock>> {
    let file = state.file_in(FOLDER, name)?;
    let wrong = || format!("cannot lock {name}");
    if !flock_within(&file, FlockOperation::NonBlockingLockExclusive, PROBE).explain(wrong)? {
        return Ok(None);
    }
    let lock = Lock { file, name: name.to_owned(), path: state.path().join(FOLDER).join(name) };
    lock.write(&format!("pid {}", std::process::id()))?;
    Ok(Some(lock))
}

/// Whether somebody holds the lock called `name` now. A name that is no plain file name is held by nobody.
pub(super) fn held(state: &StateDir, name: &str) -> Result<bool> {
    match plain(name).then(|| state.existing_in(FOLDER, name)).transpose()?.flatten() {
        Some(file) => Ok(!flock_within(&file, FlockOperation::NonBlockingLockShared, Duration::ZERO)
            .explain(|| format!("cannot look at the lock {name}"))?),
        None => Ok(false),
    }
}

/// The lock called `name` of a run that may be dead: taken if nobody holds it, `None` if somebody does.
pub(super) fn take_dead(state: &StateDir, name: &str) -> Result<Option<Lock>> {
    // Names come from the history here, which may have been edited by hand.
    if !plain(name) {
        return Err(Error::failed(format!("`{name}` in the history is not the name of a lock")));
    }
    take(state, name)
}

/// Removes the file of a run's own lock. A database's stays: were it removed, two processes could hold two files.
pub(super) fn discard(state: &StateDir, lock: &Lock) -> Result<()> {
    if lock.name.parse::<Name>().is_ok() {
        return Ok(());
    }
    state.remove_in(FOLDER, &lock.name)
}

impl Lock {
    /// What it locks: the name of a database or the id of a run.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Says for messages which run it is.
    pub(super) fn tell(&self, run: &RunId) -> Result<()> {
        self.write(&format!("pid {}, run {run}", std::process::id()))
    }

    fn write(&self, text: &str) -> Result<()> {
        let what = || format!("cannot write the lock {}", self.path.display());
        self.file.set_len(0).explain(what)?;
        self.file.write_all_at(text.as_bytes(), 0).explain(what)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Only the text: the lock itself goes with the descriptor. A text that stays is overwritten by the next holder.
        let _ = self.file.set_len(0);
    }
}

fn plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

/// Whether the lock could be had within `limit`.
pub(super) fn flock_within(file: &File, how: FlockOperation, limit: Duration) -> std::io::Result<bool> {
    let begin = Instant::now();
    loop {
        match flock(file, how) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) if begin.elapsed() < limit => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "flock(2) knows no limit and tells nobody that it is free"
                )]
                std::thread::sleep(PAUSE);
            }
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(e) => return Err(e.into()),
        }
    }
}

fn holder(state: &StateDir, name: &str) -> Option<String> {
    let mut text = String::new();
    state.existing_in(FOLDER, name).ok()??.take(MAX_CONTENT).read_to_string(&mut text).ok()?;
    Some(text)
}
