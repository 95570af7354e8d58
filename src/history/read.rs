//! Questions to the history, through a connection that cannot write.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::schema::{self, Found};
use super::sql::explain;
use super::{Level, Line, Run, StateDir, lock};
use crate::error::{Error, Kind, Result};
use crate::model::{Name, Outcome, RunId};

/// The name of the database below `state_dir`.
pub(super) const FILE: &str = "history.db";
/// How long one process waits for another that is writing (DESIGN section 5).
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// What a connection may keep in memory, as `PRAGMA cache_size` has it: 512 KiB. A daemon has it open for months and seldom asks.
pub(super) const CACHE: i32 = -512;

pub(super) const COLUMNS: &str = "id, kind, database, destinations, backup, started, ended, outcome, initiated_by, error, hint, \
                       plain_bytes, stored_bytes, tables, rows, notes, phases, lock, due, attempt";

/// Which runs are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this database only.
    pub database: Option<Name>,
}

/// Reads the history.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    db: Mutex<Connection>,
}

impl Reader {
    /// Opens the history of `state` for reading only; `None` if nothing was ever recorded.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or was written by a newer qbackd.
    pub fn open(state: &StateDir) -> Result<Option<Self>> {
        let path = state.path().join(FILE);
        // A file without content is a history whose first process died before it made the tables.
        match std::fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(meta) if meta.len() == 0 => return Ok(None),
            _ => {}
        }
        let reader = Self::connect(&path)?;
        let found = schema::look(&reader.db(), &path).map_err(|e| reader.explain("open the history", e))?;
        let version = match found {
            Found::Usable(version) => version,
            Found::Foreign(error) => return Err(error),
        };
        if version < schema::STEPS.len() {
            return Err(Error::failed(format!("the history {} was written by an older qbackd", path.display()))
                .hint("the next run brings it up to date"));
        }
        Ok(Some(reader))
    }

    /// A connection to a history that is known to be there and in order.
    pub(super) fn connect(path: &Path) -> Result<Self> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connect = || {
            let db = Connection::open_with_flags(path, flags)?;
            db.busy_timeout(BUSY_TIMEOUT)?;
            db.pragma_update(None, "cache_size", CACHE)?;
            Ok(db)
        };
        let db = connect().map_err(|e| explain(path, format!("cannot open the history {}", path.display()), e))?;
        Ok(Self { path: path.to_owned(), db: Mutex::new(db) })
    }

    /// The newest runs, newest first, at most `limit`.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn recent(&self, filter: &Filter, limit: usize) -> Result<Vec<Run>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        match &filter.database {
            Some(name) => self.runs(&recent_sql(filter), params![limit, name.as_str()]),
            None => self.runs(&recent_sql(filter), params![limit]),
        }
    }

    /// The run with this id, or the only one whose id begins so.
    ///
    /// # Errors
    /// Nothing or more than one thing answers to it, or the history cannot be read.
    pub fn run(&self, id_or_prefix: &str) -> Result<Run> {
        let mut found = self.runs(&by_prefix_sql(), params![id_or_prefix])?;
        if let Some(exact) = found.iter().position(|run| run.id.as_str() == id_or_prefix) {
            return Ok(found.swap_remove(exact));
        }
        match (found.pop(), found.is_empty()) {
            (Some(run), true) => Ok(run),
            (Some(_), false) => {
                Err(Error::new(Kind::NotFound, format!("more than one run begins with `{id_or_prefix}`"))
                    .hint("give more of the id; `qbackd history` lists them"))
            }
            (None, _) => Err(Error::new(Kind::NotFound, format!("no run begins with `{id_or_prefix}`"))
                .hint("`qbackd history` lists the runs")),
        }
    }

    /// What a run said, in order, from line number `after` + 1 on.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn lines(&self, run: &RunId, after: u64) -> Result<Vec<Line>> {
        let sql = "SELECT number, at, level, text FROM lines
                   WHERE run = (SELECT n FROM runs WHERE id = ?1) AND number > ?2 ORDER BY number";
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.query(sql, params![run.as_str(), after], |row| {
            Ok(Line {
                number: count(row, 0)?.unwrap_or_default(),
                at: time(row.get(1)?),
                level: Level::from_word(&row.get::<_, String>(2)?),
                text: row.get(3)?,
            })
        })
    }

    /// The runs without an end, newest first. [`Reader::alive`] tells those that run from those that died.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn running(&self) -> Result<Vec<Run>> {
        self.runs(&running_sql(), [])
    }

    /// Whether somebody works on this run now: it has no end and its lock is held.
    ///
    /// # Errors
    /// The lock cannot be looked at.
    pub fn alive(&self, state: &StateDir, run: &Run) -> Result<bool> {
        Ok(run.outcome.is_none() && lock::held(state, &run.lock)?)
    }

    /// The run as it stands: one that died has no end until somebody records it; what it is can be told already.
    ///
    /// # Errors
    /// The history or the lock cannot be read.
    pub fn settled(&self, state: &StateDir, mut run: Run) -> Result<Run> {
        if run.outcome.is_none() && !self.alive(state, &run)? {
            // It may have ended between the two looks.
            run = self.run(run.id.as_str())?;
            if run.outcome.is_none() {
                run.outcome = Some(Outcome::Interrupted);
                run.error = Some("its process died".into());
            }
        }
        Ok(run)
    }

    pub(super) fn runs(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Run>> {
        self.query(sql, params, run_of)
    }

    pub(super) fn query<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        each: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let db = self.db();
        let all = || db.prepare_cached(sql)?.query_map(params, each)?.collect::<rusqlite::Result<_>>();
        all().map_err(|e| self.explain("read the history", e))
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn explain(&self, what: &str, error: rusqlite::Error) -> Error {
        explain(&self.path, format!("cannot {what} {}", self.path.display()), error)
    }
}

/// The number of a run in the tables, if it is there.
pub(super) fn number_of(db: &Connection, run: &RunId) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT n FROM runs WHERE id = ?1")?.query_row([run.as_str()], |row| row.get(0)).optional()
}

fn recent_sql(filter: &Filter) -> String {
    let only = if filter.database.is_some() { "WHERE database = ?2" } else { "" };
    format!("SELECT {COLUMNS} FROM runs {only} ORDER BY started DESC, n DESC LIMIT ?1")
}

fn by_prefix_sql() -> String {
    // Three are enough to see that it is more than one; the exact id sorts first.
    format!("SELECT {COLUMNS} FROM runs WHERE id >= ?1 AND id < ?1 || char(1114111) ORDER BY id LIMIT 3")
}

fn running_sql() -> String {
    format!("SELECT {COLUMNS} FROM runs WHERE outcome IS NULL ORDER BY started DESC")
}

pub(super) fn run_of(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        id: RunId::from_text(row.get::<_, String>(0)?),
        kind: word(row, 1)?,
        database: word(row, 2)?,
        destinations: json(row, 3)?,
        backup: maybe_word(row, 4)?,
        started: time(row.get(5)?),
        ended: row.get::<_, Option<i64>>(6)?.map(time),
        outcome: maybe_word(row, 7)?,
        initiated_by: row.get(8)?,
        error: row.get(9)?,
        hint: row.get(10)?,
        plain_bytes: count(row, 11)?,
        stored_bytes: count(row, 12)?,
        tables: count(row, 13)?,
        rows: count(row, 14)?,
        notes: json(row, 15)?,
        phases: json(row, 16)?,
        lock: row.get(17)?,
        due: row.get::<_, Option<i64>>(18)?.map(time),
        attempt: row.get(19)?,
    })
}

pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.and_then(|n| u64::try_from(n).ok()))
}

pub(super) fn word<T: FromStr<Err: Into<Box<dyn std::error::Error + Send + Sync>>>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    maybe_word(row, column)?
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(column, Type::Null, FromSqlError::InvalidType.into()))
}

pub(super) fn maybe_word<T: FromStr<Err: Into<Box<dyn std::error::Error + Send + Sync>>>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let parse = |text: String| {
        text.parse().map_err(|e: T::Err| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, e.into()))
    };
    row.get::<_, Option<String>>(column)?.map(parse).transpose()
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(&row.get::<_, String>(column)?)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ToSql;

    /// What SQLite intends to do for a query over a history of 100,000 runs.
    fn plan(sql: &str, params: &[&dyn ToSql]) -> String {
        let mut db = Connection::open_in_memory().unwrap();
        schema::migrate(&mut db, Path::new("memory")).unwrap();
        db.execute_batch(
            "WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 100000)
             INSERT INTO runs (id, kind, database, destinations, started, ended, outcome, initiated_by, lock)
             SELECT 'r' || n, 'backup', 'db' || (n % 100), '[]', n, n, 'succeeded', 'test', 'x' FROM i; ANALYZE;",
        )
        .unwrap();
        let mut query = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = query.query_map(params, |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; ")
    }

    #[test]
    fn every_question_is_answered_from_an_index_and_nothing_is_sorted() {
        let all = Filter::default();
        let one = Filter { database: Some("db7".parse().unwrap()) };
        for (sql, params, index) in [
            (recent_sql(&all), &[&50i64 as &dyn ToSql] as &[&dyn ToSql], "USING INDEX runs_by_start"),
            (recent_sql(&one), &[&50i64, &"db7"], "USING INDEX runs_by_database (database=?)"),
            (by_prefix_sql(), &[&"r1"], "USING INDEX sqlite_autoindex_runs_1 (id>? AND id<?)"),
            (running_sql(), &[], "USING INDEX runs_running"),
        ] {
            let plan = plan(&sql, params);
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
    }
}
