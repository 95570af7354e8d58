//! What the daemon and the verbs say to each other: the wire types, and the client that speaks them over the control socket.
//!
//! The wire is HTTP/1.1 with JSON over a Unix socket; `docs/control-api.md` describes it for everybody else.

pub mod client;
pub mod problem;
pub mod retention;
pub mod status;
pub mod wire;

pub use client::{Client, Follow};
pub use problem::Problem;
pub use retention::Pruned;
pub use status::{DatabaseStatus, State, Status};
pub use wire::{
    Backup, Build, Changed, Delete, Deleted, Document, Ended, Entry, Going, Handle, History, Made, Pause, Prune,
    Reload, Restore, Started, Tick, ToDelete,
};
