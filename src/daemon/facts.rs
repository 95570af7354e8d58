//! What the history knows of databases that are new to the daemon: at its start all of them, at a reload those that came.

use std::collections::HashMap;

use super::ground::Ground;
use crate::error::Result;
use crate::history::{LastDue, Success};
use crate::model::Name;

/// So many new databases are few.
const ONE_BY_ONE: usize = 16;

/// What the history knows of databases that are new to the daemon.
#[derive(Default)]
pub(super) struct Facts {
    last: HashMap<Name, LastDue>,
    successes: HashMap<Name, Success>,
}

impl Facts {
    /// A few are looked up one by one; of more, all that the history knows is read at once.
    pub(super) fn of(ground: &Ground, names: &[Name]) -> Result<Self> {
        let reader = ground.history.read();
        if names.len() > ONE_BY_ONE {
            return Ok(Self { last: reader.all_last_due()?, successes: reader.all_successes()? });
        }
        let mut facts = Self::default();
        for name in names {
            facts.last.extend(reader.last_due(name)?.map(|last| (name.clone(), last)));
            let full = reader.newest(name)?.full;
            let success = full.map(|full| Success { last: full.ended.unwrap_or(full.started), full: true });
            facts.successes.extend(success.map(|success| (name.clone(), success)));
        }
        Ok(facts)
    }

    /// The newest instant for which it had a run.
    pub(super) fn last(&self, name: &Name) -> Option<&LastDue> {
        self.last.get(name)
    }

    /// Whether it ever had a backup.
    pub(super) fn is_proven(&self, name: &Name) -> bool {
        self.successes.get(name).is_some_and(|success| success.full)
    }
}
