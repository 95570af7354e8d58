//! How the backups of every database ended in a length of time.

use jiff::Timestamp;
use rusqlite::params;

use super::Reader;
use super::read::word;
use crate::error::Result;
use crate::model::Name;

/// How the backups of one database ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The database.
    pub database: Name,
    /// Runs that left a backup.
    pub succeeded: u64,
    /// Runs that failed or took too long; each attempt is one.
    pub failed: u64,
    /// What the good ones take at the destination.
    pub stored_bytes: u64,
}

const SQL: &str = "SELECT database, sum(outcome = 'succeeded'), sum(outcome IN ('failed', 'timed out')),
        sum(CASE outcome WHEN 'succeeded' THEN coalesce(stored_bytes, 0) ELSE 0 END)
    FROM runs INDEXED BY runs_by_start
    WHERE started >= ?1 AND started < ?2 AND kind = 'backup' AND outcome IS NOT NULL GROUP BY database";

impl Reader {
    /// The tally of every database that had a backup run that started between the two.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn tally(&self, since: Timestamp, until: Timestamp) -> Result<Vec<Tally>> {
        self.query(SQL, params![since.as_millisecond(), until.as_millisecond()], |row| {
            let count = |column| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
            Ok(Tally { database: word(row, 0)?, succeeded: count(1)?, failed: count(2)?, stored_bytes: count(3)? })
        })
    }
}
