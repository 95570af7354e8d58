//! The history as a stream: the runs that were, then each that starts or ends; of one run, its lines.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{MissedTickBehavior, interval};

use super::control::{Caller, Entry};
use super::ground::Ground;
use crate::control;
use crate::error::{Error, Kind, Result};
use crate::history::{Filter, History, Run, StateDir};

/// How often a stream looks for what is new.
const LOOK: Duration = Duration::from_millis(500);
/// More runs than this do not start or end between two looks.
const WITHIN_ONE_LOOK: usize = 100;
/// What waits for a reader who is slow.
const WAITING: usize = 64;

/// What is asked for.
enum Subject {
    Runs(Filter),
    One(Box<Run>),
}

/// Begins a stream.
///
/// # Errors
/// Nothing answers to what is asked for, or the caller may not see it.
pub(super) fn follow(ground: &Ground, ask: control::History, by: Caller) -> Result<Receiver<Result<Entry>>> {
    by.may_any("see the history")?;
    let book = Book { history: Arc::clone(&ground.history), state: Arc::clone(&ground.state) };
    let subject = subject(&book.history, ask.what.as_deref())?;
    match &subject {
        Subject::Runs(Filter { database: Some(name) }) => by.may(name)?,
        Subject::One(run) => by.may(&run.database)?,
        Subject::Runs(_) => {}
    }
    let (to, stream) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let told = match subject {
            Subject::Runs(filter) => book.runs(&filter, &ask, &by, &to).await,
            Subject::One(run) => book.one(*run, &ask, &to).await,
        };
        if let Err(e) = told {
            // A reader who is gone does not want to know.
            let _ = to.send(Err(e)).await;
        }
    });
    Ok(stream)
}

/// A word can be both: a database may be called `2026`. What has runs wins.
fn subject(history: &History, what: Option<&str>) -> Result<Subject> {
    let Some(what) = what else { return Ok(Subject::Runs(Filter::default())) };
    if let Ok(name) = what.parse() {
        let filter = Filter { database: Some(name) };
        if !history.read().recent(&filter, 1)?.is_empty() {
            return Ok(Subject::Runs(filter));
        }
    }
    match history.read().run(what) {
        Ok(run) => Ok(Subject::One(Box::new(run))),
        Err(e) if e.kind() == Kind::NotFound && !e.line().contains("more than one") => {
            let what = format!("no run of a database `{what}` is recorded, and no run begins so");
            Err(Error::new(Kind::NotFound, what).hint("`qbackd history` lists the runs"))
        }
        Err(e) => Err(e),
    }
}

/// The history, and the locks that tell which runs live.
struct Book {
    history: Arc<History>,
    state: Arc<StateDir>,
}

impl Book {
    async fn runs(
        &self,
        filter: &Filter,
        ask: &control::History,
        by: &Caller,
        to: &Sender<Result<Entry>>,
    ) -> Result<()> {
        let reader = self.history.read();
        let (mut shown, mut wanted, mut looks) = (HashSet::new(), ask.count, looks());
        loop {
            looks.tick().await;
            for run in reader.recent(filter, wanted)?.into_iter().rev() {
                let run = reader.settled(&self.state, run)?;
                let new = shown.insert((run.id.clone(), run.outcome.is_some()));
                if new && by.may(&run.database).is_ok() && to.send(Ok(Entry::Run(run))).await.is_err() {
                    return Ok(());
                }
            }
            if !ask.follow || to.is_closed() {
                return Ok(());
            }
            wanted = WITHIN_ONE_LOOK;
        }
    }

    /// The run, its lines, and if it is followed once more the run when it has ended.
    async fn one(&self, run: Run, ask: &control::History, to: &Sender<Result<Entry>>) -> Result<()> {
        let reader = self.history.read();
        let (mut last, mut looks) = (0, looks());
        let id = run.id.clone();
        if to.send(Ok(Entry::Run(reader.settled(&self.state, run)?))).await.is_err() {
            return Ok(());
        }
        loop {
            looks.tick().await;
            // Asked before the lines: what an ended run said is all there.
            let now = reader.settled(&self.state, reader.run(id.as_str())?)?;
            for line in reader.lines(&id, last)? {
                last = line.number;
                if to.send(Ok(Entry::Line(line))).await.is_err() {
                    return Ok(());
                }
            }
            if !ask.follow || to.is_closed() {
                return Ok(());
            }
            if now.outcome.is_some() {
                // A reader who is gone does not want to know.
                let _ = to.send(Ok(Entry::Run(now))).await;
                return Ok(());
            }
        }
    }
}

fn looks() -> tokio::time::Interval {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}
