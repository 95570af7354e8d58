//! What happened besides runs: events that somebody may be told of, and what people did.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::read::{maybe_word, time};
use super::{Filter, History, Reader};
use crate::error::Result;
use crate::model::{Name, Notice, RunId};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// When, to the millisecond.
    pub at: Timestamp,
    /// The word of an event (`failed`, `stale`), or of what somebody did (`pause`, `reload`).
    #[serde(rename = "event")]
    pub word: String,
    /// The database it is about.
    pub database: Option<Name>,
    /// The run it came of.
    pub run: Option<RunId>,
    /// Who did it; none for what happened by itself.
    pub who: Option<String>,
    /// All of it on one line.
    pub text: String,
    /// The notice, for an event.
    pub notice: Option<serde_json::Value>,
}

impl Entry {
    /// Something that `who` did.
    pub fn action(at: Timestamp, word: &str, database: Option<&Name>, who: &str, text: impl Into<String>) -> Self {
        Self {
            at,
            word: word.into(),
            database: database.cloned(),
            run: None,
            who: Some(who.into()),
            text: text.into(),
            notice: None,
        }
    }

    /// Something that happened by itself and is told nobody, but known.
    pub fn by_itself(at: Timestamp, word: &str, text: impl Into<String>) -> Self {
        Self { who: None, ..Self::action(at, word, None, "", text) }
    }

    /// Somebody asked for a run to stop. It is not made up for then ([`LastDue`](super::LastDue)).
    pub fn cancel(at: Timestamp, database: &Name, run: &RunId, who: &str) -> Self {
        let text = format!("the run {run} was cancelled");
        Self { run: Some(run.clone()), ..Self::action(at, "cancel", Some(database), who, text) }
    }
}

impl From<&Notice> for Entry {
    fn from(notice: &Notice) -> Self {
        Self {
            at: notice.at,
            word: notice.event.to_string(),
            database: notice.database.clone(),
            run: notice.run.clone(),
            who: None,
            text: notice.text.clone(),
            // A notice is texts and times, which always have a JSON form.
            notice: serde_json::to_value(notice).ok(),
        }
    }
}

/// Something that somebody did, besides the runs that they asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Grows with each.
    pub number: u64,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// What: `pause`, `reload`.
    #[serde(rename = "action")]
    pub word: String,
    /// To which database; none: to qbackd itself.
    pub database: Option<Name>,
    /// To which run.
    pub run: Option<RunId>,
    /// Who did it.
    pub who: String,
    /// What came of it, on one line, with the reason if one was given.
    pub text: String,
}

/// Which actions are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionFilter {
    /// Those on this database only.
    pub database: Option<Name>,
    /// Those at this time or later only.
    pub since: Option<Timestamp>,
    /// Those with a greater number only.
    pub after: u64,
}

/// Which events are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Those about this database only.
    pub database: Option<Name>,
    /// Those of this word only.
    pub word: Option<String>,
    /// Those at this time or later only.
    pub since: Option<Timestamp>,
}

impl Reader {
    /// The newest events, newest first, at most `limit`.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn events(&self, filter: &EventFilter, limit: usize) -> Result<Vec<Entry>> {
        let database = if filter.database.is_some() { "database = ?1" } else { "?1 IS NULL" };
        let sql = format!(
            "SELECT at, word, database, run, who, text, notice FROM events
             WHERE {database} AND (?2 IS NULL OR word = ?2) AND at >= ?3 ORDER BY at DESC, n DESC LIMIT ?4"
        );
        let since = filter.since.map_or(i64::MIN, Timestamp::as_millisecond);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.query(&sql, params![filter.database.as_ref().map(Name::as_str), filter.word, since, limit], entry_of)
    }

    /// What people did, newest first, at most `limit`.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn actions(&self, filter: &ActionFilter, limit: usize) -> Result<Vec<Action>> {
        let since = filter.since.map_or(i64::MIN, Timestamp::as_millisecond);
        let after = i64::try_from(filter.after).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let database = filter.database.as_ref().map(Name::as_str);
        self.query(&actions_sql(filter), params![database, since, after, limit], action_of)
    }

    /// Whether anything is recorded of what this lets through.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn knows(&self, filter: &Filter) -> Result<bool> {
        let done = ActionFilter { database: filter.database.clone(), ..ActionFilter::default() };
        Ok(!self.recent(filter, 1)?.is_empty() || !self.actions(&done, 1)?.is_empty())
    }
}

fn actions_sql(filter: &ActionFilter) -> String {
    let database = if filter.database.is_some() { "database = ?1" } else { "?1 IS NULL" };
    format!(
        "SELECT n, at, word, database, run, who, text FROM events
         WHERE who IS NOT NULL AND {database} AND at >= ?2 AND n > ?3 ORDER BY at DESC, n DESC LIMIT ?4"
    )
}

impl History {
    /// Records something that happened. It is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub fn event(&self, entry: impl Into<Entry>) -> Result<()> {
        let entry = entry.into();
        self.durably(format!("record the event `{}`", entry.word), move |db| add(db, &entry))
    }
}

pub(super) fn add(db: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO events (at, word, database, run, who, text, notice) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        entry.at.as_millisecond(),
        entry.word,
        entry.database.as_ref().map(Name::as_str),
        entry.run.as_ref().map(RunId::as_str),
        entry.who,
        entry.text,
        entry.notice.as_ref().map(ToString::to_string),
    ])?;
    Ok(())
}

fn entry_of(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        at: time(row.get(0)?),
        word: row.get(1)?,
        database: maybe_word(row, 2)?,
        run: row.get::<_, Option<String>>(3)?.map(RunId::from_text),
        who: row.get(4)?,
        text: row.get(5)?,
        notice: row.get::<_, Option<String>>(6)?.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn action_of(row: &Row<'_>) -> rusqlite::Result<Action> {
    Ok(Action {
        number: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
        at: time(row.get(1)?),
        word: row.get(2)?,
        database: maybe_word(row, 3)?,
        run: row.get::<_, Option<String>>(4)?.map(RunId::from_text),
        who: row.get(5)?,
        text: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection;

    use super::super::schema::migrate;
    use super::*;

    #[test]
    fn what_people_did_is_found_without_a_look_at_what_happened_by_itself() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, Path::new("memory")).unwrap();
        db.execute_batch(
            "WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 10000)
             INSERT INTO events (at, word, database, who, text)
             SELECT n, 'x', 'shop', CASE WHEN n % 100 = 0 THEN 'alice' END, 'x' FROM i; ANALYZE;",
        )
        .unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {}", actions_sql(&ActionFilter::default()));
        let plan: String = db.query_row(&sql, params![None::<String>, 0, 0, 50], |row| row.get(3)).unwrap();
        assert!(plan.contains("USING INDEX events_by_somebody (at>?)"), "{plan}");
    }
}
