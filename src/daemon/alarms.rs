//! What people must hear of: failures, pauses, staleness; and to whom it is told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::agenda::Agenda;
use super::core::Ground;
use super::journal;
use crate::config::{Database, Plan};
use crate::error::Result;
use crate::history::Condition;
use crate::job::backup::Made;
use crate::model::{Name, Notice, RunId};

/// The conditions of all databases, and those who are told.
pub(super) struct Alarms {
    ground: Ground,
    conditions: HashMap<Name, Condition>,
}

impl Alarms {
    pub(super) fn new(ground: &Ground, plan: &Plan) -> Result<Self> {
        ground.history.seen(plan.databases.keys())?;
        Ok(Self { ground: ground.clone(), conditions: ground.history.read().all_conditions()? })
    }

    pub(super) fn is_paused(&self, name: &Name) -> bool {
        self.conditions.get(name).is_some_and(|condition| condition.pause.is_some())
    }

    pub(super) fn meet(&mut self, plan: &Plan) {
        if let Err(e) = self.ground.history.seen(plan.databases.keys()) {
            tracing::error!("{}", e.line());
        }
    }

    pub(super) fn look(&mut self, _plan: &Plan, _agendas: &BTreeMap<Name, Agenda>, _now: Timestamp) {}

    pub(super) async fn run_ended(
        &mut self,
        _plan: &Plan,
        _database: &Arc<Database>,
        _run: &RunId,
        _result: &Result<Option<Made>>,
        _again: bool,
    ) {
    }

    pub(super) fn tell_everybody(&mut self, _plan: &Plan, notice: Notice) {
        journal::tell(&notice);
        if let Err(e) = self.ground.history.event(&notice) {
            tracing::error!("{}", e.line());
        }
    }

    pub(super) fn in_short(&self) -> String {
        String::new()
    }
}
