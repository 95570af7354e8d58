//! What every request is answered from, and within which limits.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Desk;

/// How much callers may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body of a request.
    pub body: usize,
    /// How long the head may take, and then the body.
    pub patience: Duration,
    /// Connections at the same time of one user.
    pub connections_of_one: usize,
    /// Connections at the same time of all users but root, whom nobody can lock out.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 64 << 10, patience: Duration::from_secs(10), connections_of_one: 64, connections: 256 }
    }
}

/// What every request is answered from.
#[derive(Clone)]
pub(super) struct Office {
    pub(super) desk: Arc<dyn Desk>,
    pub(super) limits: Limits,
    /// When the daemon started.
    pub(super) started: Timestamp,
    /// The server ends; streams end with it.
    pub(super) stop: CancellationToken,
}
