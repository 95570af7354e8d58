//! The service: when what is done, and who may ask for it.
//!
//! One loop (`core`) owns all state that changes; whatever happens comes to it as a message. When a database is due is worked out
//! in `agenda`, what runs and what becomes of it is in `work`, the files come in through `reload`.

mod agenda;
mod alarms;
mod chronicle;
mod configured;
pub mod control;
mod core;
mod daily;
mod desk;
mod facts;
mod ground;
mod http;
mod journal;
pub mod metrics;
mod reload;
mod runs;
mod service;
mod shutdown;
mod start;
mod timer;
mod watch;
mod work;

pub use start::serve;
