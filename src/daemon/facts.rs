//! What the history knows of databases that are new to the daemon.

use std::collections::HashMap;

use super::agenda::believable;
use super::ground::Ground;
use crate::error::Result;
use crate::history::{LastDue, Newest};
use crate::model::Name;

/// So many new databases are few.
const ONE_BY_ONE: usize = 16;

/// What the history knows of databases that are new to the daemon.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) last: HashMap<Name, LastDue>,
    pub(super) newest: HashMap<Name, Newest>,
}

impl Facts {
    /// A few are looked up one by one; of more, all that the history knows is read at once.
    pub(super) fn of(ground: &Ground, names: &[Name]) -> Result<Self> {
        let (reader, until) = (ground.history.read(), believable(ground.clock.now()));
        if names.len() > ONE_BY_ONE {
            return Ok(Self { last: reader.all_last_due(until)?, newest: reader.all_newest()? });
        }
        let mut facts = Self::default();
        for name in names {
            facts.last.extend(reader.last_due(name, until)?.map(|last| (name.clone(), last)));
            facts.newest.insert(name.clone(), reader.newest(name)?);
        }
        Ok(facts)
    }
}
