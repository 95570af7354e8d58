//! The timer: one-shot jobs of tokio-cron-scheduler, each of which says that something is due by now.
//!
//! That crate loses a job now and then (its channels are lossy) and does not cancel what is removed. So a firing is only a hint to
//! look what is due: one second has one job however many databases it is for, only what is due within minutes is armed, and a sweep
//! every minute finds what was lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::error::{Error, Result};

/// What is due within this time is armed. Twice the time between two sweeps, so that each firing is armed before it is due.
const HORIZON: Duration = Duration::from_secs(120);

/// The scheduler cuts instants to whole seconds, and would fire before the time.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// What is done with a second that has come.
type Fire = Arc<dyn Fn(Timestamp) + Send + Sync>;

/// Arms firings.
pub(super) struct Timer {
    clockwork: UnboundedSender<Order>,
    /// The seconds that have a job.
    armed: BTreeSet<Timestamp>,
    ticks: bool,
}

/// What the clockwork is to do, in this order.
enum Order {
    /// Fire at `at`, for what is due at this second.
    Fire { second: Timestamp, at: Instant },
    /// Nothing is armed any more.
    Rest,
}

impl Timer {
    /// Starts the scheduler. `fire` is called with each armed second when it has come.
    pub(super) async fn start(fire: impl Fn(Timestamp) + Send + Sync + 'static) -> Result<Self> {
        let scheduler = JobScheduler::new().await;
        let scheduler = scheduler.map_err(|e| Error::failed("cannot start the timer").because(e))?;
        let (clockwork, orders) = unbounded_channel();
        // The loop does not wait for the scheduler.
        tokio::spawn(work(Scheduler { jobs: scheduler, ticks: false }, orders, Arc::new(fire)));
        Ok(Self { clockwork, armed: BTreeSet::new(), ticks: false })
    }

    /// Has `fire` called when each of `instants` has come, as far as that is soon. What is past is not armed.
    pub(super) fn arm(&mut self, instants: impl IntoIterator<Item = Timestamp>, now: Timestamp) {
        self.armed.retain(|second| *second > now);
        for at in instants {
            let second = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
            let second = at.round(second).unwrap_or(at);
            let Ok(wait) = Duration::try_from(second.duration_since(now)) else { continue };
            if at > now && wait <= HORIZON && self.armed.insert(second) {
                self.order(Order::Fire { second, at: Instant::now() + wait + WHOLE_SECOND });
            }
        }
        if self.armed.is_empty() && self.ticks {
            self.order(Order::Rest);
        }
    }

    /// A firing came: whatever is still due in that second, since the clock was set back, is to be armed again.
    pub(super) fn fired(&mut self, second: Timestamp) {
        self.armed.remove(&second);
    }

    /// Ends the clockwork: from now on every firing is lost.
    #[cfg(test)]
    pub(super) fn break_down(&mut self) {
        self.order(Order::Rest);
        self.clockwork = unbounded_channel().0;
    }

    fn order(&mut self, order: Order) {
        self.ticks = matches!(order, Order::Fire { .. });
        // Without a clockwork the sweep finds what is due.
        let _ = self.clockwork.send(order);
    }
}

/// Does what is ordered, until nobody orders any more.
async fn work(mut scheduler: Scheduler, mut orders: UnboundedReceiver<Order>, fire: Fire) {
    while let Some(order) = orders.recv().await {
        let done = match order {
            Order::Fire { second, at } => scheduler.fire(second, at, &fire).await,
            Order::Rest => scheduler.rest().await,
        };
        if let Err(e) = done {
            tracing::debug!("the timer could not be set, the sweep will find what is due: {e}");
        }
    }
}

/// The scheduler looks twice a second whether a job is due. It does so only while there is one.
struct Scheduler {
    jobs: JobScheduler,
    ticks: bool,
}

impl Scheduler {
    async fn fire(
        &mut self,
        second: Timestamp,
        at: Instant,
        fire: &Fire,
    ) -> std::result::Result<(), JobSchedulerError> {
        if !self.ticks {
            self.wake().await?;
        }
        let fire = Arc::clone(fire);
        let job = Job::new_one_shot_at_instant_async(at, move |_, _| {
            fire(second);
            Box::pin(std::future::ready(()))
        })?;
        self.jobs.add(job).await.map(drop)
    }

    async fn rest(&mut self) -> std::result::Result<(), JobSchedulerError> {
        self.ticks = false;
        self.jobs.shutdown().await
    }

    /// `shutdown` ends the ticking and nothing else; it begins again with a new ticker, since the old one cannot be started twice.
    async fn wake(&mut self) -> std::result::Result<(), JobSchedulerError> {
        *self.jobs.scheduler.write().await = Default::default();
        if self.jobs.inited().await {
            self.jobs.scheduler.write().await.init(&self.jobs.context).await;
        }
        self.jobs.start().await?;
        self.ticks = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio::time::timeout;

    use super::*;
    use crate::model::{Clock, SystemClock};

    async fn start() -> (Timer, UnboundedReceiver<Timestamp>) {
        let (to, fired) = unbounded_channel();
        let timer = Timer::start(move |second| {
            let _ = to.send(second);
        });
        (timer.await.unwrap(), fired)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_fires_once_and_not_before_it_has_come() {
        let (mut timer, mut fired) = start().await;
        let now = SystemClock.now();
        let soon = now + SignedDuration::from_millis(1300);
        // Three databases in one second, one that is late already, and one that is not due for long.
        let near = [soon, soon + SignedDuration::from_nanos(1), soon, now - MINUTE, now, now + MINUTE * 3];
        timer.arm(near, now);
        timer.arm(near, now);
        let seconds: BTreeSet<Timestamp> = timer.armed.clone();
        assert!(!seconds.is_empty() && seconds.iter().all(|second| *second >= soon), "{seconds:?}, it is {now}");
        let mut came = BTreeSet::new();
        while came != seconds {
            let second = timeout(Duration::from_secs(30), fired.recv()).await.expect("it never fires").unwrap();
            assert!(SystemClock.now() >= second, "it fired before {second}");
            assert!(came.insert(second), "{second} fired twice");
        }
        assert!(timeout(Duration::from_secs(2), fired.recv()).await.is_err(), "there was one more");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_scheduler_that_is_gone_loses_its_firings_and_hurts_nobody() {
        let (mut timer, mut fired) = start().await;
        timer.break_down();
        let now = SystemClock.now();
        timer.arm([now + SignedDuration::from_millis(1)], now);
        let came = timeout(Duration::from_secs(3), fired.recv()).await;
        assert!(!matches!(came, Ok(Some(_))), "it was not lost: {came:?}");
    }

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);
}
