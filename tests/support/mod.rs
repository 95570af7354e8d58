//! What the suites share.

pub mod by_hand;
pub mod keys;
