//! What `pause`, `resume` and `reset-failed` have in common: names are checked, each database is changed, the result told.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Global, daemon, ground, output, owner, signals};
use crate::control::{Changed, Client};
use crate::error::{Error, Result};
use crate::history::History;
use crate::job::overview::{Live, one};
use crate::model::Name;

#[derive(Serialize)]
struct Printed {
    databases: Vec<Changed>,
}

/// Changes databases. A daemon is asked by `ask`; alone `work` gets the history, a name, who asks, and the time, and gives what was
/// done, for people.
///
/// # Errors
/// A name is unknown, and nothing was changed; a change cannot be recorded.
pub(super) fn change(
    verb: &str,
    names: &[Name],
    global: &Global,
    work: impl Fn(&History, &Name, &str, Timestamp) -> Result<String>,
    ask: impl AsyncFn(&Client, &Name) -> Result<Changed>,
) -> Result<()> {
    let databases = match daemon::find(global)? {
        Some(daemon) => signals::block_on_looking(|cancel| async move {
            tokio::select! {
                done = each(&daemon, names, ask) => done,
                () = cancel.cancelled() => Err(Error::interrupted()),
            }
        })?,
        None => alone(verb, names, global, work)?,
    };
    if global.json {
        return output::json(&Printed { databases });
    }
    databases.iter().try_for_each(|done| output::line(&output::clean(&format!("{}: {}", done.database, done.text))))
}

async fn each(
    daemon: &Client,
    names: &[Name],
    ask: impl AsyncFn(&Client, &Name) -> Result<Changed>,
) -> Result<Vec<Changed>> {
    // A name that is unknown is found before anything is changed.
    daemon.status(names).await?;
    let mut done = Vec::new();
    for name in names {
        done.push(ask(daemon, name).await?);
    }
    Ok(done)
}

fn alone(
    verb: &str,
    names: &[Name],
    global: &Global,
    work: impl Fn(&History, &Name, &str, Timestamp) -> Result<String>,
) -> Result<Vec<Changed>> {
    let plan = ground::plan(global)?;
    owner::become_owner(&plan.daemon.state_dir)?;
    let context = ground::context(plan, verb, CancellationToken::new())?;
    let who = ground::caller();
    let live = Live { next: &|_| None, longest_gap: &|_| None, running: HashMap::new() };
    let reader = context.history.read();
    for name in names {
        one(&context.plan, Some(reader), name, &live, context.clock.now())?;
    }
    let mut databases = Vec::new();
    for name in names {
        let now = context.clock.now();
        let text = work(&context.history, name, &who, now)?;
        let state = one(&context.plan, Some(reader), name, &live, now)?.state.to_string();
        databases.push(Changed { database: name.clone(), state, text });
    }
    Ok(databases)
}
