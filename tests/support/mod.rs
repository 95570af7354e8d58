//! What the suites share.

pub mod fixture;
pub mod keys;
pub mod memory;
