//! Limits of time around a piece of work: `timeout`, `stall_timeout`, and a cancel from outside.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::hooks::AFTER_CANCEL;
use super::units;
use crate::config::Policy;
use crate::engine::process;
use crate::error::{Error, Kind, Result};
use crate::model::{Progress, Timespan};

/// How long work that was told to stop may take to clean up, before it is dropped.
const GRACE: Duration = Duration::from_secs(20);

/// How often the counters are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long a dump and its upload may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// All of it; zero is no limit.
    pub timeout: Timespan,
    /// Without a byte moving while bytes are expected; zero is no limit.
    pub stall_timeout: Timespan,
}

impl Limits {
    /// None: only a cancel ends the work.
    pub const NONE: Self = Self { timeout: Timespan::from_secs(0), stall_timeout: Timespan::from_secs(0) };
}

/// How long a run may take to end once it was cancelled: its work cleans up, the units that were stopped for it start again, and
/// its last hook does what it can until it is killed.
pub fn cleaning(policy: &Policy) -> Duration {
    let units = if policy.stop_units.is_empty() { Duration::ZERO } else { units::LIMIT };
    GRACE + units + AFTER_CANCEL + process::GRACE
}

/// Runs `work` within `limits`. `work` gets `stop`, a token that fires when it must end; it is then given time to clean up.
///
/// # Errors
/// The work's own; [`Kind::TimedOut`] naming the key; [`Kind::Interrupted`] if `cancel` fired.
pub async fn within<T>(
    limits: Limits,
    cancel: &CancellationToken,
    stop: &CancellationToken,
    progress: &Progress,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::pin!(work);
    let error = tokio::select! {
        biased;
        done = &mut work => return done,
        () = cancel.cancelled() => Error::interrupted(),
        () = run_out(limits.timeout) => Error::new(Kind::TimedOut, format!("not done within {}", limits.timeout))
            .hint("raise `timeout` if the database needs that long"),
        () = stalled(limits.stall_timeout, progress) => {
            let now = progress.snapshot();
            Error::new(Kind::TimedOut, format!("no byte moved for {} while {}", limits.stall_timeout, now.phase))
                .hint("raise `stall_timeout` if that is normal here; a lock or a hung mount often is not")
        }
    };
    stop.cancel();
    match timeout(GRACE, work).await {
        // It was past the point where it could be stopped: the backup is published.
        Ok(Ok(done)) => Ok(done),
        // What it says now is only the echo of the stop.
        _ => Err(error),
    }
}

/// Runs work that leaves nothing to clean up; it is dropped when `cancel` fires.
///
/// # Errors
/// The work's own; [`Kind::Interrupted`] if `cancel` fired first.
pub async fn unless_cancelled<T>(cancel: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        () = cancel.cancelled() => Err(Error::interrupted()),
    }
}

async fn run_out(limit: Timespan) {
    if limit.0.is_zero() {
        std::future::pending::<()>().await;
    }
    match Instant::now().checked_add(limit.0) {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

async fn stalled(limit: Timespan, progress: &Progress) {
    if limit.0.is_zero() {
        std::future::pending::<()>().await;
    }
    let mut tick = interval(LOOK.min(limit.0));
    let mut last = (progress.snapshot(), Instant::now());
    loop {
        tick.tick().await;
        let now = progress.snapshot();
        if now.quiet || now != last.0 {
            last = (now, Instant::now());
        } else if last.1.elapsed() >= limit.0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(timeout: u64, stall: u64) -> Limits {
        Limits { timeout: Timespan::from_secs(timeout), stall_timeout: Timespan::from_secs(stall) }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_too_long_is_told_to_stop_and_the_error_names_the_key() {
        let (cancel, stop, progress) = (CancellationToken::new(), CancellationToken::new(), Progress::default());
        let told = stop.clone();
        let work = async move {
            told.cancelled().await;
            Err::<(), _>(Error::interrupted())
        };
        let error = within(limits(60, 0), &cancel, &stop, &progress, work).await.unwrap_err();
        assert_eq!(error.kind(), Kind::TimedOut);
        assert!(error.line().contains("1m") && error.remedy().unwrap().contains("`timeout`"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_noticed_but_not_in_a_quiet_phase() {
        let (cancel, progress) = (CancellationToken::new(), Progress::default());
        progress.quiet_phase("waiting for a checkpoint");
        let watched = progress.clone();
        let work = async {
            tokio::time::sleep(Duration::from_secs(1000)).await;
            watched.phase("reading");
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                watched.plain(1);
            }
            std::future::pending::<Result<()>>().await
        };
        let begun = Instant::now();
        let stop = CancellationToken::new();
        let error = within(limits(0, 30), &cancel, &stop, &progress, work).await.unwrap_err();
        assert_eq!(error.kind(), Kind::TimedOut);
        assert!(error.line().contains("while reading"), "{error}");
        let took = begun.elapsed().as_secs();
        assert!((1230..=1260).contains(&took), "{took}");
        assert!(stop.is_cancelled());
    }
}
