//! The last accepted configuration, kept in `state_dir`: it runs while the files are broken, also after a reboot.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Loaded, Report, load_texts};
use crate::error::{Error, Result};
use crate::history::StateDir;

const FOLDER: &str = "accepted";
const FILE: &str = "files.json";
/// No configuration is larger, in bytes.
const LIMIT: u64 = 256 << 20;

/// The files as they were read. They hold no secrets, only references to them.
#[derive(Debug, Serialize, Deserialize)]
struct Accepted {
    files: Vec<(PathBuf, String)>,
}

/// Keeps the files of a configuration that was accepted.
///
/// # Errors
/// It cannot be written; the one before stays.
pub fn keep(state: &StateDir, report: &Report) -> Result<()> {
    let files = report.sources().iter().map(|source| (source.path().to_owned(), source.text().to_owned())).collect();
    let text = serde_json::to_vec(&Accepted { files });
    state.keep(FOLDER, FILE, &text.map_err(|e| Error::failed("cannot keep the configuration").because(e))?)
}

/// The configuration that was accepted last, if there is one that can still be used.
///
/// # Errors
/// It cannot be read.
pub fn last(state: &StateDir) -> Result<Option<Loaded>> {
    let Some(text) = state.kept(FOLDER, FILE, LIMIT)? else { return Ok(None) };
    let files = serde_json::from_slice(&text).map(|accepted: Accepted| accepted.files);
    // One of another version of qbackd, or a damaged one.
    Ok(files.ok().and_then(|files| load_texts(files).ok()))
}
