//! `[policy.NAME]`: reusable rules. Every key is optional here, since a database's own table may say it instead.

use serde::Deserialize;

use crate::model::OneOrMany;
use crate::model::Timespan;
use crate::notify::NotifyRule;
use crate::retention::Keep;
use crate::schedule::{Schedule, Window};
use crate::stage::CompressionOptions;

/// What a `[policy.NAME]` says, or the policy keys of a `[database.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyOptions {
    /// When full backups are made. Not given: by hand only.
    pub full: Option<OneOrMany<Schedule>>,
    /// When incremental backups are made. Not given: by hand only.
    pub incremental: Option<OneOrMany<Schedule>>,
    /// When a backup is proven by a restore into a scratch instance. Not given: by hand only.
    pub drill: Option<OneOrMany<Schedule>>,
    /// Whether the log is archived continuously. Default: false.
    pub pitr: Option<bool>,
    /// How much of the log may be lost at most. Default: 60s.
    pub max_loss: Option<Timespan>,
    /// Names of destinations, the primary first.
    pub destinations: Option<Vec<String>>,
    /// The name of an encryption, or `none`. Must be said.
    pub encryption: Option<String>,
    /// `zstd:LEVEL` or `none`. Default: `zstd:3`.
    pub compression: Option<CompressionOptions>,
    /// How long backups are kept. Not given: for ever.
    pub keep: Option<Keep>,
    /// How long dump and upload may take, without queueing, hooks and copies. Default: 30m.
    pub timeout: Option<Timespan>,
    /// How long no byte may move. Default: 5m.
    pub stall_timeout: Option<Timespan>,
    /// What happens after a failure. Default: `{ attempts = 2, after = "10m" }`.
    pub retry: Option<Retry>,
    /// A delay up to this, stable for a database. Default: none.
    pub randomized_delay: Option<Timespan>,
    /// Whether missed runs are caught up. Default: true.
    pub persistent: Option<bool>,
    /// When no run may start.
    pub not_between: Option<OneOrMany<Window>>,
    /// Consecutive failures after which the database is paused; 0 for never. Default: 3.
    pub pause_after: Option<u32>,
    /// How long without a success until the alarm. Default: the larger of 48h and 1.5 times the longest gap of the schedule.
    pub stale_after: Option<Timespan>,
    /// Who is told, and of what.
    pub notify: Option<OneOrMany<NotifyRule>>,
    /// The unix group that may act on these databases.
    pub owner: Option<String>,
    /// Commands around a run.
    pub hooks: Option<Hooks>,
    /// systemd units that are stopped for the backup.
    pub stop_units: Option<Vec<String>>,
    /// Whether runs are made at all. Default: true.
    pub enabled: Option<bool>,
}

impl PolicyOptions {
    /// These options where they say something, those of `base` where they do not.
    #[must_use]
    pub fn over(self, base: &Self) -> Self {
        fn or<T: Clone>(mine: Option<T>, base: &Option<T>) -> Option<T> {
            mine.or_else(|| base.clone())
        }
        Self {
            full: or(self.full, &base.full),
            incremental: or(self.incremental, &base.incremental),
            drill: or(self.drill, &base.drill),
            pitr: or(self.pitr, &base.pitr),
            max_loss: or(self.max_loss, &base.max_loss),
            destinations: or(self.destinations, &base.destinations),
            encryption: or(self.encryption, &base.encryption),
            compression: or(self.compression, &base.compression),
            keep: or(self.keep, &base.keep),
            timeout: or(self.timeout, &base.timeout),
            stall_timeout: or(self.stall_timeout, &base.stall_timeout),
            retry: or(self.retry, &base.retry),
            randomized_delay: or(self.randomized_delay, &base.randomized_delay),
            persistent: or(self.persistent, &base.persistent),
            not_between: or(self.not_between, &base.not_between),
            pause_after: or(self.pause_after, &base.pause_after),
            stale_after: or(self.stale_after, &base.stale_after),
            notify: or(self.notify, &base.notify),
            owner: or(self.owner, &base.owner),
            hooks: or(self.hooks, &base.hooks),
            stop_units: or(self.stop_units, &base.stop_units),
            enabled: or(self.enabled, &base.enabled),
        }
    }
}

/// What happens after a failed run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Attempts in total, 1 to 100.
    pub attempts: u32,
    /// The wait between two.
    pub after: Timespan,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 2, after: Timespan::from_secs(600) }
    }
}

/// Commands around a run, given to `/bin/sh -c`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// Before a backup; its failure is a veto.
    pub before_backup: Option<String>,
    /// After a backup that succeeded.
    pub after_backup: Option<String>,
    /// After a run that failed.
    pub on_failure: Option<String>,
    /// Before a restore; its failure is a veto.
    pub before_restore: Option<String>,
    /// After a restore that succeeded.
    pub after_restore: Option<String>,
    /// How long each may take.
    pub timeout: Timespan,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            before_backup: None,
            after_backup: None,
            on_failure: None,
            before_restore: None,
            after_restore: None,
            timeout: Timespan::from_secs(300),
        }
    }
}

impl Hooks {
    /// The commands that were given, by their keys.
    pub fn commands(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("before_backup", &self.before_backup),
            ("after_backup", &self.after_backup),
            ("on_failure", &self.on_failure),
            ("before_restore", &self.before_restore),
            ("after_restore", &self.after_restore),
        ]
        .into_iter()
        .filter_map(|(key, command)| Some((key, command.as_deref()?)))
    }
}
