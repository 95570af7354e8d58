//! The history as somebody sees it who looks: the newest runs, what people did among them, and what is added to both.

use std::cmp::Reverse;
use std::collections::HashSet;

use jiff::Timestamp;

use super::{Action, ActionFilter, Filter, Reader, Run, StateDir};
use crate::error::Result;
use crate::model::{Name, RunId};

/// More than this does not start, end or get done between two looks.
const BETWEEN_TWO_LOOKS: usize = 500;

/// One thing that is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A run, at its start; its end comes as another one.
    Run(Box<Run>),
    /// Something that somebody did.
    Action(Action),
}

impl Item {
    /// A run.
    pub fn run(run: Run) -> Self {
        Self::Run(Box::new(run))
    }

    /// When it began.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Run(run) => run.started,
            Self::Action(action) => action.at,
        }
    }

    /// The database it is about; none: qbackd itself.
    pub fn database(&self) -> Option<&Name> {
        match self {
            Self::Run(run) => Some(&run.database),
            Self::Action(action) => action.database.as_ref(),
        }
    }
}

/// What somebody has seen already who looks again and again.
#[derive(Debug, Default)]
pub struct Seen {
    /// Runs, and whether they had ended.
    runs: HashSet<(RunId, bool)>,
    /// The number of the last action.
    actions: u64,
}

impl Seen {
    /// Takes note of something. Gives whether it is new.
    pub fn note(&mut self, item: &Item) -> bool {
        match item {
            Item::Run(run) => self.runs.insert((run.id.clone(), run.outcome.is_some())),
            Item::Action(action) => {
                let new = action.number > self.actions;
                self.actions = self.actions.max(action.number);
                new
            }
        }
    }

    /// Takes note of all of these.
    pub fn note_all(&mut self, items: &[Item]) {
        for item in items {
            self.note(item);
        }
    }
}

impl Reader {
    /// The newest runs of all that these let through, at most `limit`, and what was done among them, at most as much: since the
    /// oldest of them, if there are so many. Oldest first.
    ///
    /// # Errors
    /// The history or a lock cannot be read.
    pub fn page(&self, state: &StateDir, filters: &[Filter], limit: usize) -> Result<Vec<Item>> {
        let (mut runs, mut actions) = (Vec::new(), Vec::new());
        for filter in filters {
            runs.extend(self.recent(filter, limit)?);
        }
        runs.sort_by_key(|run| Reverse(run.started));
        runs.truncate(limit);
        let since = runs.last().filter(|_| runs.len() >= limit).map(|run| run.started);
        for filter in filters {
            let done = ActionFilter { database: filter.database.clone(), since, after: 0 };
            actions.extend(self.actions(&done, limit)?);
        }
        actions.sort_by_key(|action| Reverse((action.at, action.number)));
        actions.truncate(limit);
        self.in_order(state, runs, actions)
    }

    /// What there is now, so that [`Reader::added`] tells what comes after it.
    ///
    /// # Errors
    /// The history or a lock cannot be read.
    pub fn seen(&self, state: &StateDir, filter: &Filter) -> Result<Seen> {
        let mut seen = Seen::default();
        for action in self.actions(&ActionFilter::default(), 1)? {
            seen.note(&Item::Action(action));
        }
        self.added(state, filter, &mut seen)?;
        Ok(seen)
    }

    /// The runs that started or ended since the last look, and what was done. Oldest first.
    ///
    /// # Errors
    /// The history or a lock cannot be read.
    pub fn added(&self, state: &StateDir, filter: &Filter, seen: &mut Seen) -> Result<Vec<Item>> {
        let done = ActionFilter { database: filter.database.clone(), since: None, after: seen.actions };
        let (runs, actions) = (self.recent(filter, BETWEEN_TWO_LOOKS)?, self.actions(&done, BETWEEN_TWO_LOOKS)?);
        let mut items = self.in_order(state, runs, actions)?;
        items.retain(|item| seen.note(item));
        Ok(items)
    }

    /// Runs and actions that come newest first, oldest first.
    fn in_order(&self, state: &StateDir, runs: Vec<Run>, actions: Vec<Action>) -> Result<Vec<Item>> {
        let runs = runs.into_iter().rev().map(|run| Ok(Item::run(self.settled(state, run)?)));
        let mut items = runs.collect::<Result<Vec<_>>>()?;
        items.extend(actions.into_iter().rev().map(Item::Action));
        items.sort_by_key(Item::at);
        Ok(items)
    }
}
