//! What `pause`, `resume` and `reset-failed` have in common: names are checked, each database is changed, the result told.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Global, ground, output, owner};
use crate::control::Changed;
use crate::error::Result;
use crate::history::History;
use crate::job::overview::{Live, one};
use crate::model::Name;

#[derive(Serialize)]
struct Printed {
    databases: Vec<Changed>,
}

/// Changes databases: `work` gets the history, a name, who asks, and the time; it gives what was done, for people.
///
/// # Errors
/// A name is unknown, and nothing was changed; a change cannot be recorded.
pub(super) fn change(
    verb: &str,
    names: &[Name],
    global: &Global,
    work: impl Fn(&History, &Name, &str, Timestamp) -> Result<String>,
) -> Result<()> {
    let plan = ground::plan(global)?;
    owner::become_owner(&plan.daemon.state_dir)?;
    let context = ground::context(plan, verb, CancellationToken::new())?;
    let who = ground::caller();
    let live = Live { next: &|_| None, longest_gap: &|_| None, running: HashMap::new() };
    let reader = context.history.read();
    for name in names {
        one(&context.plan, Some(reader), name, &live, context.clock.now())?;
    }
    let mut printed = Printed { databases: Vec::new() };
    for name in names {
        let now = context.clock.now();
        let text = work(&context.history, name, &who, now)?;
        let state = one(&context.plan, Some(reader), name, &live, now)?.state.to_string();
        printed.databases.push(Changed { database: name.clone(), state, text });
    }
    if global.json {
        return output::json(&printed);
    }
    printed.databases.iter().try_for_each(|done| output::line(&format!("{}: {}", done.database, done.text)))
}
