//! The keys of a `[database.NAME]` that say what is backed up and how its engine should go about it.

use std::path::PathBuf;

use serde::Deserialize;

use crate::model::{Method, SecretRef, Timespan};

/// The engine's part of a `[database.NAME]`, typed and checked key by key; which of them an engine knows is in its
/// [`EngineKind`](super::EngineKind).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceOptions {
    /// Where the database is: `postgresql://backup@db1/shop`, `sqlite:/srv/app.db`.
    pub url: Option<String>,
    /// The password for `url`.
    pub password: Option<SecretRef>,
    /// `logical` (a dump) or `physical` (the data files).
    pub method: Method,
    /// How many threads the engine's tool may use.
    pub jobs: u32,
    /// Folders and files to archive.
    pub files: Vec<PathBuf>,
    /// Globs of what to leave out of `files`.
    pub exclude: Vec<String>,
    /// The command whose stdout is the dump.
    pub dump: Vec<String>,
    /// The command that takes the dump on stdin.
    pub restore: Vec<String>,
    /// How long a dump may wait for a lock.
    pub lock_timeout: Option<Timespan>,
    /// Where the engine's tools are.
    pub tools_dir: Option<PathBuf>,
    /// Extra arguments for the dump tool.
    pub dump_args: Vec<String>,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            url: None,
            password: None,
            method: Method::Logical,
            jobs: 1,
            files: Vec::new(),
            exclude: Vec::new(),
            dump: Vec::new(),
            restore: Vec::new(),
            lock_timeout: None,
            tools_dir: None,
            dump_args: Vec::new(),
        }
    }
}

/// What an engine finds wrong with its options: the key, what is wrong with it, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OptionError {
    /// The key of `[database.NAME]`; the error is shown there, or at the table's head if the key is missing.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}
