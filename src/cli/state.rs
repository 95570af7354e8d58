//! Where the state is, for verbs that need nothing else of the configuration.

use std::path::PathBuf;

use super::Global;
use crate::error::Result;

/// `state_dir` as the configuration has it.
pub(super) fn dir(_global: &Global) -> Result<PathBuf> {
    let given = std::env::var("STATE_DIRECTORY").ok();
    // systemd gives several state directories as a list with colons (systemd.exec(5)); the first is ours.
    let first = given.as_deref().and_then(|list| list.split(':').next()).filter(|dir| !dir.is_empty());
    Ok(PathBuf::from(first.unwrap_or("/var/lib/qbackd")))
}
