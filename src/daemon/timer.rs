//! The timer: one-shot jobs of tokio-cron-scheduler, each of which says that something is due by now.
//!
//! That crate loses a job now and then (its channels are lossy) and does not cancel what is removed. So a firing is only a hint to
//! look what is due: one second has one job however many databases it is for, only what is due within minutes is armed, and a sweep
//! every minute finds what was lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use tokio_cron_scheduler::{Job, JobScheduler};

use crate::error::{Error, Result};

/// What is due within this time is armed. Twice the time between two sweeps, so that each firing is armed before it is due.
const HORIZON: Duration = Duration::from_secs(120);

/// The scheduler cuts instants to whole seconds, and would fire before the time.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// Arms firings.
pub(super) struct Timer {
    scheduler: JobScheduler,
    fire: Arc<dyn Fn(Timestamp) + Send + Sync>,
    /// The seconds that have a job.
    armed: BTreeSet<Timestamp>,
}

impl Timer {
    /// Starts the scheduler. `fire` is called with each armed second when it has come.
    pub(super) async fn start(fire: impl Fn(Timestamp) + Send + Sync + 'static) -> Result<Self> {
        let cannot = |e: tokio_cron_scheduler::JobSchedulerError| Error::failed("cannot start the timer").because(e);
        let scheduler = JobScheduler::new().await.map_err(cannot)?;
        scheduler.start().await.map_err(cannot)?;
        Ok(Self { scheduler, fire: Arc::new(fire), armed: BTreeSet::new() })
    }

    /// Has `fire` called when each of `instants` has come, as far as that is soon. What is past is not armed.
    pub(super) fn arm(&mut self, instants: impl IntoIterator<Item = Timestamp>, now: Timestamp) {
        self.armed.retain(|second| *second > now);
        for at in instants {
            let second = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
            let second = at.round(second).unwrap_or(at);
            let Ok(wait) = Duration::try_from(second.duration_since(now)) else { continue };
            if at > now && wait <= HORIZON && self.armed.insert(second) {
                self.set(second, wait);
            }
        }
    }

    /// A firing came: whatever is still due in that second, since the clock was set back, is to be armed again.
    pub(super) fn fired(&mut self, second: Timestamp) {
        self.armed.remove(&second);
    }

    /// The loop does not wait for the scheduler. What cannot be armed is found by the sweep.
    fn set(&self, second: Timestamp, wait: Duration) {
        let (scheduler, fire) = (self.scheduler.clone(), Arc::clone(&self.fire));
        let job = Job::new_one_shot_at_instant_async(Instant::now() + wait + WHOLE_SECOND, move |_, _| {
            fire(second);
            Box::pin(std::future::ready(()))
        });
        tokio::spawn(async move {
            let armed = match job {
                Ok(job) => scheduler.add(job).await,
                Err(e) => Err(e),
            };
            if let Err(e) = armed {
                tracing::debug!("the timer could not be armed, the sweep will find what is due: {e}");
            }
        });
    }
}
