//! The record around every job: begun before anything can fail, ended whatever happens.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::{Context, Place, Wanted};
use crate::error::{DEFECT, Error, Kind, Result};
use crate::history::{Ending, Level, Lock, NewRun};
use crate::model::journal::Fields;
use crate::model::{Moment, Outcome, RunId, RunKind, Step};

/// What a job leaves in the history when it succeeds.
pub trait Account {
    /// Sizes, counts and notes.
    fn account(&self) -> Ending;
}

/// Runs `work` as a recorded run.
///
/// # Errors
/// The work's own; or the history's, if even that cannot be written: a run that is not recorded is not run.
pub async fn recorded<T: Account, F: Future<Output = Result<T>>>(
    context: &Context,
    new: NewRun,
    lock: Option<&Lock>,
    work: impl FnOnce(RunId) -> F,
) -> Result<T> {
    let run = begin(context, new, lock)?;
    end(context, &run, unless_it_panics(work(run.clone())).await)
}

/// A panic is a failure like any other: cleaned up after, recorded, counted, told.
///
/// # Errors
/// The work's own, or that it panicked.
pub(super) async fn unless_it_panics<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|_| Err(Error::failed("qbackd panicked; where and why is in its log").hint(DEFECT)))
}

/// Records that a run begins, for work that goes on after its end is recorded.
///
/// # Errors
/// The history's: a run that is not recorded is not run.
pub(super) fn begin(context: &Context, new: NewRun, lock: Option<&Lock>) -> Result<RunId> {
    let (kind, database) = (new.kind, new.database.clone());
    let started = format!("{kind} started, asked for by {}", new.initiated_by);
    let run = context.history.begin(new, lock)?;
    Step::Recorded.reached();
    // A line for who reads the journal later; who works alone sees it on the terminal. What is deleted is told when it is gone.
    if context.notices.is_some() && !matches!(kind, RunKind::Prune | RunKind::Delete) {
        let fields =
            Fields { database: Some(database.as_str()), run: Some(run.as_str()), ..Fields::of(Moment::RunStarted) };
        fields.say(tracing::Level::INFO, &started);
    }
    Ok(run)
}

/// Records what came of a run, and hands it on.
///
/// # Errors
/// The work's own, or the history's.
pub(super) fn end<T: Account>(context: &Context, run: &RunId, result: Result<T>) -> Result<T> {
    let ending = match &result {
        Ok(done) => done.account(),
        Err(error) => {
            context.history.line(run, Level::Error, error.to_string());
            Ending::of(error)
        }
    };
    debug_assert!(result.is_ok() == (ending.outcome == Outcome::Succeeded));
    context.history.finish(run, ending)?;
    Step::Finished.reached();
    result
}

/// Tells of something that went wrong beside the work of a run and does not change what came of it: a line and a note of the
/// run, and a warning.
pub(super) fn beside(context: &Context, run: &RunId, level: Level, error: &Error) {
    context.history.line(run, level, error.to_string());
    let known = context.history.read().run(run.as_str()).ok();
    let fields = Fields {
        database: known.as_ref().map(|run| run.database.as_str()),
        run: Some(run.as_str()),
        ..Fields::of(Moment::RunWarning)
    };
    fields.say(tracing::Level::WARN, &error.line());
    if let Err(e) = context.history.note(run, error.line()) {
        tracing::warn!("{}", e.line());
    }
}

/// Records work that failed before it knew what to work on: a damaged manifest, a destination that does not answer. What was
/// mistyped is no attempt.
///
/// # Errors
/// The history's.
pub(super) fn record_refusal(
    context: &Context,
    kind: RunKind,
    from: Option<&Place>,
    wanted: &Wanted,
    error: &Error,
) -> Result<()> {
    let (Some(database), false) = (wanted.database(), matches!(error.kind(), Kind::Usage | Kind::NotFound)) else {
        return Ok(());
    };
    let new = NewRun {
        id: context.run.clone(),
        kind,
        database: database.clone(),
        destinations: context.places(from, Some(database)).iter().map(ToString::to_string).collect(),
        backup: None,
        initiated_by: context.initiated_by.clone(),
        due: None,
        attempt: None,
    };
    let run = context.history.begin(new, None)?;
    context.history.finish(&run, Ending::of(error))
}
