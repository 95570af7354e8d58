//! The parts around the loop, which live as long as the daemon: one that ends before is started again.
//!
//! The loop itself and the process end together, and systemd starts both. A notifier that dies is started again by the outbox, the
//! history's thread outlives a job that panics, and what the timer loses is swept up.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Level;

use crate::error::DEFECT;
use crate::model::journal::Fields;
use crate::model::{Moment, Timespan};

/// The pause before a part is started again for the first time; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A part that lived for so long was well; its next pause is the first one.
const WELL: Duration = Duration::from_secs(10 * 60);

/// A part at work.
pub(super) type Part = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Keeps a part alive until `stop`, at which it ends by itself.
pub(super) async fn supervise(name: &'static str, stop: CancellationToken, start: impl Fn() -> Part) {
    let mut pause = FIRST_PAUSE;
    for time in 0u64.. {
        let begun = Instant::now();
        let ended = AssertUnwindSafe(as_told(name, time, async { start().await })).catch_unwind().await;
        if stop.is_cancelled() {
            return;
        }
        if begun.elapsed() >= WELL {
            pause = FIRST_PAUSE;
        }
        let how = if ended.is_err() { "panicked" } else { "ended" };
        let text = format!("{name} {how} and is started again in {}: {DEFECT}", Timespan(pause));
        Fields::of(Moment::PartRestarted).say(Level::ERROR, &text);
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Debug builds can be told to break a part soon after its first start, so that tests see it come back.
async fn as_told(name: &str, time: u64, part: impl Future<Output = ()>) {
    #[cfg(debug_assertions)]
    #[expect(clippy::panic, reason = "a test asks for it")]
    if time == 0 && std::env::var("QBACKD_PANIC_IN").is_ok_and(|names| names.contains(name)) {
        let _ = tokio::time::timeout(Duration::from_millis(300), part).await;
        panic!("told to panic in {name}");
    }
    #[cfg(not(debug_assertions))]
    let _ = (name, time);
    part.await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use super::*;

    /// A part that lives for so long and then panics, and how often it was started within a time.
    async fn starts(lives: Duration, within: Duration) -> u64 {
        let (count, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let counted = Arc::clone(&count);
        let part = move || {
            counted.fetch_add(1, SeqCst);
            let life = async move {
                sleep(lives).await;
                assert!(lives > Duration::MAX / 2, "a defect");
            };
            Box::pin(life) as Part
        };
        let kept = tokio::spawn(supervise("a part", stop.clone(), part));
        sleep(within).await;
        stop.cancel();
        kept.await.unwrap();
        count.load(SeqCst)
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_panics_is_started_again_with_a_pause_that_grows() {
        // At 0, 1, 3, 7, 15, 31, 63 and then once a minute.
        assert_eq!(starts(Duration::ZERO, Duration::from_millis(500)).await, 1);
        assert_eq!(starts(Duration::ZERO, Duration::from_millis(3500)).await, 3);
        assert_eq!(starts(Duration::ZERO, Duration::from_millis(184_000)).await, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_well_for_long_is_started_again_soon() {
        let hour = Duration::from_secs(3600);
        assert_eq!(starts(hour, hour * 10 + Duration::from_secs(11)).await, 11);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_at_the_stop_is_left_alone() {
        let stop = CancellationToken::new();
        let token = stop.clone();
        let part = move || {
            let token = token.clone();
            Box::pin(async move { token.cancelled().await }) as Part
        };
        let kept = tokio::spawn(supervise("a part", stop.clone(), part));
        stop.cancel();
        kept.await.unwrap();
    }
}
