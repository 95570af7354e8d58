//! Room on a file system, checked before something large is written there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Explain, Result};
use crate::model::Size;

/// Room that something takes on a file system, and what was free there when somebody looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// A folder on that file system.
    pub folder: PathBuf,
    /// Bytes that are needed.
    pub bytes: u64,
    /// Bytes that were free for this user.
    pub free: u64,
}

impl Need {
    /// Looks how much is free where `bytes` are needed.
    ///
    /// # Errors
    /// `folder` cannot be looked at.
    pub fn of(folder: &Path, bytes: u64) -> Result<Self> {
        Ok(Self { folder: folder.to_owned(), bytes, free: free(folder)? })
    }

    /// Whether it was enough.
    ///
    /// # Errors
    /// It was not.
    pub fn check(&self) -> Result<()> {
        if self.free >= self.bytes {
            return Ok(());
        }
        Err(Error::failed(format!("not enough space in {}", self.folder.display()))
            .because(format!("{} are needed, {} are free", Size(self.bytes), Size(self.free)))
            .hint("free some space there, or choose another place"))
    }
}

/// Checks that `needed` bytes can be written to the file system of `dir` by this user.
///
/// # Errors
/// They cannot, or `dir` cannot be looked at.
pub fn check(dir: &Path, needed: u64) -> Result<()> {
    Need::of(dir, needed)?.check()
}

fn free(dir: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(dir)
        .map_err(std::io::Error::from)
        .explain(|| format!("cannot look at the file system of {}", dir.display()))?;
    // Root may use what is reserved for it.
    let blocks = if rustix::process::geteuid().is_root() { stat.f_bfree } else { stat.f_bavail };
    Ok(blocks.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_is_free_is_refused_with_both_figures() {
        let dir = tempfile::tempdir().unwrap();
        check(dir.path(), 1).unwrap();
        let error = check(dir.path(), u64::MAX).unwrap_err().line();
        assert!(error.contains("16.0 EiB are needed") && error.contains("are free"), "{error}");
    }
}
