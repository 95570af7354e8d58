//! Room on a file system, checked before something large is written there.

use std::path::Path;

use crate::error::{Error, Explain, Result};
use crate::model::Size;

/// Checks that `needed` bytes can be written to the file system of `dir` by this user.
///
/// # Errors
/// They cannot, or `dir` cannot be looked at.
pub fn check(dir: &Path, needed: u64) -> Result<()> {
    let stat = rustix::fs::statvfs(dir)
        .map_err(std::io::Error::from)
        .explain(|| format!("cannot look at the file system of {}", dir.display()))?;
    // Root may use what is reserved for it.
    let blocks = if rustix::process::geteuid().is_root() { stat.f_bfree } else { stat.f_bavail };
    let free = blocks.saturating_mul(stat.f_frsize);
    if free >= needed {
        return Ok(());
    }
    Err(Error::failed(format!("not enough space in {}", dir.display()))
        .because(format!("{} are needed, {} are free", Size(needed), Size(free)))
        .hint("free some space there, or choose another place"))
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
