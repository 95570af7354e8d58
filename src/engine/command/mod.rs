//! The command engine.

use super::Ability;
use super::kind::EngineKind;
use crate::model::Method;

/// The registry's line.
pub const KIND: EngineKind = EngineKind {
    name: "command",
    schemes: &[],
    keys: &["dump", "restore", "nice", "ionice"],
    abilities: &[Ability { method: Method::Logical, incremental: false, pitr: false }],
    recovery: "",
    open: None,
};
