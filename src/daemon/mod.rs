//! The service: when what is done, and who may ask for it.

pub mod control;
mod http;
pub mod metrics;
