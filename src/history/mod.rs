//! The local record of runs, in SQLite under `state_dir`, and the locks that prove a run alive.
//!
//! A [`StateDir`] is the folder, made and owned as it should be. [`History`] writes: one thread owns the connection, and
//! what [`History::begin`] and [`History::finish`] return for is on the disk. Between its
//! runs a database has a [`Condition`], which [`History::amend`] changes. [`Reader`] reads. [`lock`] holds the rule
//! that whoever runs a database holds `state_dir/lock/NAME`.

mod condition;
mod damage;
mod databases;
mod events;
mod follow;
mod forget;
pub mod lock;
mod open;
mod read;
mod record;
mod schema;
mod sql;
mod state_dir;
mod tally;
mod write;

pub use condition::{Condition, Hold, LastDue, Newest, Pause, PausedBy};
pub use damage::Damage;
pub use events::{Action, ActionFilter, Entry, EventFilter};
pub use follow::{Item, Seen};
pub use lock::Lock;
pub use read::{Filter, Reader};
pub use record::{Ending, Level, Line, NewRun, Phase, Run};
pub use state_dir::StateDir;
pub use tally::Tally;
pub use write::History;
