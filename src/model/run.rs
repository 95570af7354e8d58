//! Runs and what they are made of: kinds, outcomes, types of backup, methods, ids.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stamp::{compact, random_word};

/// Makes an enum whose variants have one word each, the same in files, JSON, history and on the screen.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every word, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word of this variant.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("`{text}` is none of {}", Self::WORDS.join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What a run does.
    RunKind {
        /// Makes a backup.
        Backup = "backup",
        /// Brings a backup to another destination.
        Copy = "copy",
        /// Brings data back.
        Restore = "restore",
        /// Proves a stored backup without restoring it over anything.
        Verify = "verify",
        /// Restores into a scratch instance to prove a backup.
        Drill = "drill",
        /// Applies retention.
        Prune = "prune",
        /// Deletes one backup by hand.
        Delete = "delete",
    }
}

words! {
    /// How a run ended.
    Outcome {
        /// All of it was done and proven.
        Succeeded = "succeeded",
        /// It was tried and failed.
        Failed = "failed",
        /// A limit of time ended it.
        TimedOut = "timed out",
        /// A crash, a signal or an operator ended it.
        Interrupted = "interrupted",
        /// A `before_backup` or `before_restore` hook refused it.
        Vetoed = "vetoed",
        /// It was due but another run made it unnecessary.
        Skipped = "skipped",
    }
}

words! {
    /// Whether a backup stands alone.
    BackupType {
        /// Restores by itself.
        Full = "full",
        /// Builds on the newest published backup of its chain.
        Incremental = "incremental",
    }
}

words! {
    /// What is backed up: what the engine says the data is, or the files it keeps it in.
    Method {
        /// A dump.
        Logical = "logical",
        /// The data files.
        Physical = "physical",
    }
}

pub(super) use words;

/// The id of a run: start, host and eight random characters, as text (`20261120T020000Z-db1-k3f9x2ab`), so that histories of hosts can be merged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A new id for a run on `host` that starts at `started`.
    pub fn new(started: Timestamp, host: &str) -> Self {
        let host: String =
            host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).take(64).collect();
        Self(format!("{}-{host}-{}", compact(started), random_word()))
    }

    /// An id as it was stored.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
