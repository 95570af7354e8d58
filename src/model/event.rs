//! What happened that somebody may want to be told: the words of a policy's `notify`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::run::words;

words! {
    /// What somebody may want to be told.
    Event {
        /// A run failed, and its retries with it.
        Failed = "failed",
        /// A run succeeded after one that failed.
        Recovered = "recovered",
        /// A database was paused after failures.
        Paused = "paused",
        /// There was no success for too long.
        Stale = "stale",
        /// A copy failed.
        CopyFailed = "copy-failed",
        /// Another server or replica was dumped than before.
        SourceChanged = "source-changed",
        /// A backup is much smaller than the ones before.
        SuspiciousSize = "suspicious-size",
        /// A destination has little space left.
        LowSpace = "low-space",
        /// An edit of the configuration was refused.
        ConfigRejected = "config-rejected",
        /// The log has a gap.
        LogGap = "log-gap",
        /// A drill failed.
        DrillFailed = "drill-failed",
        /// How the week was.
        WeeklySummary = "weekly-summary",
        /// A run succeeded.
        Succeeded = "succeeded",
    }
}
