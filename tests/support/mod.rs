//! What the suites share.

pub mod fixture;
pub mod memory;
