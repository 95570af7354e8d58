//! Where all databases stand: the plan, the history, and what lives now, put together.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::standing::{Facts, stale_after, standing};
use crate::config::{Database, Plan};
use crate::control::status::{DatabaseStatus, Running};
use crate::error::{Error, Kind, Result};
use crate::history::{Condition, Newest, Reader, Run, StateDir};
use crate::model::{Name, nearest};

/// What only a daemon knows, or, without one, nobody.
pub struct Live<'a> {
    /// When the next run of a database starts by itself.
    pub next: &'a dyn Fn(&Name) -> Option<Timestamp>,
    /// The longest gap of its schedule.
    pub longest_gap: &'a dyn Fn(&Name) -> Option<Duration>,
    /// What runs.
    pub running: HashMap<Name, Running>,
}

/// Where these databases stand, or all of them if none is named, worst first. Among all are those that are in no file any more
/// but have a backup. `reader` is `None` if nothing was ever recorded.
///
/// # Errors
/// The history cannot be read; a name that neither the plan nor the history knows.
pub fn overview(
    plan: &Plan,
    reader: Option<&Reader>,
    only: &[Name],
    live: &Live<'_>,
    now: Timestamp,
) -> Result<Vec<DatabaseStatus>> {
    let mut found = if only.is_empty() {
        everything(plan, reader, live, now)?
    } else {
        only.iter().map(|name| one(plan, reader, name, live, now)).collect::<Result<_>>()?
    };
    found.sort_by(|a, b| a.rank().cmp(&b.rank()));
    Ok(found)
}

/// Where one database stands.
///
/// # Errors
/// As [`overview`].
pub fn one(
    plan: &Plan,
    reader: Option<&Reader>,
    name: &Name,
    live: &Live<'_>,
    now: Timestamp,
) -> Result<DatabaseStatus> {
    let database = plan.databases.get(name).map(AsRef::as_ref);
    let condition = reader.map(|reader| reader.condition(name)).transpose()?.flatten();
    if database.is_none() && condition.is_none() {
        return Err(unknown(plan, name));
    }
    let newest = reader.map(|reader| reader.newest(name)).transpose()?.unwrap_or_default();
    Ok(status(name, database, condition, newest, live, now))
}

fn everything(plan: &Plan, reader: Option<&Reader>, live: &Live<'_>, now: Timestamp) -> Result<Vec<DatabaseStatus>> {
    let (mut conditions, mut newest) = match reader {
        Some(reader) => (reader.all_conditions()?, reader.all_newest()?),
        None => Default::default(),
    };
    let mut found = Vec::new();
    for (name, database) in &plan.databases {
        let newest = newest.remove(name).unwrap_or_default();
        found.push(status(name, Some(database), conditions.remove(name), newest, live, now));
    }
    for (name, newest) in newest.into_iter().filter(|(_, newest)| newest.full.is_some() || newest.incremental.is_some())
    {
        found.push(status(&name, None, conditions.remove(&name), newest, live, now));
    }
    Ok(found)
}

fn status(
    name: &Name,
    database: Option<&Database>,
    condition: Option<Condition>,
    newest: Newest,
    live: &Live<'_>,
    now: Timestamp,
) -> DatabaseStatus {
    let facts = Facts {
        condition: condition.unwrap_or_else(|| Condition::new(now)),
        newest,
        running: live.running.get(name).cloned(),
        stale_after: database.and_then(|database| stale_after(&database.policy, (live.longest_gap)(name))),
    };
    standing(name, database, &facts, (live.next)(name), now)
}

/// What processes without a daemon run now.
///
/// # Errors
/// The history or a lock cannot be read.
pub fn running(reader: &Reader, state: &StateDir) -> Result<HashMap<Name, Running>> {
    let mut found = HashMap::new();
    for run in reader.running()? {
        if reader.alive(state, &run)? {
            let Run { id, kind, started, database, .. } = run;
            found.entry(database).or_insert(Running { run: id, kind, started, phase: None, percent: None });
        }
    }
    Ok(found)
}

fn unknown(plan: &Plan, name: &Name) -> Error {
    let known = plan.databases.keys().map(Name::as_str);
    let error = Error::new(Kind::Usage, format!("there is no database `{name}`"));
    match nearest(name.as_str(), known) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`qbackd status` lists the databases"),
    }
}
