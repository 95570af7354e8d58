//! Destinations: the one place that talks to OpenDAL.

pub mod options;

pub use options::DestinationOptions;
