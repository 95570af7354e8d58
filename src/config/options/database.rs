//! The keys of a `[database.NAME]` that are neither its engine's own nor a policy's.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use crate::model::{ListOrAll, OneOrMany, from_text};
use crate::model::{SecretRef, Timespan};

/// What a `[database.NAME]` says whatever its engine is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseOptions {
    /// The engine. Not given: the one that the URL's scheme means.
    pub engine: Option<String>,
    /// The policy. Must be said.
    pub policy: Option<String>,
    /// How the connection is protected. Not given: verified where the server is not on this host.
    pub tls: Option<Tls>,
    /// URLs of replicas that may be dumped instead.
    pub replicas: Vec<String>,
    /// How far behind a replica may be. Default: 60s.
    pub max_lag: Option<Timespan>,
    /// How many backups a chain may have, its full included. Default: 48.
    pub chain_max: Option<u32>,
    /// The databases of the server. Not given: the one of the URL.
    pub databases: Option<ListOrAll>,
    /// Only these tables.
    pub include_tables: Option<ListOrAll>,
    /// Not these tables.
    pub exclude_tables: Vec<String>,
    /// The nice value of the engine's tools, -20 to 19.
    pub nice: Option<i32>,
    /// The I/O class of the engine's tools: `idle`, `best-effort`, `best-effort:0` to `best-effort:7`.
    pub ionice: Option<IoClass>,
    /// Queries that must return true after a restore or drill.
    pub check_sql: OneOrMany<String>,
}

/// How a connection to a server is protected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// How much is demanded.
    pub mode: TlsMode,
    /// The certificates of the authorities that are trusted. Not given: the system's.
    pub ca: Option<PathBuf>,
    /// The client's certificate.
    pub cert: Option<PathBuf>,
    /// The key of `cert`.
    pub key: Option<SecretRef>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { mode: TlsMode::VerifyFull, ca: None, cert: None, key: None }
    }
}

/// How much protection a connection must have. There is no `prefer`: it falls back to plain text without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Plain text.
    Disable,
    /// Encrypted, to whoever answers.
    Require,
    /// Encrypted, to a server with a certificate of a trusted authority.
    VerifyCa,
    /// Encrypted, to the very host that was named.
    VerifyFull,
}

/// An I/O scheduling class (ionice(1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoClass {
    /// Only when nobody else wants the disk.
    Idle,
    /// The ordinary class with a priority, 0 the highest and 7 the lowest.
    BestEffort(u8),
}

impl FromStr for IoClass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "idle" => Some(Self::Idle),
            None if text == "best-effort" => Some(Self::BestEffort(4)),
            Some(("best-effort", level)) => level.parse().ok().filter(|l| *l <= 7).map(Self::BestEffort),
            _ => None,
        }
        .ok_or_else(|| format!("`{text}` is no I/O class: write `idle`, or `best-effort:N` with N from 0 to 7"))
    }
}

from_text!(IoClass);
