//! What is done once a day: retention of every database, and the history's own.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::agenda::span;
use super::core::Core;
use super::runs::Ticket;
use crate::config::Database;
use crate::history::{Entry, EventFilter};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The word by which the history knows the last time.
const WORD: &str = "daily";

impl Core {
    /// Does it, if a day has gone by since the last time. The history remembers, so that no restart puts it off.
    pub(super) fn daily(&mut self, now: Timestamp) {
        let history = &self.ground.history;
        let last = *self.daily.get_or_insert_with(|| {
            let filter = EventFilter { word: Some(WORD.into()), ..EventFilter::default() };
            history.read().events(&filter, 1).ok().and_then(|newest| Some(newest.first()?.at)).unwrap_or(Timestamp::MIN)
        });
        // A clock that was set back far is no reason to wait for it to come round again.
        if now.duration_since(last).abs() < DAY || self.stopping.is_some() {
            return;
        }
        self.daily = Some(now);
        let forget = now.saturating_sub(span(self.plan.daemon.options.history_keep.0)).unwrap_or(Timestamp::MIN);
        let history = Arc::clone(history);
        tokio::task::spawn_blocking(move || {
            let noted = history.event(Entry::by_itself(now, WORD, "the daily work began"));
            if let Err(e) = noted.and_then(|()| history.forget_before(forget)) {
                tracing::warn!("{}", e.line());
            }
        });
        // One that was never backed up has nothing to lose, and perhaps no folder to look into.
        let ruled = self.plan.databases.values().filter(|one| has_rules(one) && self.alarms.has_backup(&one.name));
        self.queue.extend(ruled.map(|database| Ticket::Prune(database.name.clone())));
        let plan = Arc::clone(&self.plan);
        self.look_at_space(plan.destinations.values());
    }
}

/// Whether there is anything to apply: the rules are the policy's, or those of one of its destinations.
fn has_rules(database: &Database) -> bool {
    database.policy.keep.is_some() || database.policy.destinations.iter().any(|destination| destination.keep.is_some())
}
