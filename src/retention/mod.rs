//! What is kept and what may go: a pure function of backups, rules and time.

mod keep;

pub use keep::Keep;
