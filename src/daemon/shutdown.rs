//! The end: no new runs, those that run get their grace, then they are cancelled; and what `systemctl status` shows until then.

use jiff::Timestamp;
use tokio::time::Instant;

use super::core::Core;
use super::journal;
use super::stopping::{AHEAD, Stopping};
use crate::job::limits::cleaning;

/// Asked so often to stop, the daemon does not wait for anything any more.
const AT_ONCE: u32 = 3;

impl Core {
    /// SIGTERM or SIGINT: once is a request, twice is in a hurry.
    pub(super) fn stop(&mut self) {
        if let Some(stopping) = &mut self.stopping {
            stopping.asked += 1;
            return self.cancel_all("asked again to stop");
        }
        self.stopping = Some(Stopping { since: Instant::now(), asked: 1, cancelled: None });
        self.service.stopping();
        self.queue.clear();
        let waits = match self.running.is_empty() {
            true => "nothing runs".to_owned(),
            false => format!("{} may go on for {}", self.names_running(), self.plan.daemon.options.shutdown_grace),
        };
        journal::daemon_stopping(&waits);
    }

    /// Whether the loop may end.
    pub(super) fn stopped(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| self.running.is_empty() || stopping.asked >= AT_ONCE)
    }

    /// Asks the service manager to wait on, while what runs is within its time.
    pub(super) fn ask_for_time(&self) {
        let Some(stopping) = &self.stopping else { return };
        let grace = self.plan.daemon.options.shutdown_grace.0;
        let cleaning = self.running.values().map(|running| cleaning(&running.database.policy)).max();
        if stopping.in_time(grace, cleaning.unwrap_or_default(), Instant::now()) {
            self.service.needs(AHEAD);
        }
    }

    /// Waits for the end of the grace; for ever, while nobody asked to stop or all was cancelled already.
    pub(super) fn grace_ends(&self) -> impl Future<Output = ()> + use<> {
        let all_told = self.running.values().all(|running| running.cancel.is_cancelled());
        let grace = self.plan.daemon.options.shutdown_grace.0;
        // One that ends after the last instant there is has no end.
        let end = self.stopping.as_ref().filter(|_| !all_told).and_then(|stopping| stopping.since.checked_add(grace));
        async move {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Tells every run to stop; each is recorded as interrupted.
    pub(super) fn cancel_all(&mut self, why: &str) {
        if !self.running.is_empty() {
            tracing::warn!("{why}: cancelling {}", self.names_running());
        }
        self.running.values().for_each(|running| running.cancel.cancel());
        if let Some(stopping) = &mut self.stopping {
            stopping.cancelled.get_or_insert_with(Instant::now);
        }
    }

    fn names_running(&self) -> String {
        self.running.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// One line for people: `3 databases, 1 running (shop 41%), next blog in 2h`.
    pub(super) fn headline(&self) -> String {
        let now = self.now();
        let count = self.plan.databases.len();
        // What is wrong stands where a narrow terminal does not cut it off.
        let broken = self.configured.rejected.is_some();
        let degraded =
            if broken { "degraded: the configuration on the disk is broken, the last good one runs; " } else { "" };
        let mut line = format!("{degraded}{count} database{}", if count == 1 { "" } else { "s" });
        if !self.running.is_empty() {
            let shown: Vec<String> = self
                .running
                .iter()
                .take(3)
                .map(|(name, run)| {
                    run.percent().map_or_else(|| name.to_string(), |percent| format!("{name} {percent}%"))
                })
                .collect();
            line += &format!(", {} running ({})", self.running.len(), shown.join(", "));
        }
        if self.stopping.is_some() {
            return line + ", stopping";
        }
        let live = self.agendas.iter().filter(|(name, _)| !self.alarms.is_paused(name));
        let next = live.filter_map(|(name, agenda)| Some((agenda.next()?.at, name))).min();
        if let Some((at, name)) = next {
            line += &format!(", next {name} {}", from_now(at, now));
        }
        line + &self.alarms.in_short(&self.plan)
    }
}

/// `in 2h`, in one unit, so that the line seldom changes.
fn from_now(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.duration_since(now).as_secs();
    match seconds {
        ..=60 => "now".into(),
        61..=5399 => format!("in {}m", (seconds + 30) / 60),
        5400..=172_799 => format!("in {}h", (seconds + 1800) / 3600),
        _ => format!("in {}d", (seconds + 43_200) / 86_400),
    }
}
