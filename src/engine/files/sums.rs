//! Checksums of a tree of files, so that two trees can be compared by what they hold.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::error::{Error, Result, from_io};
use crate::model::artifact::hex;

/// What is compared of every entry below `root`: its path there, and as one line its type, mode, owner, time, and the target of
/// a link or the size and SHA-256 of a file.
///
/// # Errors
/// An entry cannot be read.
pub fn tree_sums(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut sums = BTreeMap::new();
    for entry in WalkDir::new(root).min_depth(1) {
        let entry = entry.map_err(|e| Error::failed(format!("cannot read {}", root.display())).because(e))?;
        let path = entry.path();
        let failed = |e| from_io(format!("cannot read {}", path.display()), e);
        let meta = path.symlink_metadata().map_err(failed)?;
        let content = if meta.is_symlink() {
            format!("-> {}", std::fs::read_link(path).map_err(failed)?.display())
        } else if meta.is_file() {
            format!("{} bytes, SHA-256 {}", meta.len(), sha256(path).map_err(failed)?)
        } else {
            String::new()
        };
        let modified = if meta.is_symlink() { 0 } else { meta.mtime() };
        let line = format!("mode {:o}, owner {}:{}, time {modified} {content}", meta.mode(), meta.uid(), meta.gid());
        sums.insert(path.strip_prefix(root).unwrap_or(path).to_owned(), line);
    }
    Ok(sums)
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash, mut block) = (File::open(path)?, Sha256::new(), vec![0; 256 * 1024]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(hash.finalize())),
            count => hash.update(&block[..count]),
        }
    }
}
