//! The files of a backup: what they are called, how large they are, how they are stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of an artifact's plain content (`shop.dump`, `files.tar`): one component of a path, of `[A-Za-z0-9._-]`, not hidden, at most 128 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

/// Why a text is no file name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a safe file name")]
pub struct NotAFileName(pub String);

impl FileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = NotAFileName;

    fn from_str(text: &str) -> Result<Self, NotAFileName> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        let safe = !text.is_empty() && text.len() <= 128 && !text.starts_with(['.', '-']);
        if plain && safe { Ok(Self(text.to_owned())) } else { Err(NotAFileName(text.to_owned())) }
    }
}

impl TryFrom<String> for FileName {
    type Error = NotAFileName;

    fn try_from(text: String) -> Result<Self, NotAFileName> {
        text.parse()
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How many bytes passed a point of the pipeline, and their SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, 64 lowercase hex digits.
    pub sha256: String,
}

/// What an engine announces when it opens an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactSpec {
    /// What is inside, as the engine's tools call it. The repository adds `.zst` and `.age`.
    pub name: FileName,
    /// Whether the engine's own tool compressed it already; then the repository does not.
    pub compressed: bool,
    /// Whether a later incremental backup needs this artifact in plain. Such artifacts are small; the host keeps a copy, so
    /// that it needs no key to build on it (`backup_manifest` of `pg_basebackup`, `xtrabackup_checkpoints`).
    pub for_children: bool,
}

impl ArtifactSpec {
    /// An ordinary artifact: compressed by the repository, not needed by children.
    pub fn new(name: FileName) -> Self {
        Self { name, compressed: false, for_children: false }
    }
}

/// One file of a backup, as the manifest records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// What is inside (`shop.dump`).
    pub name: FileName,
    /// Where it lies, relative to the backup's folder; opaque to everything but the repository (`shop.dump.zst.age`).
    pub location: FileName,
    /// What the engine handed over.
    pub plain: Measured,
    /// What lies at the destination.
    pub stored: Measured,
    /// `zstd`, or `none` where the engine's tool compressed or the policy says so.
    pub compression: Compression,
    /// `age`, or `none`.
    pub encryption: Encryption,
    /// See [`ArtifactSpec::for_children`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_children: bool,
}

/// Lowercase hex digits of a hash.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// How the repository compressed an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// One zstd frame (RFC 8878) with content checksum.
    Zstd,
    /// Not at all.
    None,
}

/// How the repository encrypted an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// An age file (age-encryption.org/v1), binary.
    Age,
    /// Not at all.
    None,
}
