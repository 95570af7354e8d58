//! A history that is damaged: found cheaply, moved aside, never mended and never deleted.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};

use super::StateDir;
use super::lock::flock_within;
use super::sql::suspicion;
use crate::error::{Error, Explain, Kind, Result, from_io};
use crate::model::stamp::compact;

/// Up to this many bytes the whole file is checked at every opening; beyond that only when damage was met before.
const SMALL: u64 = 4 << 20;
/// How long those who are just leaving are waited for.
const LEAVING: Duration = Duration::from_secs(1);

/// What was found damaged, and where it is now. A new history was begun in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where the damaged file was moved to; its `-wal` and `-shm` lie beside it.
    pub moved_to: PathBuf,
    /// What SQLite said about it.
    pub why: String,
}

/// Reads the whole file if that is cheap or called for. Gives what is wrong with it.
pub(super) fn check(db: &Connection, path: &Path) -> rusqlite::Result<Option<String>> {
    let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= SMALL);
    let mark = suspicion(path);
    let suspect = mark.exists();
    if !small && !suspect {
        return Ok(None);
    }
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(Some(verdict));
    }
    if suspect {
        // If it stays, the next opening reads the file once more.
        let _ = std::fs::remove_file(mark);
    }
    Ok(None)
}

/// Everybody who has the history open holds this one shared; whoever moves it aside must be alone.
#[derive(Debug)]
pub(super) struct InUse(File);

impl InUse {
    /// Joins those who have the history open; waits while one of them moves it aside.
    pub(super) fn join(state: &StateDir) -> Result<Self> {
        let file = state.file("history.db.lock")?;
        flock(&file, FlockOperation::LockShared)
            .map_err(|e| from_io(format!("cannot lock the history in {}", state.path().display()), e.into()))?;
        Ok(Self(file))
    }

    /// Whether nobody else has it open; waits a second for those who are just leaving.
    pub(super) fn alone(&self) -> Result<bool> {
        flock_within(&self.0, FlockOperation::NonBlockingLockExclusive, LEAVING).explain(|| "cannot lock the history")
    }

    /// Lets others in again, after [`InUse::alone`] said either.
    pub(super) fn share(&self) -> Result<()> {
        flock(&self.0, FlockOperation::LockShared).map_err(|e| from_io("cannot lock the history", e.into()))
    }
}

/// The error for a damaged history that somebody else has open.
pub(super) fn in_use(path: &Path, why: &str) -> Error {
    Error::new(Kind::TryAgain, format!("the history {} is damaged", path.display()))
        .because(why.to_owned())
        .hint("another process has it open; stop that one, then the next run moves the file aside")
}

/// Moves the database with its companions aside.
pub(super) fn move_aside(state: &StateDir, path: &Path, now: Timestamp, why: String) -> Result<Damage> {
    let base = format!("{}.damaged-{}", path.display(), compact(now));
    // Two in one second happen to nobody but must not overwrite each other.
    let free = |base: &String| !Path::new(base).exists();
    let target = std::iter::once(base.clone()).chain((2..).map(|n| format!("{base}.{n}"))).find(free).unwrap_or(base);
    for end in ["-wal", "-shm", ""] {
        let from = format!("{}{end}", path.display());
        match std::fs::rename(&from, format!("{target}{end}")) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            moved => moved.explain(|| format!("cannot move the damaged history {from} aside"))?,
        }
    }
    let _ = std::fs::remove_file(suspicion(path));
    state.sync()?;
    Ok(Damage { moved_to: PathBuf::from(target), why })
}
