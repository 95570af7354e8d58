//! What systemd is told: ready, reloading, stopping, alive, and a line for people (sd_notify(3)). Without systemd nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Speaks to the service manager.
#[derive(Debug, Default)]
pub(super) struct Service {
    said: String,
}

impl Service {
    /// The service works.
    pub(super) fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The configuration is being read again; [`Service::ready`] ends that.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The service ends.
    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// It needs so much longer to start or to end, or to say so again. More than the 71 minutes that fit in here are asked for piece by piece.
    pub(super) fn needs(&self, longer: Duration) {
        tell(&[NotifyState::ExtendTimeoutUsec(u32::try_from(longer.as_micros()).unwrap_or(u32::MAX))]);
    }

    /// The loop that does the work turns.
    pub(super) fn alive(&self) {
        tell(&[NotifyState::Watchdog]);
    }

    /// What `systemctl status` shows.
    pub(super) fn status(&mut self, line: String) {
        if line != self.said {
            tell(&[NotifyState::Status(&line)]);
            self.said = line;
        }
    }
}

/// Ticks as often as the watchdog wants to hear of us; `None` if there is none.
pub(super) fn pulse() -> Option<Interval> {
    let mut pulse = interval(sd_notify::watchdog_enabled()? / 2);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(pulse)
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(state) {
        tracing::debug!("cannot notify the service manager: {e}");
    }
}
