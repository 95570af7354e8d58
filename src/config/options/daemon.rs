//! `[daemon]`

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use crate::model::Timespan;

/// What `[daemon]` says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DaemonOptions {
    /// History, parents' manifests, spool. Not given: the first of `$STATE_DIRECTORY`, else `/var/lib/qbackd`.
    pub state_dir: Option<PathBuf>,
    /// The socket of the running daemon.
    pub control_socket: PathBuf,
    /// Runs at the same time, 1 to 1000.
    pub max_parallel: u32,
    /// The time zone of schedules, periods and times without offset, by its IANA name. Not given: the system's.
    pub timezone: Option<String>,
    /// Address of `/metrics` and `/healthz`. Not given: off.
    #[serde(deserialize_with = "listen")]
    pub listen: Option<SocketAddr>,
    /// How long runs stay in the history.
    pub history_keep: Timespan,
    /// How long running runs may go on after SIGTERM.
    pub shutdown_grace: Timespan,
    /// Who sees the status of a database.
    pub status: StatusFor,
    /// How long after a database has gone from the files it is detached.
    pub detach_after: Timespan,
}

impl Default for DaemonOptions {
    fn default() -> Self {
        Self {
            state_dir: None,
            control_socket: "/run/qbackd/control.sock".into(),
            max_parallel: 2,
            timezone: None,
            listen: None,
            history_keep: Timespan::from_secs(400 * 86_400),
            shutdown_grace: Timespan::from_secs(60),
            status: StatusFor::All,
            detach_after: Timespan::from_secs(86_400),
        }
    }
}

/// Who sees the status of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusFor {
    /// Everybody on the host.
    All,
    /// Members of its `owner` group, of the group `qbackd`, and root.
    Owners,
}

/// An address and a port; names are not resolved, since that could fail or change.
fn listen<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(|_| {
        serde::de::Error::custom(format!(
            "`{text}` is no address with a port: write one like `127.0.0.1:9090` or `[::1]:9090`"
        ))
    })
}
