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
mod errands;
mod facts;
mod ground;
mod http;
mod journal;
pub mod metrics;
mod reload;
mod runs;
mod scarce;
mod service;
mod shutdown;
mod space;
mod start;
mod stopping;
mod supervise;
mod timer;
mod watch;
mod weekly;
mod work;

pub use start::serve;
