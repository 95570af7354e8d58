//! How far a stop is: since when, how often it was asked for, and how long the service manager is asked to wait for it.

use std::time::Duration;

use tokio::time::Instant;

/// How long the service manager is asked to wait each time. A loop that hangs asks no more, and is ended after that.
pub(super) const AHEAD: Duration = Duration::from_secs(30);

/// How often it is asked.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The daemon was asked to stop.
pub(super) struct Stopping {
    pub(super) since: Instant,
    /// How often.
    pub(super) asked: u32,
    /// When what still ran was cancelled.
    pub(super) cancelled: Option<Instant>,
}

impl Stopping {
    /// Whether what runs is within its time: that of the grace, and after it that of cleaning up.
    pub(super) fn in_time(&self, grace: Duration, cleaning: Duration, now: Instant) -> bool {
        match self.cancelled {
            Some(cancelled) => now.duration_since(cancelled) < cleaning,
            None => now.duration_since(self.since) < grace.saturating_add(cleaning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_is_asked_to_wait_for_any_grace_and_not_for_a_run_that_never_ends() {
        let (since, cleaning) = (Instant::now(), Duration::from_secs(30));
        let after = |seconds| since + Duration::from_secs(seconds);
        let mut stopping = Stopping { since, asked: 1, cancelled: None };
        let hour = Duration::from_secs(3600);
        assert!(stopping.in_time(hour, cleaning, after(3629)) && !stopping.in_time(hour, cleaning, after(3630)));
        assert!(stopping.in_time(Duration::MAX, cleaning, after(1 << 40)));
        // Cancelled before the end of the grace.
        stopping.cancelled = Some(after(10));
        assert!(stopping.in_time(hour, cleaning, after(39)) && !stopping.in_time(hour, cleaning, after(40)));
    }
}
