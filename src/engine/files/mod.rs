//! The files engine.

use super::Ability;
use super::kind::EngineKind;
use crate::model::Method;

/// The registry's line.
pub mod sums;

pub const KIND: EngineKind = EngineKind {
    name: "files",
    schemes: &[],
    keys: &["files", "exclude", "nice", "ionice"],
    abilities: &[Ability { method: Method::Logical, incremental: false, pitr: false }],
    recovery: "",
    open: None,
};
