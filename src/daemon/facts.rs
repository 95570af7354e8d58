//! What the history knows of databases that are new to the daemon: at its start all of them, at a reload those that came.

use std::collections::HashMap;

use jiff::Timestamp;

use super::agenda::believable;
use super::ground::Ground;
use crate::error::Result;
use crate::history::LastDue;
use crate::job::standing::last_success;
use crate::model::Name;

/// So many new databases are few.
const ONE_BY_ONE: usize = 16;

/// What the history knows of databases that are new to the daemon.
#[derive(Default)]
pub(super) struct Facts {
    last: HashMap<Name, LastDue>,
    successes: HashMap<Name, Timestamp>,
}

impl Facts {
    /// A few are looked up one by one; of more, all that the history knows is read at once.
    pub(super) fn of(ground: &Ground, names: &[Name]) -> Result<Self> {
        let (reader, until) = (ground.history.read(), believable(ground.clock.now()));
        if names.len() > ONE_BY_ONE {
            return Ok(Self { last: reader.all_last_due(until)?, successes: reader.all_successes()? });
        }
        let mut facts = Self::default();
        for name in names {
            facts.last.extend(reader.last_due(name, until)?.map(|last| (name.clone(), last)));
            facts.successes.extend(last_success(&reader.newest(name)?).map(|at| (name.clone(), at)));
        }
        Ok(facts)
    }

    /// The newest instant for which it had a run.
    pub(super) fn last(&self, name: &Name) -> Option<&LastDue> {
        self.last.get(name)
    }

    /// When its newest good backup was published.
    pub(super) fn success(&self, name: &Name) -> Option<Timestamp> {
        self.successes.get(name).copied()
    }
}
