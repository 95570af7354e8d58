//! What the daemon and the verbs say to each other: the wire types, and the client that speaks them over the control socket.
//!
//! The wire is HTTP/1.1 with JSON over a Unix socket; `docs/control-api.md` describes it for everybody else.

pub mod client;
pub mod problem;
pub mod status;
pub mod wire;

pub use client::{Client, Follow};
pub use problem::Problem;
pub use status::{DatabaseStatus, State, Status};
pub use wire::{
    Backup, Build, Changed, Delete, Document, Ended, Entry, Handle, History, Made, Prune, Reload, Restore, Started,
    Tick,
};
