//! What people do to the state of a database: pause, resume, reset-failed, accepting a size. Each is recorded with who did it.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::Level;

use super::Context;
use super::failures::{Rules, USUAL, after_run, forget, measure};
use super::recorded::beside;
use super::standing::fingerprint;
use crate::config::Database;
use crate::error::{Error, Result};
use crate::history::{self, Condition, Entry, History, Hold, Pause, PausedBy, Reader};
use crate::model::journal::Fields;
use crate::model::{BackupType, Moment, Name, Notice, RunId};

/// Records what somebody did, and says it in the journal.
///
/// # Errors
/// It cannot be recorded.
pub fn did(history: &History, entry: Entry) -> Result<()> {
    let Entry { word, database, run, who, text, .. } = entry.clone();
    history.event(entry)?;
    let who = who.unwrap_or_default();
    let fields = Fields {
        database: database.as_ref().map(Name::as_str),
        run: run.as_ref().map(RunId::as_str),
        user: Some(&who),
        ..Fields::of(Moment::Action)
    };
    fields.say(Level::INFO, &format!("{word} by {who}: {text}"));
    Ok(())
}

/// Pauses a database: nothing of it starts by itself until [`resume`]. Gives what was done, for people.
///
/// # Errors
/// It cannot be recorded.
pub fn pause(history: &History, name: &Name, who: &str, why: Option<&str>, now: Timestamp) -> Result<String> {
    let (by, reason) = (who.to_owned(), why.map(str::to_owned));
    let text = history.amend(name, move |known| {
        let before = known.pause.take();
        let since = before.as_ref().map_or(now, |pause| pause.at);
        let (text, at, why) = match (&before, reason) {
            (Some(Pause { by: PausedBy::Operator(other), why, .. }), None) => {
                (format!("was paused already, by {other}"), since, why.clone())
            }
            (Some(Pause { by: PausedBy::Failures, why, .. }), reason) => {
                ("paused; it was paused after failures already".into(), since, reason.unwrap_or_else(|| why.clone()))
            }
            (_, reason) => ("paused".to_owned(), now, reason.unwrap_or_default()),
        };
        known.pause = Some(Pause { at, by: PausedBy::Operator(by), why, tables: None });
        known.reminded = None;
        text
    })?;
    let told = match why {
        Some(why) => format!("{text}: {why}"),
        None => text.clone(),
    };
    did(history, Entry::action(now, "pause", Some(name), who, told))?;
    Ok(text)
}

/// Ends a pause, whoever began it. Failures that led to it are forgotten. Gives what was done, for people.
///
/// # Errors
/// It cannot be recorded.
pub fn resume(history: &History, name: &Name, who: &str, now: Timestamp) -> Result<String> {
    let text = history.amend(name, |known| match known.pause.take() {
        Some(Pause { by: PausedBy::Failures, .. }) => {
            forget(known);
            "resumed; its failures are forgotten".to_owned()
        }
        Some(Pause { by: PausedBy::Operator(by), .. }) => format!("resumed; it was paused by {by}"),
        None => "was not paused".to_owned(),
    })?;
    did(history, Entry::action(now, "resume", Some(name), who, text.as_str()))?;
    Ok(text)
}

/// Forgets the failures of a database and a pause they led to; an operator's pause stays. Gives what was done, for people.
///
/// # Errors
/// It cannot be recorded.
pub fn reset_failed(history: &History, name: &Name, who: &str, now: Timestamp) -> Result<String> {
    let text = history.amend(name, |known| {
        let failures = known.failures;
        forget(known);
        let done = match failures {
            0 => "had no failures".to_owned(),
            1 => "1 failure is forgotten".to_owned(),
            n => format!("{n} failures are forgotten"),
        };
        match &known.pause {
            Some(pause) => format!("{done}; it stays paused by {}", pause.by),
            None => done,
        }
    })?;
    did(history, Entry::action(now, "reset-failed", Some(name), who, text.as_str()))?;
    Ok(text)
}

/// What `backup` leaves alone: with `all`, databases that are paused. One that is named is backed up all the same, and that is said.
/// Gives the sentences for people.
///
/// # Errors
/// The history cannot be read.
pub fn leave_out_paused(reader: &Reader, databases: &mut Vec<Arc<Database>>, all: bool) -> Result<Vec<String>> {
    let (known, mut told) = (reader.all_conditions()?, Vec::new());
    databases.retain(|database| {
        let name = &database.name;
        let Some(pause) = known.get(name).and_then(|known| known.pause.as_ref()) else { return true };
        let why = if pause.why.is_empty() { String::new() } else { format!(" ({})", pause.why) };
        let done =
            if all { format!("left out; `qbackd resume {name}` ends that") } else { "backed up all the same".into() };
        told.push(format!("{name} is paused by {}{why}: {done}", pause.by));
        !all
    });
    Ok(told)
}

/// The suspicious backup for which nothing of a database may be deleted, if there is one.
///
/// # Errors
/// The history cannot be read.
pub fn hold(reader: &Reader, name: &Name) -> Result<Option<Hold>> {
    Ok(reader.condition(name)?.and_then(|known| known.hold))
}

/// Ends a hold: backups from the suspicious one on are what is usual now. Gives whether there was one.
///
/// # Errors
/// It cannot be recorded.
pub fn accept_size(history: &History, name: &Name, who: &str, now: Timestamp) -> Result<bool> {
    let lifted = history.amend(name, |known| {
        let hold = known.hold.take();
        known.usual_since = hold.as_ref().map(|hold| hold.since).or(known.usual_since);
        hold
    })?;
    if let Some(hold) = &lifted {
        let text = format!("the size of {} is accepted, retention goes on", hold.backup);
        did(history, Entry::action(now, "accept-size", Some(name), who, text))?;
    }
    Ok(lifted.is_some())
}

/// Takes note of a backup that ended: counts, pauses, weighs, before retention looks at what is left. What people are to be told of
/// is recorded, and handed to whoever listens. The backup is what it is whether that can be done or not. Gives whether it could.
pub(super) fn conclude(context: &Context, database: &Arc<Database>, run: &RunId) -> bool {
    let retry = &database.policy.retry;
    let again = context.scheduled.is_some_and(|scheduled| scheduled.attempt < retry.attempts);
    let history = &context.history;
    let noted = settle(history, database, run, &context.host, again, context.clock.now()).and_then(|notices| {
        notices.into_iter().try_for_each(|notice| {
            let recorded = history.event(&notice);
            if let Some(listener) = &context.notices {
                // A listener who is gone does not want to know.
                let _ = listener.send(notice);
            }
            recorded
        })
    });
    if let Err(e) = &noted {
        let what =
            format!("cannot note what the run means for {}; old backups stay until one can be noted", database.name);
        beside(context, run, history::Level::Error, &Error::failed(what).because(e.line()));
    }
    noted.is_ok()
}

/// Takes note of a backup that ended: counts, pauses, weighs. Gives what people are to be told; who calls hands it on, the history's
/// events included. `again` says that the run will be tried once more.
///
/// # Errors
/// The history cannot be used.
pub fn settle(
    history: &History,
    database: &Arc<Database>,
    run: &RunId,
    host: &str,
    again: bool,
    now: Timestamp,
) -> Result<Vec<Notice>> {
    let (reader, name) = (history.read(), &database.name);
    let run = reader.run(run.as_str())?;
    let known = reader.condition(name)?.unwrap_or_else(|| Condition::new(now));
    let before = reader.good_backups(name, BackupType::Full, measure(&known, run.started), USUAL)?;
    let rules = Rules {
        pause_after: database.policy.pause_after,
        tables: fingerprint(database),
        host: host.to_owned(),
        again,
        before,
    };
    history.amend(name, move |known| after_run(known, &run, &rules, now))
}
