//! Why a backup is kept or may go, in the words a person reads.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::model::{BackupId, Timespan};

/// A reason of a verdict. Shown and serialized as a short text: `daily 3 of 7: 2026-11-18`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Kept: there are no rules.
    NoKeep,
    /// Kept: nothing may be deleted here at present; says why.
    Held(String),
    /// Kept: a person pinned it.
    Pinned,
    /// Kept: it started after the present. A clock is or was wrong; no rule counts it.
    Future,
    /// Kept: it is the newest full backup that is known to be good.
    NewestGoodFull,
    /// Kept: no full backup here is known to be good.
    NoGoodFull,
    /// Kept by a rule that counts.
    Place {
        /// The key of the rule.
        rule: &'static str,
        /// Which of those that the rule keeps, from 1, the newest first.
        place: u32,
        /// How many the rule keeps.
        of: u32,
        /// The period it is the newest backup of, where the rule is about periods.
        period: Option<String>,
    },
    /// Kept by a rule about age.
    Younger {
        /// The key of the rule.
        rule: &'static str,
        /// The age it allows.
        than: Timespan,
    },
    /// Kept: the first moments of the window of `pitr` are restored from it.
    WindowBegins(Timespan),
    /// Kept: the rules say nothing about full backups.
    NoRuleForFulls,
    /// Kept: this one, which is kept, builds on it.
    NeededBy(BackupId),
    /// Kept: its full backup is, and there is no rule about the age of incrementals.
    FollowsFull(BackupId),
    /// May go: none of the rules keeps it.
    NoRule,
    /// May go: it is an incremental and older than `incremental`.
    OlderThan(Timespan),
    /// May go: its full backup, which no rule keeps either, is deleted or is not here.
    WithoutFull(BackupId),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeep => f.write_str("there is no `keep`"),
            Self::Held(why) => write!(f, "held: {why}"),
            Self::Pinned => f.write_str("pinned"),
            Self::Future => f.write_str("from the future, so no rule counts it"),
            Self::NewestGoodFull => f.write_str("newest good full"),
            Self::NoGoodFull => f.write_str("there is no good full"),
            Self::Place { rule, place, of, period: None } => write!(f, "{rule} {place} of {of}"),
            Self::Place { rule, place, of, period: Some(period) } => write!(f, "{rule} {place} of {of}: {period}"),
            Self::Younger { rule: "within", than } => write!(f, "within {than}"),
            Self::Younger { rule, than } => write!(f, "{rule}: within {than}"),
            Self::WindowBegins(than) => write!(f, "pitr: the window of {than} begins with it"),
            Self::NoRuleForFulls => f.write_str("no rule is about fulls"),
            Self::NeededBy(child) => write!(f, "{child} builds on it"),
            Self::FollowsFull(_) => f.write_str("its full is kept"),
            Self::NoRule => f.write_str("no rule keeps it"),
            Self::OlderThan(span) => write!(f, "no rule keeps it: it is older than `incremental`, {span}"),
            Self::WithoutFull(_) => f.write_str("no rule keeps it, nor its full"),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
