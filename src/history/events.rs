//! What happened besides runs: events that somebody may be told of, and what people did.

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::Serialize;

use super::read::{maybe_word, time};
use super::{History, Reader};
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
}

impl History {
    /// Records something that happened. It is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub fn event(&self, entry: impl Into<Entry>) -> Result<()> {
        let entry = entry.into();
        self.durably(format!("record the event `{}`", entry.word), move |db| {
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
                entry.notice.map(|notice| notice.to_string()),
            ])?;
            Ok(())
        })
    }
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
