//! What the suites share.

pub mod bench;
pub mod fixture;
pub mod keys;
pub mod memory;
