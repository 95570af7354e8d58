//! What SQLite says, in the words of this program.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::error::{Error, Kind};

/// An error of SQLite while `what` was done to the database at `path`. One that means damage leaves a mark beside the
/// file, so that the next opening reads all of it.
pub(super) fn explain(path: &Path, what: impl Into<String>, error: rusqlite::Error) -> Error {
    use ErrorCode as Code;
    let (kind, hint) = match error.sqlite_error_code() {
        Some(Code::DiskFull) => (Kind::Failed, Some("free some space on that file system")),
        Some(Code::ReadOnly) => {
            (Kind::NotPermitted, Some("make the file and its folder writable, or set state_dir in [daemon]"))
        }
        Some(Code::CannotOpen | Code::PermissionDenied | Code::AuthorizationForStatementDenied) => {
            (Kind::NotPermitted, Some("run as root or as the user qbackd, or set state_dir in [daemon]"))
        }
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
            (Kind::TryAgain, Some("another process is writing to it; `fuser -v` on the file tells which"))
        }
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => {
            // Without the mark the file is still looked at, only less thoroughly.
            let _ = std::fs::File::create_new(suspicion(path));
            (Kind::Failed, Some("the next run checks the file, moves it aside if it is damaged, and begins a new one"))
        }
        Some(Code::SystemIoFailure) => (Kind::Failed, Some("see `dmesg` for what the disk says")),
        _ => (Kind::Failed, None),
    };
    // Its source repeats the text.
    let error = Error::new(kind, what).because(error.to_string());
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Whether the error means that the file itself is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// The mark that damage was met in the database at `path`.
pub(super) fn suspicion(path: &Path) -> PathBuf {
    path.with_extension("db.suspect")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::{Connection, OpenFlags};

    fn failing(prepare: &str, work: &str) -> (tempfile::TempDir, Error) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let db = Connection::open_with_flags(&path, OpenFlags::default()).unwrap();
        db.execute_batch(prepare).unwrap();
        let error = explain(&path, "cannot write the history", db.execute_batch(work).unwrap_err());
        (dir, error)
    }

    #[test]
    fn a_full_disk_is_named_with_its_remedy() {
        let prepare = "CREATE TABLE t (x); PRAGMA max_page_count = 3;";
        let (_dir, error) = failing(prepare, "INSERT INTO t VALUES (zeroblob(100000));");
        assert_eq!((error.kind(), error.remedy()), (Kind::Failed, Some("free some space on that file system")));
        assert_eq!(error.line(), "cannot write the history: database or disk is full");
    }

    #[test]
    fn a_read_only_database_is_a_matter_of_permission() {
        let (_dir, error) = failing("CREATE TABLE t (x); PRAGMA query_only = 1;", "INSERT INTO t VALUES (1);");
        assert_eq!(error.kind(), Kind::NotPermitted);
    }
}
