//! What a policy says about compression and encryption.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::model::SecretRef;

/// `compression = "zstd:3"`, or `"none"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionOptions {
    /// zstd at this level, 1 to 19.
    Zstd(i32),
    /// No compression.
    None,
}

impl Default for CompressionOptions {
    fn default() -> Self {
        Self::Zstd(3)
    }
}

impl FromStr for CompressionOptions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = |level: &str| level.parse().ok().filter(|l| (1..=19).contains(l)).map(Self::Zstd);
        match text.split_once(':') {
            None if text == "none" => Some(Self::None),
            None if text == "zstd" => Some(Self::default()),
            Some(("zstd", number)) => level(number),
            _ => None,
        }
        .ok_or_else(|| format!("`{text}` is not a compression: write `zstd:LEVEL` with a level of 1 to 19, or `none`"))
    }
}

impl<'de> Deserialize<'de> for CompressionOptions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An `[encryption.NAME]`: age recipients to encrypt to, and identities this host may open backups with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncryptionOptions {
    /// age recipients: `age1…`, `ssh-ed25519 …`, `ssh-rsa …`, a plugin's.
    pub recipients: Vec<String>,
    /// A file of recipients, one a line, `#` begins a comment.
    pub recipients_file: Option<PathBuf>,
    /// A passphrase instead of recipients; then this host can decrypt.
    pub passphrase: Option<SecretRef>,
    /// Files of identities that let this host restore and drill unattended; old ones are kept for old backups.
    pub identity_files: Vec<PathBuf>,
}
