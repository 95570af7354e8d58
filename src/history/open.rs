//! The connection that writes: the file made, looked at before it is touched, moved aside if it is damaged.

use std::fs::File;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};

use super::StateDir;
use super::damage::{self, Damage, InUse};
use super::read::{BUSY_TIMEOUT, CACHE, FILE};
use super::schema::{self, Found};
use super::sql::{explain, is_damage};
use crate::error::{Explain, Result};
use crate::model::Clock;

/// Only one process at a time opens the history to write: while one turns on WAL mode SQLite refuses another at once, whatever
/// its busy timeout. Others wait as long as the returned file is held.
///
/// # Errors
/// The lock file cannot be made.
pub(super) fn one_at_a_time(state: &StateDir) -> Result<File> {
    let file = state.file("history.db.opening")?;
    let locked = flock(&file, FlockOperation::LockExclusive).map_err(std::io::Error::from);
    locked.explain(|| format!("cannot lock the history in {}", state.path().display()))?;
    Ok(file)
}

enum Opened {
    Sound(Connection),
    Damaged(String),
}

/// A connection to the history at `path`, whatever was there before; and what was moved aside for it.
pub(super) fn open_or_replace(
    state: &StateDir,
    path: &Path,
    in_use: &InUse,
    clock: &dyn Clock,
) -> Result<(Connection, Option<Damage>)> {
    if let Opened::Sound(db) = connect(state, path)? {
        return Ok((db, None));
    }
    let alone = in_use.alone()?;
    // Looked at again: somebody else may have moved it aside while we waited.
    let moved = match connect(state, path)? {
        Opened::Sound(_) => None,
        Opened::Damaged(why) if !alone => return Err(damage::in_use(path, &why)),
        Opened::Damaged(why) => Some(damage::move_aside(state, path, clock.now(), why)?),
    };
    in_use.share()?;
    match connect(state, path)? {
        Opened::Sound(db) => Ok((db, moved)),
        Opened::Damaged(why) => Err(damage::in_use(path, &why)),
    }
}

fn connect(state: &StateDir, path: &Path) -> Result<Opened> {
    // SQLite gives -wal and -shm the mode and, when root makes them, the owner of this file.
    state.make(FILE)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let look = || {
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        // A damaged file is kept as it was found, its -wal too.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let found = schema::look(&db, path)?;
        let wrong = if matches!(found, Found::Usable(_)) { damage::check(&db, path)? } else { None };
        if wrong.is_none() {
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            db.pragma_update(None, "foreign_keys", true)?;
            db.pragma_update(None, "cache_size", CACHE)?;
        }
        Ok((db, found, wrong))
    };
    match look() {
        Ok((_, Found::Foreign(error), _)) => Err(error),
        Ok((_, _, Some(why))) => Ok(Opened::Damaged(why)),
        Ok((db, _, None)) => Ok(Opened::Sound(db)),
        Err(e) if is_damage(&e) => Ok(Opened::Damaged(e.to_string())),
        Err(e) => Err(explain(path, format!("cannot open the history {}", path.display()), e)),
    }
}
