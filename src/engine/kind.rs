//! What an engine says about itself; the registry lists one for each.

use super::options::{OptionError, SourceOptions};
use super::{Ability, Engine};

/// Makes an engine from its options.
pub type Open = fn(&SourceOptions) -> Result<Box<dyn Engine>, OptionError>;

/// What is known of an engine before one is made.
#[derive(Debug, Clone, Copy)]
pub struct EngineKind {
    /// `engine = "…"`
    pub name: &'static str,
    /// URL schemes that mean this engine.
    pub schemes: &'static [&'static str],
    /// The keys of `[database.NAME]` it knows besides those every database has; any other is an error.
    pub keys: &'static [&'static str],
    /// Its methods, the default first.
    pub abilities: &'static [Ability],
    /// How its artifacts are restored with ordinary tools, a line a command; part of RECOVERY.txt.
    pub recovery: &'static str,
    /// Makes one from its options; `None` while the engine is not built.
    pub open: Option<Open>,
}
