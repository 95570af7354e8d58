//! Work as straight lines: backup, restore, verify, download, delete, prune.
//!
//! A job gets a [`Context`] and does one thing from its record in the history to its record in the history. It prints
//! nothing and asks nothing; who called it does.

pub mod backup;
pub mod context;
pub mod delete;
pub mod download;
pub mod failures;
mod hooks;
pub mod limits;
pub mod overview;
pub mod pausing;
pub mod place;
pub mod prune;
pub mod recorded;
pub mod restore;
pub mod scratch;
pub mod standing;
pub mod sweep;
pub mod units;
pub mod verify;
pub mod wanted;

pub use context::{Context, Scheduled};
pub use place::Place;
pub use wanted::Wanted;
