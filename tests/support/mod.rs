//! What the suites share.

pub mod keys;
