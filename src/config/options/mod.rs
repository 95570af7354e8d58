//! What may be written in each table, typed: one file a table or a value with a form of its own. The options of engines,
//! destinations and stages live in their own rooms.

pub mod daemon;
pub mod database;
pub mod policy;
pub mod signing;

pub use daemon::{DaemonOptions, StatusFor};
pub use database::{DatabaseOptions, IoClass, Tls, TlsMode};
pub use policy::{Hooks, PolicyOptions, Retry};
pub use signing::SigningOptions;
