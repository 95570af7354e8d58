//! Old runs and events go, a few at a time; what tells where a database stands stays whatever its age.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::History;
use super::databases::lasting;
use crate::error::Result;

/// Rows that go in one transaction: others wait for the writer only for an instant.
const BATCH: i64 = 500;

impl History {
    /// Forgets runs that started and events that happened before `limit`. The newest good full and incremental backup of each
    /// database stay, its newest proof, its newest run by schedule, and what has no end. Gives how many runs went.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn forget_before(&self, limit: Timestamp) -> Result<u64> {
        let limit = limit.as_millisecond();
        let what = || "forget old runs".to_owned();
        let kept = Arc::new(self.call(what(), |writer| lasting(&writer.db))?);
        let (mut from, mut gone) = ((i64::MIN, 0), 0);
        loop {
            let kept = Arc::clone(&kept);
            let done = self.call(what(), move |writer| {
                // Should the power fail now they are forgotten the next time.
                writer.db.pragma_update(None, "synchronous", "NORMAL")?;
                batch(&mut writer.db, limit, from, &kept)
            })?;
            gone += done.gone;
            match done.last {
                Some(last) => from = last,
                None => break,
            }
        }
        loop {
            let deleted = self.call("forget old events".into(), move |writer| {
                writer.db.pragma_update(None, "synchronous", "NORMAL")?;
                let old = "DELETE FROM events WHERE n IN (SELECT n FROM events WHERE at < ?1 ORDER BY at, n LIMIT ?2)";
                writer.db.execute(old, params![limit, BATCH])
            })?;
            if deleted == 0 {
                return Ok(gone);
            }
        }
    }
}

struct Done {
    gone: u64,
    /// The start and number of the last run that was looked at; none at the end.
    last: Option<(i64, i64)>,
}

fn batch(db: &mut Connection, limit: i64, from: (i64, i64), kept: &HashSet<i64>) -> rusqlite::Result<Done> {
    let change = db.transaction()?;
    let old: Vec<(i64, i64, bool)> = change
        .prepare_cached(
            "SELECT started, n, outcome IS NOT NULL FROM runs WHERE started < ?1 AND (started, n) > (?2, ?3)
             ORDER BY started, n LIMIT ?4",
        )?
        .query_map(params![limit, from.0, from.1, BATCH], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut gone = 0;
    for (_, n, _) in old.iter().filter(|(_, n, ended)| *ended && !kept.contains(n)) {
        gone += change.prepare_cached("DELETE FROM runs WHERE n = ?1")?.execute([n])? as u64;
    }
    change.commit()?;
    Ok(Done { gone, last: old.last().map(|(started, n, _)| (*started, *n)) })
}
