//! The history as a stream: the runs that were and what people did among them, then what is added; of one run, its lines.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{MissedTickBehavior, interval};

use super::control::{Caller, Entry};
use super::ground::Ground;
use crate::control;
use crate::error::{Error, Kind, Result};
use crate::history::{Filter, History, Item, Run, StateDir};

/// How often a stream looks for what is new.
const LOOK: Duration = Duration::from_millis(500);
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

/// A word can be both: a database may be called `2026`. What something is recorded of wins.
fn subject(history: &History, what: Option<&str>) -> Result<Subject> {
    let Some(what) = what else { return Ok(Subject::Runs(Filter::default())) };
    if let Ok(name) = what.parse() {
        let filter = Filter { database: Some(name) };
        if history.read().knows(&filter)? {
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
        let (reader, mut looks) = (self.history.read(), looks());
        let mut seen = reader.seen(&self.state, filter)?;
        let mut items = reader.page(&self.state, &visible(filter, by), ask.count)?;
        seen.note_all(&items);
        loop {
            for item in items.into_iter().filter(|item| may_see(by, item)) {
                let entry = match item {
                    Item::Run(run) => Entry::Run(*run),
                    Item::Action(action) => Entry::Action(action),
                };
                if to.send(Ok(entry)).await.is_err() {
                    return Ok(());
                }
            }
            if !ask.follow || to.is_closed() {
                return Ok(());
            }
            looks.tick().await;
            items = reader.added(&self.state, filter, &mut seen)?;
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

/// What of the history a caller may see: so many runs are theirs, not so many of which some are theirs.
fn visible(filter: &Filter, by: &Caller) -> Vec<Filter> {
    if filter.database.is_some() || by.is_admin() {
        return vec![filter.clone()];
    }
    by.own().map(|name| Filter { database: Some(name.clone()) }).collect()
}

/// What concerns qbackd itself is no business of the owner of a database.
fn may_see(by: &Caller, item: &Item) -> bool {
    item.database().map_or_else(|| by.is_admin(), |name| by.may(name).is_ok())
}

fn looks() -> tokio::time::Interval {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}
