//! `keep`: how long backups are kept. What any of its rules keeps is kept.

use std::num::NonZeroU32;

use serde::Deserialize;

use crate::model::Timespan;

/// Rules of retention; not given at all: keep everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// So many newest backups.
    pub last: Option<NonZeroU32>,
    /// All younger than this.
    pub within: Option<Timespan>,
    /// The newest backup of each of so many newest hours that hold one.
    pub hourly: Option<NonZeroU32>,
    /// The same for days.
    pub daily: Option<NonZeroU32>,
    /// The same for ISO weeks.
    pub weekly: Option<NonZeroU32>,
    /// The same for months.
    pub monthly: Option<NonZeroU32>,
    /// The same for years.
    pub yearly: Option<NonZeroU32>,
    /// So many newest full backups.
    pub full: Option<NonZeroU32>,
    /// Incremental backups younger than this.
    pub incremental: Option<Timespan>,
    /// Logs younger than this, and the fulls they need.
    pub pitr: Option<Timespan>,
}

impl Keep {
    /// Whether no rule was given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The rules that are lengths of time, by their keys.
    pub fn ages(&self) -> [(&'static str, Option<Timespan>); 3] {
        [("within", self.within), ("incremental", self.incremental), ("pitr", self.pitr)]
    }
}
