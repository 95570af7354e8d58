//! The control socket: who may ask the daemon for what, over HTTP and JSON on a Unix socket (`docs/control-api.md`).
//!
//! A [`Desk`] is what the daemon's loop offers; the rest of the room reads requests, knows the callers, and keeps those who are
//! slow, malformed, huge or many from hurting anybody.

mod answer;
pub mod caller;
pub mod desk;
mod office;
mod routes;
pub mod serve;
pub mod socket;
mod stream;

pub use caller::{ADMINS, Caller};
pub use desk::{Desk, Entry, Stage, Watch};
pub use office::Limits;
pub use serve::{GRACE, serve};
pub use socket::{Handed, Socket, handed_over};
