//! What is known of each database between its runs: asked for one of them or for all at once, and changed.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::events;
use super::read::{COLUMNS, maybe_word, run_of, time, word};
use super::{Condition, Entry, History, Hold, LastDue, Newest, Pause, PausedBy, Reader, Run};
use crate::error::Result;
use crate::model::{BackupId, BackupType, Name, RunId};

const CONDITION: &str = "name, first_seen, failures, failing_since, paused, paused_by, paused_why, paused_tables, \
                         reminded, stale_told, hold, held, usual_since";

/// The conditions of the partial indexes of the schema; a question must repeat them word for word.
const GOOD: &str = "kind = 'backup' AND outcome = 'succeeded'";
const BAD: &str = "kind = 'backup' AND outcome IN ('failed', 'timed out')";
const PROOF: &str = "kind IN ('verify', 'restore', 'drill') AND outcome = 'succeeded'";
/// The outcome, but that a run which somebody cancelled is none to be made up for: the event of the cancel names it.
const SETTLED: &str = "CASE WHEN outcome = 'interrupted' AND EXISTS (SELECT 1 FROM events WHERE events.database = runs.database
         AND events.at >= runs.started AND events.word = 'cancel' AND events.run = runs.id) THEN 'skipped' ELSE outcome END";
/// Nothing else of a database is changed: somebody may have, meanwhile.
const TOLD: &str = "INSERT INTO databases (name, first_seen, stale_told, reminded) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (name) DO UPDATE SET stale_told = excluded.stale_told, reminded = excluded.reminded";
/// The beginning of the type in a backup's id, as the index has it.
const TYPE: &str = "substr(backup, 18, 4)";

impl Reader {
    /// What is known of a database; nothing if it was never seen.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn condition(&self, name: &Name) -> Result<Option<Condition>> {
        let sql = format!("SELECT {CONDITION} FROM databases WHERE name = ?1");
        Ok(self.query(&sql, [name.as_str()], condition_of)?.pop().map(|(_, condition)| condition))
    }

    /// What is known of every database that was ever seen.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn all_conditions(&self) -> Result<HashMap<Name, Condition>> {
        let all = self.query(&format!("SELECT {CONDITION} FROM databases"), [], condition_of)?;
        Ok(all.into_iter().collect())
    }

    /// The newest run of a database that was for an instant of its calendar. What a wrong clock made later than `believable`
    /// counts only if there is nothing else.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn last_due(&self, name: &Name, believable: Timestamp) -> Result<Option<LastDue>> {
        let until = |limit: Timestamp| -> Result<Option<LastDue>> {
            let found = self.query(&last_due_sql(true), params![name.as_str(), limit.as_millisecond()], last_due_of)?;
            Ok(found.into_iter().next().map(|(_, last)| last))
        };
        match until(Timestamp::MAX)? {
            Some(last) if last.due > believable => Ok(until(believable)?.or(Some(last))),
            last => Ok(last),
        }
    }

    /// The same for every database that had one, in one question, or in two.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn all_last_due(&self, believable: Timestamp) -> Result<HashMap<Name, LastDue>> {
        let until = |limit: Timestamp| self.query(&last_due_sql(false), [limit.as_millisecond()], last_due_of);
        let mut found: HashMap<Name, LastDue> = until(Timestamp::MAX)?.into_iter().collect();
        if found.values().any(|last| last.due > believable) {
            found.extend(until(believable)?);
        }
        Ok(found)
    }

    /// The newest runs of a database, by what they say about it.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn newest(&self, name: &Name) -> Result<Newest> {
        let mut found = Newest::default();
        for (sql, place) in newest_sql(true) {
            if let Some(run) = self.runs(&sql, [name.as_str()])?.pop() {
                *place(&mut found) = Some(run);
            }
        }
        Ok(found)
    }

    /// The same for every database, in four questions.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn all_newest(&self) -> Result<HashMap<Name, Newest>> {
        let mut found: HashMap<Name, Newest> = HashMap::new();
        for (sql, place) in newest_sql(false) {
            for run in self.runs(&sql, [])? {
                let newest = found.entry(run.database.clone()).or_default();
                *place(newest) = Some(run);
            }
        }
        Ok(found)
    }

    /// When the newest good backup of each database was published. Of thousands of runs nothing else is held.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn all_successes(&self) -> Result<HashMap<Name, Timestamp>> {
        let mut found: HashMap<Name, Timestamp> = HashMap::new();
        let [(full, _), (incremental, _), ..] = newest_sql(false);
        for sql in [full, incremental] {
            let short = |row: &Row<'_>| run_of(row).map(|run| (run.database, run.ended.unwrap_or(run.started)));
            for (name, at) in self.query(&sql, [], short)? {
                let last = found.entry(name).or_insert(at);
                *last = at.max(*last);
            }
        }
        Ok(found)
    }

    /// The newest good backups of one type that started before `before`, newest first, at most `limit`.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn good_backups(&self, name: &Name, kind: BackupType, before: Timestamp, limit: usize) -> Result<Vec<Run>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.runs(&good_sql(kind), params![name.as_str(), before.as_millisecond(), limit])
    }
}

impl History {
    /// Notes databases that were perhaps never seen before; those that were keep what is known of them.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub fn seen<'a>(&self, names: impl IntoIterator<Item = &'a Name>) -> Result<()> {
        let (names, now) = (names.into_iter().cloned().collect::<Vec<_>>(), self.now().as_millisecond());
        self.durably("record new databases".into(), move |db| {
            let change = db.unchecked_transaction()?;
            let mut add = change.prepare("INSERT OR IGNORE INTO databases (name, first_seen) VALUES (?1, ?2)")?;
            for name in names {
                add.execute(params![name.as_str(), now])?;
            }
            drop(add);
            change.commit()
        })
    }

    /// Changes what is known of a database, in one transaction: nobody else changes it in between. It is on the disk when
    /// this returns; nothing is written if `change` changes nothing.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub fn amend<T: Send + 'static>(
        &self,
        name: &Name,
        change: impl FnOnce(&mut Condition) -> T + Send + 'static,
    ) -> Result<T> {
        let (name, now) = (name.clone(), self.now());
        self.durably_at_once(format!("record the condition of {name}"), move |db| {
            let sql = format!("SELECT {CONDITION} FROM databases WHERE name = ?1");
            let before = db.query_row(&sql, [name.as_str()], condition_of).optional()?.map(|(_, known)| known);
            let mut after = before.clone().unwrap_or_else(|| Condition::new(now));
            let told = change(&mut after);
            if before.as_ref() != Some(&after) {
                write(db, &name, &after)?;
            }
            Ok(told)
        })
    }

    /// Records what people were told of databases, [`Condition::stale_told`] and [`Condition::reminded`], and the events that it
    /// was: all of it or nothing, in one transaction however many they are. It is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub fn told(&self, databases: Vec<(Name, Condition)>, events: Vec<Entry>) -> Result<()> {
        self.durably_at_once("record what people were told".into(), move |db| {
            let mut amend = db.prepare_cached(TOLD)?;
            for (name, known) in &databases {
                let [stale_told, reminded] =
                    [known.stale_told, known.reminded].map(|at| at.map(Timestamp::as_millisecond));
                amend.execute(params![name.as_str(), known.first_seen.as_millisecond(), stale_told, reminded])?;
            }
            events.iter().try_for_each(|event| events::add(db, event))
        })
    }
}

fn write(db: &Connection, name: &Name, condition: &Condition) -> rusqlite::Result<()> {
    let pause = condition.pause.as_ref();
    let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
    let places = (1..=13).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    db.prepare_cached(&format!("INSERT OR REPLACE INTO databases ({CONDITION}) VALUES ({places})"))?.execute(
        params![
            name.as_str(),
            condition.first_seen.as_millisecond(),
            condition.failures,
            ms(condition.failing_since),
            ms(pause.map(|pause| pause.at)),
            pause.map(|pause| pause.by.to_string()),
            pause.map(|pause| &pause.why),
            pause.and_then(|pause| pause.tables.as_ref()),
            ms(condition.reminded),
            ms(condition.stale_told),
            condition.hold.as_ref().map(|hold| hold.backup.as_str()),
            ms(condition.hold.as_ref().map(|hold| hold.since)),
            ms(condition.usual_since),
        ],
    )?;
    Ok(())
}

fn condition_of(row: &Row<'_>) -> rusqlite::Result<(Name, Condition)> {
    let at = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(time));
    let pause = match (at(4)?, row.get::<_, Option<String>>(5)?) {
        (Some(at), by) => Some(Pause {
            at,
            by: PausedBy::from_text(&by.unwrap_or_default()),
            why: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
            tables: row.get(7)?,
        }),
        (None, _) => None,
    };
    let hold = match (maybe_word::<BackupId>(row, 10)?, at(11)?) {
        (Some(backup), Some(since)) => Some(Hold { since, backup }),
        _ => None,
    };
    let condition = Condition {
        first_seen: time(row.get(1)?),
        failures: row.get(2)?,
        failing_since: at(3)?,
        pause,
        reminded: at(8)?,
        stale_told: at(9)?,
        hold,
        usual_since: at(12)?,
    };
    Ok((word(row, 0)?, condition))
}

fn last_due_of(row: &Row<'_>) -> rusqlite::Result<(Name, LastDue)> {
    let last = LastDue {
        due: time(row.get(1)?),
        attempt: row.get::<_, Option<u32>>(2)?.unwrap_or(1),
        outcome: maybe_word(row, 3)?,
        ended: row.get::<_, Option<i64>>(4)?.map(time),
        run: RunId::from_text(row.get::<_, String>(5)?),
    };
    Ok((word(row, 0)?, last))
}

/// The table of databases leads, so that each answer is one step in an index, however many runs there are.
fn per_database(columns: &str, only: &str, order: &str, one: bool) -> String {
    let which = if one { "WHERE name = ?1" } else { "" };
    format!(
        "SELECT {columns} FROM databases JOIN runs ON runs.n =
             (SELECT n FROM runs WHERE database = databases.name AND {only} ORDER BY {order} LIMIT 1) {which}"
    )
}

fn last_due_sql(one: bool) -> String {
    let columns = format!("name, due, attempt, {SETTLED}, ended, id");
    let only = format!("due IS NOT NULL AND due <= ?{}", if one { 2 } else { 1 });
    per_database(&columns, &only, "due DESC, attempt DESC, n DESC", one)
}

type Place = fn(&mut Newest) -> &mut Option<Run>;

fn newest_sql(one: bool) -> [(String, Place); 4] {
    let sql = |only: &str| per_database(COLUMNS, only, "started DESC, n DESC", one);
    [
        (sql(&format!("{TYPE} = 'full' AND {GOOD}")), |newest| &mut newest.full),
        (sql(&format!("{TYPE} = 'incr' AND {GOOD}")), |newest| &mut newest.incremental),
        (sql(BAD), |newest| &mut newest.failed),
        (sql(PROOF), |newest| &mut newest.proof),
    ]
}

fn good_sql(kind: BackupType) -> String {
    let word: String = kind.as_str().chars().take(4).collect();
    format!(
        "SELECT {COLUMNS} FROM runs WHERE database = ?1 AND {TYPE} = '{word}' AND {GOOD} AND started < ?2
         ORDER BY started DESC, n DESC LIMIT ?3"
    )
}

/// The runs that stay whatever their age: what status, catch-up and the alarms are told by.
pub(super) fn lasting(db: &Connection) -> rusqlite::Result<std::collections::HashSet<i64>> {
    let mut kept = std::collections::HashSet::new();
    let due = per_database("runs.n", "due IS NOT NULL", "due DESC, attempt DESC, n DESC", false);
    let newest = [&format!("{TYPE} = 'full' AND {GOOD}"), &format!("{TYPE} = 'incr' AND {GOOD}"), PROOF]
        .map(|only| per_database("runs.n", only, "started DESC, n DESC", false));
    for sql in newest.iter().chain([&due]) {
        let mut query = db.prepare(sql)?;
        for n in query.query_map(params_from_iter([0i64; 0]), |row| row.get(0))? {
            kept.insert(n?);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn every_question_about_databases_is_one_step_in_an_index_for_each() {
        let mut db = Connection::open_in_memory().unwrap();
        schema::migrate(&mut db, std::path::Path::new("memory")).unwrap();
        db.execute_batch(
            "WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 20000)
             INSERT INTO runs (id, kind, database, destinations, started, ended, outcome, initiated_by, lock, due, attempt, backup)
             SELECT 'r' || n, 'backup', 'db' || (n % 100), '[]', n, n, 'succeeded', 't', 'x', n, 1,
                    '20261120T020000Z-full-k3f9x2ab' FROM i; ANALYZE;",
        )
        .unwrap();
        let mut questions = vec![(last_due_sql(true), "runs_by_due"), (last_due_sql(false), "runs_by_due")];
        for one in [true, false] {
            let indexes = ["runs_good", "runs_good", "runs_bad", "runs_proofs"];
            questions.extend(newest_sql(one).into_iter().map(|(sql, _)| sql).zip(indexes));
        }
        questions.push((good_sql(BackupType::Full), "runs_good"));
        for (sql, index) in questions {
            let mut query = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let count = query.parameter_count();
            let params = ["db7", "9999", "10"].into_iter().take(count);
            let steps = query.query_map(params_from_iter(params), |row| row.get::<_, String>(3)).unwrap();
            let plan = steps.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; ");
            assert!(
                plan.contains(index) && !plan.contains("TEMP B-TREE") && !plan.contains("SCAN runs"),
                "{sql}\n{plan}"
            );
        }
    }
}
