//! Whether two databases, or two trees of files, hold the same: read anew, by code that had no part in backing them up.

use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::engine::files::sums::tree_sums;
use crate::engine::sqlite::sums::table_sums;
use crate::error::Result;
use crate::model::artifact::hex;

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// An SQLite file, table by table.
    Database(&'a Path),
    /// A folder, entry by entry.
    Folder(&'a Path),
}

/// Both sides, in figures.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) rows: Vec<Row>,
}

/// One table, or one kind of thing in a tree.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) count: u64,
    pub(super) sha256: String,
    pub(super) equal: bool,
}

impl Comparison {
    /// Whether nothing differs, and there was something to compare.
    pub(super) fn equal(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.equal)
    }
}

/// Compares two of the same kind.
///
/// # Errors
/// One cannot be read.
pub(super) fn compare(before: Subject<'_>, after: Subject<'_>) -> Result<Comparison> {
    let (before, after) = (sums(before)?, sums(after)?);
    let mut rows: Vec<Row> = before
        .iter()
        .map(|sum| Row { what: sum.0.clone(), count: sum.1, sha256: sum.2.clone(), equal: after.contains(sum) })
        .collect();
    // What only came into being by the restore is no better than what got lost.
    let strange = after.iter().filter(|sum| !before.iter().any(|known| known.0 == sum.0));
    rows.extend(strange.map(|sum| Row { what: sum.0.clone(), count: sum.1, sha256: sum.2.clone(), equal: false }));
    Ok(Comparison { rows })
}

fn sums(subject: Subject<'_>) -> Result<Vec<(String, u64, String)>> {
    match subject {
        Subject::Database(path) => {
            let tables = table_sums(path)?;
            Ok(tables.into_iter().map(|sum| (sum.table, sum.rows, sum.sha256)).collect())
        }
        Subject::Folder(path) => {
            let mut hash = Sha256::new();
            let entries = tree_sums(path)?;
            for (path, line) in &entries {
                hash.update(path.as_os_str().as_encoded_bytes());
                hash.update([0]);
                hash.update(line.as_bytes());
                hash.update([0]);
            }
            let sha256 = hex(hash.finalize());
            Ok(vec![("files, folders and links, with modes, owners and times".into(), entries.len() as u64, sha256)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn a_corrupted_copy_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.db"), dir.path().join("b.db"));
        let open = |path: &Path| Connection::open_with_flags(path, rusqlite::OpenFlags::default()).unwrap();
        open(&a)
            .execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (2, 'b');")
            .unwrap();
        std::fs::copy(&a, &b).unwrap();
        let both = || compare(Subject::Database(&a), Subject::Database(&b)).unwrap();
        assert!(both().equal());
        open(&b).execute_batch("UPDATE t SET v = 'c' WHERE id = 2").unwrap();
        assert!(!both().equal());
        open(&b).execute_batch("UPDATE t SET v = 'b' WHERE id = 2; CREATE TABLE more(x)").unwrap();
        assert!(!both().equal(), "{:?}", both());
    }

    #[test]
    fn a_changed_byte_or_mode_in_a_tree_is_seen() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        // As long as it was, and no younger: only its bytes tell.
        let write = |root: &Path, content: &str| {
            std::fs::write(root.join("file"), content).unwrap();
            let file = std::fs::File::options().write(true).open(root.join("file")).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        };
        for root in [&a, &b] {
            std::fs::create_dir(root).unwrap();
            write(root, "content");
        }
        let both = || compare(Subject::Folder(&a), Subject::Folder(&b)).unwrap();
        assert!(both().equal());
        write(&b, "Content");
        assert!(!both().equal());
        write(&b, "content");
        assert!(both().equal());
        std::fs::set_permissions(b.join("file"), PermissionsExt::from_mode(0o600)).unwrap();
        assert!(!both().equal());
    }
}
