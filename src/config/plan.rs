//! What the files mean: everything resolved, every default applied. It can be made in code as well, without any file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::options::{DaemonOptions, DatabaseOptions, Hooks, Retry, SigningOptions};
use crate::engine::{EngineKind, SourceOptions};
use crate::model::{Name, Timespan};
use crate::notify::{Notify, NotifyRule};
use crate::retention::Keep;
use crate::schedule::{Schedule, Window};
use crate::stage::{CompressionOptions, EncryptionOptions};
use crate::store::DestinationOptions;

/// Everything qbackd is to do.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The service itself.
    pub daemon: Daemon,
    /// Signatures of manifests, where they are made.
    pub signing: Option<SigningOptions>,
    /// Places where backups live.
    pub destinations: BTreeMap<Name, Arc<Destination>>,
    /// How artifacts are encrypted.
    pub encryptions: BTreeMap<Name, Arc<Encryption>>,
    /// Ways to tell somebody.
    pub notify: BTreeMap<Name, Arc<Notify>>,
    /// Rules as they stand in `[policy.NAME]`; a database has its own, see [`Database::policy`].
    pub policies: BTreeMap<Name, Arc<Policy>>,
    /// What is backed up.
    pub databases: BTreeMap<Name, Arc<Database>>,
}

impl Plan {
    /// A destination as people know it: by its name, and its `label` where it has one.
    pub fn called(&self, destination: &str) -> String {
        let label = self.destinations.get(destination).and_then(|known| known.options.label.as_deref());
        label.map_or_else(|| destination.to_owned(), |label| format!("{destination} ({label})"))
    }
}

/// `[daemon]`, with what its defaults take from the environment.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// As written.
    pub options: DaemonOptions,
    /// History, locks, parents' manifests, spool.
    pub state_dir: PathBuf,
}

impl Default for Daemon {
    fn default() -> Self {
        Self::from(DaemonOptions::default())
    }
}

impl From<DaemonOptions> for Daemon {
    fn from(options: DaemonOptions) -> Self {
        // systemd gives several state directories as a list with colons (systemd.exec(5)); the first is ours.
        let given = || {
            std::env::var("STATE_DIRECTORY").ok()?.split(':').next().filter(|dir| !dir.is_empty()).map(PathBuf::from)
        };
        let state_dir = options.state_dir.clone().or_else(given).unwrap_or_else(|| "/var/lib/qbackd".into());
        Self { options, state_dir }
    }
}

impl Daemon {
    /// Has the keys stay as they are in `running` that cannot change while the daemon lives ([`AT_RESTART`]).
    pub fn keep_until_restart(&mut self, running: &Self) {
        self.state_dir.clone_from(&running.state_dir);
        self.options.state_dir.clone_from(&running.options.state_dir);
        self.options.control_socket.clone_from(&running.options.control_socket);
        self.options.listen = running.options.listen;
    }
}

/// Keys of `[daemon]` that count from the next start on.
pub const AT_RESTART: [&str; 3] = ["state_dir", "control_socket", "listen"];

/// A `[destination.NAME]`.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its name.
    pub name: Name,
    /// Where it is and how it is spoken to.
    pub options: DestinationOptions,
    /// Other rules of retention than the policy's.
    pub keep: Option<Keep>,
}

/// An `[encryption.NAME]`.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// Its name.
    pub name: Name,
    /// To whom, and who may open.
    pub options: EncryptionOptions,
}

/// The rules for a database, with every default. [`Policy::default`] has the defaults of the design, and no destination.
#[derive(Debug, Clone)]
pub struct Policy {
    /// When full backups are made; empty: by hand only.
    pub full: Vec<Schedule>,
    /// When incremental backups are made; empty: by hand only.
    pub incremental: Vec<Schedule>,
    /// When a backup is proven by a drill; empty: by hand only.
    pub drill: Vec<Schedule>,
    /// Whether the log is archived.
    pub pitr: bool,
    /// How much of the log may be lost.
    pub max_loss: Timespan,
    /// The primary destination, then those that get copies. A database's policy has at least one.
    pub destinations: Vec<Arc<Destination>>,
    /// To whom artifacts are encrypted; `None` is `"none"`: nobody. (A policy alone may also have left it to its databases.)
    pub encryption: Option<Arc<Encryption>>,
    /// How artifacts are compressed.
    pub compression: CompressionOptions,
    /// What is kept; `None`: everything.
    pub keep: Option<Keep>,
    /// How long dump and upload may take.
    pub timeout: Timespan,
    /// How long no byte may move.
    pub stall_timeout: Timespan,
    /// What happens after a failure.
    pub retry: Retry,
    /// The largest delay of a start.
    pub randomized_delay: Timespan,
    /// Whether missed runs are caught up.
    pub persistent: bool,
    /// When no run may start.
    pub not_between: Vec<Window>,
    /// Consecutive failures after which the database is paused; 0: never.
    pub pause_after: u32,
    /// How long without a success until the alarm; `None`: told by the schedule.
    pub stale_after: Option<Timespan>,
    /// Who is told of what.
    pub notify: Vec<NotifyRule>,
    /// The unix group that may act.
    pub owner: Option<String>,
    /// Commands around a run.
    pub hooks: Hooks,
    /// systemd units that are stopped for the backup.
    pub stop_units: Vec<String>,
    /// Whether runs are made at all.
    pub enabled: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            full: Vec::new(),
            incremental: Vec::new(),
            drill: Vec::new(),
            pitr: false,
            max_loss: Timespan::from_secs(60),
            destinations: Vec::new(),
            encryption: None,
            compression: CompressionOptions::default(),
            keep: None,
            timeout: Timespan::from_secs(30 * 60),
            stall_timeout: Timespan::from_secs(5 * 60),
            retry: Retry::default(),
            randomized_delay: Timespan::default(),
            persistent: true,
            not_between: Vec::new(),
            pause_after: 3,
            stale_after: None,
            notify: Vec::new(),
            owner: None,
            hooks: Hooks::default(),
            stop_units: Vec::new(),
            enabled: true,
        }
    }
}

/// A `[database.NAME]`.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name.
    pub name: Name,
    /// What knows its kind.
    pub engine: &'static EngineKind,
    /// What is backed up, and how the engine goes about it.
    pub source: SourceOptions,
    /// The other keys of its table.
    pub options: DatabaseOptions,
    /// Its rules: its policy's, and over them its own.
    pub policy: Arc<Policy>,
}
