//! Runs in the daemon, watched: their progress on the screen, and how they end.

use std::sync::{Mutex, PoisonError};

use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::progress;
use crate::control::{Client, Ended, Handle, Tick};
use crate::error::{Error, Kind, Result};
use crate::model::progress::Snapshot;
use crate::model::{Name, Outcome, Progress};

/// So many runs are watched at a time, each over a connection; the daemon bounds those of one user.
const AT_ONCE: usize = 16;

/// Watches runs until each has ended, and gives how, with each end handed to `each` as it comes. A run that is lost sight of
/// hides no other. Once `cancel` fires nobody watches any more, and the runs go on.
///
/// # Errors
/// It was cancelled: names the runs that go on, and how to see and end them.
pub(super) async fn watch(
    daemon: &Client,
    runs: &[Handle],
    cancel: &CancellationToken,
    each: impl Fn(&Name, &Ended) -> Result<()>,
) -> Result<Vec<(Name, Result<Ended>)>> {
    let watched: Vec<(Name, Progress)> = runs.iter().map(|run| (run.database.clone(), Progress::default())).collect();
    let gone: Mutex<Vec<&Name>> = Mutex::default();
    let follow = runs.iter().zip(&watched).map(|(run, (_, progress))| {
        let (each, gone) = (&each, &gone);
        async move {
            let ended = follow(daemon, run, progress).await;
            gone.lock().unwrap_or_else(PoisonError::into_inner).push(&run.database);
            if let Ok(ended) = &ended {
                each(&run.database, ended)?;
            }
            Ok((run.database.clone(), ended))
        }
    });
    let all = progress::watch(&watched, stream::iter(follow).buffer_unordered(AT_ONCE).collect::<Vec<_>>());
    tokio::select! {
        ended = all => ended.into_iter().collect(),
        () = cancel.cancelled() => {
            let gone = gone.lock().unwrap_or_else(PoisonError::into_inner);
            Err(detached(runs.iter().filter(|run| !gone.contains(&&run.database))))
        }
    }
}

/// Follows one run to its end.
async fn follow(daemon: &Client, run: &Handle, progress: &Progress) -> Result<Ended> {
    let name = &run.database;
    let what = run.run.as_ref().map_or(name.as_str(), |id| id.as_str());
    let lost = |e: Error| e.during(format!("lost sight of the run {what} of {name}"));
    let mut ticks = daemon.progress(what).await.map_err(lost)?;
    while let Some(tick) = ticks.next().await.map_err(lost)? {
        let Tick { phase, quiet, expected, plain, stored, ended, .. } = tick;
        progress.mirror(Snapshot { phase, quiet, expected, plain, stored });
        if let Some(ended) = ended {
            return Ok(ended);
        }
    }
    Err(Error::new(Kind::Unavailable, format!("lost sight of the run {what} of {name}"))
        .because("the daemon ended")
        .hint(format!("when it runs again, `qbackd history {what}` tells what became of it")))
}

/// How a run went, as if this process had done it.
///
/// # Errors
/// The run's own.
pub(super) fn result(ended: Ended) -> Result<Ended> {
    match (ended.outcome, ended.error) {
        (Outcome::Succeeded, _) => Ok(Ended { error: None, ..ended }),
        (_, Some(problem)) => Err(problem.into()),
        (outcome, None) => Err(Error::failed(format!("the run ended: {outcome}"))),
    }
}

fn detached<'a>(runs: impl Iterator<Item = &'a Handle>) -> Error {
    let named = |run: &Handle| match &run.run {
        Some(id) => format!("{} (run {id})", run.database),
        None => run.database.to_string(),
    };
    let runs: Vec<&Handle> = runs.collect();
    let list = runs.iter().map(|run| named(run)).collect::<Vec<_>>().join(", ");
    let name = runs.first().map_or("NAME", |run| run.database.as_str());
    Error::new(Kind::Interrupted, format!("not watched any more; in the daemon goes on {list}"))
        .hint(format!("`qbackd status {name}` shows it, `qbackd cancel {name}` ends it"))
}
