//! The service: when what is done, and who may ask for it.

pub mod control;
pub mod journal;
