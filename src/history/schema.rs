//! The tables, version by version. A step that was released is never edited; a change is a new step at the end.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::sql::explain;
use crate::error::{Error, Kind, Result};

/// `PRAGMA application_id` of a history: "qbkd". It tells our file from any other SQLite database.
pub(super) const APPLICATION_ID: i32 = 0x7162_6b64;

/// Step N brings `PRAGMA user_version` from N-1 to N. Times are milliseconds since 1970 UTC, lists are JSON.
pub(super) const STEPS: &[&str] = &[
    // 1: the runs
    "CREATE TABLE runs (
        n            INTEGER PRIMARY KEY,
        id           TEXT NOT NULL UNIQUE,
        kind         TEXT NOT NULL,
        database     TEXT NOT NULL,
        destinations TEXT NOT NULL,
        backup       TEXT,
        started      INTEGER NOT NULL,
        ended        INTEGER,
        outcome      TEXT,
        initiated_by TEXT NOT NULL,
        error        TEXT,
        hint         TEXT,
        plain_bytes  INTEGER,
        stored_bytes INTEGER,
        tables       INTEGER,
        rows         INTEGER,
        notes        TEXT NOT NULL DEFAULT '[]',
        phases       TEXT NOT NULL DEFAULT '[]',
        lock         TEXT NOT NULL
    ) STRICT;
    CREATE INDEX runs_by_start ON runs (started, n);
    CREATE INDEX runs_by_database ON runs (database, started, n);
    CREATE INDEX runs_running ON runs (started) WHERE outcome IS NULL;",
    // 2: what each run said
    "CREATE TABLE lines (
        run    INTEGER NOT NULL REFERENCES runs (n) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        at     INTEGER NOT NULL,
        level  TEXT NOT NULL,
        text   TEXT NOT NULL,
        PRIMARY KEY (run, number)
    ) STRICT, WITHOUT ROWID;",
    // 3: what a run was due for; what is known of each database between its runs; events. The type of a backup is in its id.
    "ALTER TABLE runs ADD COLUMN due INTEGER;
    ALTER TABLE runs ADD COLUMN attempt INTEGER;
    CREATE INDEX runs_by_due ON runs (database, due, attempt, n) WHERE due IS NOT NULL;
    CREATE INDEX runs_good ON runs (database, substr(backup, 18, 4), started, n)
        WHERE kind = 'backup' AND outcome = 'succeeded';
    CREATE INDEX runs_bad ON runs (database, started, n)
        WHERE kind = 'backup' AND outcome IN ('failed', 'timed out');
    CREATE INDEX runs_proofs ON runs (database, started, n)
        WHERE kind IN ('verify', 'restore', 'drill') AND outcome = 'succeeded';
    CREATE TABLE databases (
        name          TEXT PRIMARY KEY,
        first_seen    INTEGER NOT NULL,
        failures      INTEGER NOT NULL DEFAULT 0,
        failing_since INTEGER,
        paused        INTEGER,
        paused_by     TEXT,
        paused_why    TEXT,
        paused_tables TEXT,
        reminded      INTEGER,
        stale_told    INTEGER,
        hold          TEXT,
        held          INTEGER,
        usual_since   INTEGER
    ) STRICT, WITHOUT ROWID;
    INSERT INTO databases (name, first_seen) SELECT database, min(started) FROM runs GROUP BY database;
    CREATE TRIGGER runs_are_of_known_databases AFTER INSERT ON runs BEGIN
        INSERT OR IGNORE INTO databases (name, first_seen) VALUES (new.database, new.started);
    END;
    CREATE TABLE events (
        n        INTEGER PRIMARY KEY,
        at       INTEGER NOT NULL,
        word     TEXT NOT NULL,
        database TEXT,
        run      TEXT,
        who      TEXT,
        text     TEXT NOT NULL,
        notice   TEXT
    ) STRICT;
    CREATE INDEX events_by_time ON events (at, n);
    CREATE INDEX events_by_database ON events (database, at, n);",
    // 4: what people did is found among what happened by itself
    "UPDATE events SET who = NULL WHERE word IN ('daily', 'space-again');
    CREATE INDEX events_by_somebody ON events (at, n) WHERE who IS NOT NULL;",
];

/// What a file says about itself, read without changing it.
pub(super) enum Found {
    /// One of ours at this version, which we know; 0 is an empty database.
    Usable(usize),
    /// One that must not be touched, and why.
    Foreign(Error),
}

/// Looks at a database before anything is written to it.
pub(super) fn look(db: &Connection, path: &Path) -> rusqlite::Result<Found> {
    let version = user_version(db)?;
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let objects: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let ours = application == APPLICATION_ID || (application == 0 && version == 0 && objects == 0);
    let latest = STEPS.len();
    let known = usize::try_from(version).ok().filter(|v| *v <= latest);
    Ok(if !ours {
        Found::Foreign(
            Error::failed(format!("{} is not a history of qbackd but another SQLite database", path.display()))
                .hint("move it away, or set state_dir in [daemon]"),
        )
    } else if let Some(version) = known {
        Found::Usable(version)
    } else {
        Found::Foreign(
            Error::new(Kind::Unavailable, format!("the history {} was written by a newer qbackd", path.display()))
                .because(format!("it has version {version}, this program knows {latest}"))
                .hint("install that version again; the file was not touched"),
        )
    })
}

/// Brings the tables to the newest version, one transaction a step. Two processes may try at once.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<()> {
    let what = |step: usize| format!("cannot bring the history {} to version {step}", path.display());
    for (index, sql) in STEPS.iter().enumerate() {
        let step = index + 1;
        let mut apply = || -> rusqlite::Result<()> {
            if user_version(db)? >= step as i64 {
                return Ok(());
            }
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Asked again under the write lock: the other process may have been faster.
            if user_version(&change)? < step as i64 {
                change.execute_batch(sql)?;
                change.pragma_update(None, "application_id", APPLICATION_ID)?;
                change.pragma_update(None, "user_version", step as i64)?;
            }
            change.commit()
        };
        apply().map_err(|e| explain(path, what(step), e))?;
    }
    Ok(())
}

fn user_version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}
