//! The sqlite engine.

use super::Ability;
use super::kind::EngineKind;
use crate::model::Method;

/// The registry's line.
pub const KIND: EngineKind = EngineKind {
    name: "sqlite",
    schemes: &["sqlite"],
    keys: &["url", "files", "exclude", "nice", "ionice"],
    abilities: &[Ability { method: Method::Logical, incremental: false, pitr: false }],
    recovery: "",
    open: None,
};
