//! What the suites share.

pub mod bench;
pub mod by_hand;
pub mod daemon;
pub mod fixture;
pub mod keys;
pub mod memory;
pub mod mounts;
pub mod scrape;
pub mod sinks;
pub mod sqlite;
pub mod systemd;
pub mod tree;
pub mod users;
