//! `[signing]`

use std::path::PathBuf;

use serde::Deserialize;

/// What `[signing]` says; one table for all policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SigningOptions {
    /// The ed25519 key that manifests are signed with.
    pub key_file: Option<PathBuf>,
    /// Public keys whose signatures are accepted besides the key's own.
    pub trusted: Vec<String>,
}
