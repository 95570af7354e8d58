//! What the suites share.

pub mod fixture;
pub mod memory;
pub mod sqlite;
pub mod tree;
