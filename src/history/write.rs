//! Writing to the history: one thread owns the connection and does one short transaction after the other.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use super::damage::{Damage, InUse};
use super::open::{one_at_a_time, open_or_replace};
use super::read::{FILE, number_of};
use super::schema;
use super::sql::explain;
use super::{Ending, Level, Lock, NewRun, Reader, Run, StateDir, lock};
use crate::error::{DEFECT, Error, Result, from_io};
use crate::model::{BackupId, Clock, Outcome, RunId};

const DEAD: &str = "the process that ran it ended without a word: a crash, a kill or a loss of power";

/// The history, open for writing. What [`begin`](History::begin) and [`finish`](History::finish) return for survives a
/// loss of power; dropping it waits for the lines that are still on their way.
pub struct History {
    state: Arc<StateDir>,
    host: String,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    // Closed before the writer: whoever closes last takes the log over into the file, and who only reads cannot.
    reader: Reader,
    writer: Thread,
    /// The runs this process began and did not end, with their own locks where they have one.
    live: Mutex<HashMap<RunId, Option<Lock>>>,
    _in_use: InUse,
}

type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// The thread that writes. Dropping it waits until all jobs are done and the file is closed.
struct Thread {
    jobs: Option<mpsc::Sender<Job>>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(handle) = self.handle.take() {
            // A panic in there was printed; there is nobody to tell here.
            let _ = handle.join();
        }
    }
}

/// What the thread owns.
pub(super) struct Writer {
    pub(super) db: Connection,
    /// Lines that could not be written, by run: how many, and why the first one.
    lost: HashMap<RunId, (u64, String)>,
}

impl History {
    /// Opens the history in `state`, new or brought to the newest version. `host` becomes part of the ids of runs. A
    /// damaged file is moved aside and a new one begun; that is told beside the history.
    ///
    /// # Errors
    /// It cannot be written, was written by a newer qbackd, is no history, or is damaged while somebody else has it open.
    pub fn open(state: Arc<StateDir>, host: &str, clock: Arc<dyn Clock>) -> Result<(Self, Option<Damage>)> {
        let path = state.path().join(FILE);
        let opening = one_at_a_time(&state)?;
        let in_use = InUse::join(&state)?;
        let (mut db, damage) = open_or_replace(&state, &path, &in_use, clock.as_ref())?;
        let what = || format!("cannot open the history {}", path.display());
        // In WAL mode readers never wait for the writer, and the writer not for them.
        db.pragma_update(None, "journal_mode", "WAL").map_err(|e| explain(&path, what(), e))?;
        schema::migrate(&mut db, &path)?;
        drop(opening);
        let reader = Reader::connect(&path)?;
        let (jobs, inbox) = mpsc::channel::<Job>();
        let mut writer = Writer { db, lost: HashMap::new() };
        let handle = std::thread::Builder::new()
            .name("history".into())
            .spawn(move || inbox.iter().for_each(|job| work(job, &mut writer)))
            .map_err(|e| from_io("cannot start the history's thread", e))?;
        let history = Self {
            state,
            host: host.to_owned(),
            clock,
            path,
            reader,
            writer: Thread { jobs: Some(jobs), handle: Some(handle) },
            live: Mutex::default(),
            _in_use: in_use,
        };
        Ok((history, damage))
    }

    /// The same history for questions.
    pub fn read(&self) -> &Reader {
        &self.reader
    }

    /// Records that a run starts, before anything of it can fail. A run that keeps others away from its database comes
    /// with that database's `lock`, which must be held until [`finish`](History::finish); any other gets a lock of its
    /// own, so that its death can be noticed.
    ///
    /// # Errors
    /// It cannot be recorded; then the run must not start.
    pub fn begin(&self, new: NewRun, lock: Option<&Lock>) -> Result<RunId> {
        let now = self.clock.now();
        let id = new.id.clone().unwrap_or_else(|| RunId::new(now, &self.host));
        let own = match lock {
            Some(_) => None,
            None => lock::take(&self.state, id.as_str())?,
        };
        let held =
            lock.or(own.as_ref()).ok_or_else(|| Error::failed(format!("the lock of the new run {id} is taken")))?;
        held.tell(&id)?;
        let (run, lock_name) = (id.clone(), held.name().to_owned());
        let recorded = self.durably(format!("record the start of a run of {}", new.database), move |db| {
            db.execute(
                "INSERT INTO runs (id, kind, database, destinations, backup, started, initiated_by, lock, due, attempt)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    run.as_str(),
                    new.kind.as_str(),
                    new.database.as_str(),
                    json(&new.destinations),
                    new.backup.as_ref().map(BackupId::as_str),
                    now.as_millisecond(),
                    new.initiated_by,
                    lock_name,
                    new.due.map(Timestamp::as_millisecond),
                    new.attempt
                ],
            )
        });
        match recorded {
            Ok(_) => {
                self.live().insert(id.clone(), own);
                Ok(id)
            }
            Err(error) => {
                if let Some(own) = own {
                    lock::discard(&self.state, &own)?;
                }
                Err(error)
            }
        }
    }

    /// Notes a line of a run. Does not wait for the disk; a line that cannot be written is counted at the end of the run.
    pub fn line(&self, run: &RunId, level: Level, text: impl Into<String>) {
        let (run, text, at) = (run.clone(), text.into(), self.clock.now().as_millisecond());
        self.post(Box::new(move |writer| {
            let added = writer.db.pragma_update(None, "synchronous", "NORMAL");
            if let Err(e) = added.and_then(|()| add_line(&writer.db, &run, at, level, &text)) {
                writer.lost.entry(run).or_insert_with(|| (0, e.to_string())).0 += 1;
            }
        }));
    }

    /// Adds a remark for people to a run, whether it has ended or not. It is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub fn note(&self, run: &RunId, text: impl Into<String>) -> Result<()> {
        let (id, text) = (run.clone(), text.into());
        let add = "UPDATE runs SET notes = json_insert(notes, '$[#]', ?2) WHERE id = ?1";
        self.durably(format!("add a note to run {run}"), move |db| db.execute(add, params![id.as_str(), text]))
            .map(drop)
    }

    /// Records how a run ended. It is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be recorded, or the run has an end already.
    pub fn finish(&self, run: &RunId, ending: Ending) -> Result<()> {
        let own = self.live().remove(run).flatten();
        let ended = self.end(run, ending);
        if let Some(own) = own {
            lock::discard(&self.state, &own)?;
        }
        if ended? { Ok(()) } else { Err(Error::failed(format!("run {run} has an end already, or was never begun"))) }
    }

    /// Ends the runs whose process died: those without an end whose lock nobody holds, and all those of `mine`, the
    /// lock of a database the caller took and has begun no run with yet. Gives them, so that what they left at a
    /// destination can be swept.
    ///
    /// # Errors
    /// The history or a lock cannot be used.
    pub fn recover(&self, mine: Option<&Lock>) -> Result<Vec<Run>> {
        let mut dead = Vec::new();
        for run in self.reader.running()? {
            if self.live().contains_key(&run.id) {
                continue;
            }
            // Held until the end is recorded, so that nobody starts in between.
            let taken = match mine {
                Some(mine) if mine.name() == run.lock => None,
                _ => match lock::take_dead(&self.state, &run.lock)? {
                    Some(taken) => Some(taken),
                    None => continue,
                },
            };
            // It may have ended by itself since the list was made.
            if self.mark_dead(&run.id)? {
                dead.push(self.reader.run(run.id.as_str())?);
            }
            if let Some(taken) = taken {
                lock::discard(&self.state, &taken)?;
            }
        }
        Ok(dead)
    }

    /// Records that a run's process died. `false` if the run has an end already.
    fn mark_dead(&self, run: &RunId) -> Result<bool> {
        self.end(run, Ending { error: Some(DEAD.into()), ..Ending::new(Outcome::Interrupted) })
    }

    fn end(&self, run: &RunId, ending: Ending) -> Result<bool> {
        let (id, now) = (run.clone(), self.clock.now().as_millisecond());
        self.call(format!("record the end of run {run}"), move |writer| {
            writer.db.pragma_update(None, "synchronous", "FULL")?;
            let change = writer.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if let Some((count, why)) = writer.lost.remove(&id) {
                add_line(&change, &id, now, Level::Warning, &format!("{count} lines could not be recorded: {why}"))?;
            }
            let ended = change.execute(
                "UPDATE runs SET ended = ?2, outcome = ?3, backup = coalesce(?4, backup), error = ?5, hint = ?6,
                     plain_bytes = ?7, stored_bytes = ?8, tables = ?9, rows = ?10, phases = ?12,
                     notes = (SELECT json_group_array(value) FROM
                         (SELECT value FROM json_each(notes) UNION ALL SELECT value FROM json_each(?11)))
                 WHERE id = ?1 AND outcome IS NULL",
                params![
                    id.as_str(),
                    now,
                    ending.outcome.as_str(),
                    ending.backup.as_ref().map(BackupId::as_str),
                    ending.error,
                    ending.hint,
                    count(ending.plain_bytes),
                    count(ending.stored_bytes),
                    count(ending.tables),
                    count(ending.rows),
                    json(&ending.notes),
                    json(&ending.phases)
                ],
            )?;
            change.commit()?;
            Ok(ended == 1)
        })
    }

    /// The time, as everything that is recorded has it.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// One statement that is on the disk when this returns.
    pub(super) fn durably<T: Send + 'static>(
        &self,
        what: String,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.call(what, |writer| {
            // A commit in WAL mode is synced at FULL only.
            writer.db.pragma_update(None, "synchronous", "FULL")?;
            work(&writer.db)
        })
    }

    /// The same in one transaction: nobody else writes in between, and all of it is recorded or nothing.
    pub(super) fn durably_at_once<T: Send + 'static>(
        &self,
        what: String,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.call(what, |writer| {
            writer.db.pragma_update(None, "synchronous", "FULL")?;
            let transaction = writer.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
    }

    /// Has the writer do something and waits for it.
    pub(super) fn call<T: Send + 'static>(
        &self,
        what: String,
        work: impl FnOnce(&mut Writer) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.post(Box::new(move |writer| {
            // Nobody listening any more means that the caller is gone.
            let _ = reply.send(work(writer));
        }));
        let what = format!("cannot {what} in {}", self.path.display());
        match answer.recv() {
            Ok(done) => done.map_err(|e| explain(&self.path, what, e)),
            Err(_) => Err(Error::failed(what).because("the history's thread panicked").hint(DEFECT)),
        }
    }

    fn post(&self, job: Job) {
        if let Some(jobs) = &self.writer.jobs {
            // A job that is lost shows in the answer that never comes.
            let _ = jobs.send(job);
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<RunId, Option<Lock>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One job that panics must not be the end of all recording; what it had begun is rolled back.
fn work(job: Job, writer: &mut Writer) {
    if catch_unwind(AssertUnwindSafe(|| job(writer))).is_err() {
        tracing::error!("the history's thread panicked over one job and goes on: {DEFECT}");
    }
}

fn add_line(db: &Connection, run: &RunId, at: i64, level: Level, text: &str) -> rusqlite::Result<()> {
    let n = number_of(db, run)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    db.prepare_cached(
        "INSERT INTO lines (run, number, at, level, text)
         VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM lines WHERE run = ?1), ?2, ?3, ?4)",
    )?
    .execute(params![n, at, level.as_str(), text])?;
    Ok(())
}

fn count(n: Option<u64>) -> Option<i64> {
    n.and_then(|n| i64::try_from(n).ok())
}

fn json(list: &impl serde::Serialize) -> String {
    // A list of texts and numbers always has a JSON form.
    serde_json::to_string(list).unwrap_or_else(|_| "[]".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FixedClock;

    #[test]
    fn the_thread_outlives_a_job_that_panics_and_nothing_of_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state = Arc::new(StateDir::prepare(&dir.path().join("state")).unwrap());
        let clock = Arc::new(FixedClock::new(Timestamp::UNIX_EPOCH));
        let (history, _) = History::open(state, "db1", clock).unwrap();
        let add = "INSERT INTO databases (name, first_seen) VALUES ('shop', 0)";
        let broken = history.call("break".into(), move |writer| -> rusqlite::Result<()> {
            let change = writer.db.transaction()?;
            change.execute(add, [])?;
            panic!("a defect");
        });
        let said = broken.unwrap_err().line();
        assert!(said.contains("cannot break in ") && said.contains("panicked"), "{said}");
        assert_eq!(history.read().all_conditions().unwrap().len(), 0);
        history.durably("go on".into(), move |db| db.execute(add, [])).unwrap();
        assert_eq!(history.read().all_conditions().unwrap().len(), 1);
    }
}
