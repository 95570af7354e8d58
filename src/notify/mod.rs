//! Telling people: a message to mail, a webhook, a command and the like.

pub mod options;

pub use options::{NotifyRule, NotifyType};
