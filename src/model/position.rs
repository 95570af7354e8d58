//! Positions in a server's transaction log, and points in time a restore can aim at.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A position in the log of one server. What it means is the engine's business; rooms above only store and show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPosition {
    /// PostgreSQL: `16/B374D848`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<String>,
    /// PostgreSQL: the timeline the position is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
    /// MySQL, MariaDB: binary log file and offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binlog: Option<(String, u64)>,
    /// MySQL, MariaDB: the GTID set or position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
}

/// The part of the log that a backup spans: what must be replayed at least to make it consistent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSpan {
    /// Whether the backup itself holds that part; otherwise the log archive must.
    pub included: bool,
    /// One range a timeline, in order; a dump that is consistent at one point has one empty range.
    pub ranges: Vec<LogRange>,
}

/// A range of the log, on one timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRange {
    /// Where replay starts.
    pub start: LogPosition,
    /// Where the backup is consistent.
    pub end: LogPosition,
}

/// Where a restore from backup and logs stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestorePoint {
    /// The last transaction that committed before this instant.
    Time(Timestamp),
    /// This position.
    Position(LogPosition),
    /// A named restore point of PostgreSQL.
    Named(String),
}
