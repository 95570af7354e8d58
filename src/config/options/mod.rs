//! What may be written in each table, typed: one file a table or a value with a form of its own. The options of engines,
//! destinations and stages live in their own rooms.

pub mod daemon;
pub mod database;
pub mod keep;
pub mod lists;
pub mod notify;
pub mod policy;
pub mod schedule;
pub mod schedule_fields;
pub mod signing;
pub mod window;

pub use daemon::{DaemonOptions, StatusFor};
pub use database::{DatabaseOptions, IoClass, Tls, TlsMode};
pub use keep::Keep;
pub use lists::{ListOrAll, OneOrMany};
pub use notify::{Event, NotifyRule, NotifyType};
pub use policy::{Hooks, PolicyOptions, Retry};
pub use schedule::Schedule;
pub use signing::SigningOptions;
pub use window::Window;

/// Reads a type from its text form, so that errors carry the type's own explanation.
macro_rules! from_text {
    ($name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use from_text;
