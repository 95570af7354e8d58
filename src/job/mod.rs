//! Work as straight lines: backup, restore, verify, delete.

pub mod limits;
pub mod wanted;
