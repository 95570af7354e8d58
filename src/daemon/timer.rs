//! The timer: one-shot jobs of tokio-cron-scheduler, which say that a database may be due.
//!
//! That crate loses a job now and then (its channels are lossy) and does not cancel what is removed. So a firing is only a hint: it
//! carries the generation of the agenda it was armed for and means nothing to another one, only what is due within minutes is
//! armed, and a sweep every minute finds what was lost.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio_cron_scheduler::{Job, JobScheduler};

use crate::error::{Error, Result};
use crate::model::Name;

/// What is due within this time is armed. Twice the time between two sweeps, so that each firing is armed before it is due.
pub(super) const HORIZON: Duration = Duration::from_secs(120);

/// The scheduler cuts instants to whole seconds, and would fire before the time.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// A timer that ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Firing {
    /// The database.
    pub(super) database: Name,
    /// The generation of its agenda when the timer was set.
    pub(super) generation: u64,
}

/// Arms firings.
pub(super) struct Timer {
    scheduler: JobScheduler,
}

impl Timer {
    /// Starts the scheduler.
    pub(super) async fn start() -> Result<Self> {
        let cannot = |e: tokio_cron_scheduler::JobSchedulerError| Error::failed("cannot start the timer").because(e);
        let scheduler = JobScheduler::new().await.map_err(cannot)?;
        scheduler.start().await.map_err(cannot)?;
        Ok(Self { scheduler })
    }

    /// Has `firing` sent to `to` after `wait`. One that cannot be armed is found by the sweep.
    pub(super) async fn arm(&self, firing: Firing, wait: Duration, to: UnboundedSender<Firing>) {
        let name = firing.database.clone();
        let job = Job::new_one_shot_at_instant_async(Instant::now() + wait + WHOLE_SECOND, move |_, _| {
            let (to, firing) = (to.clone(), firing.clone());
            Box::pin(async move {
                // A loop that is gone wants no firings.
                let _ = to.send(firing);
            })
        });
        let armed = match job {
            Ok(job) => self.scheduler.add(job).await,
            Err(e) => Err(e),
        };
        if let Err(e) = armed {
            tracing::debug!("{name}: the timer could not be armed, the sweep will find it: {e}");
        }
    }
}
