//! SQLite's errors in our words.

use rusqlite::ErrorCode;

use crate::error::{Error, Kind};

/// An error of SQLite during `what`, with the kind and the remedy its code calls for.
pub(super) fn explain(what: impl Into<String>, error: rusqlite::Error) -> Error {
    let (kind, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Kind::TryAgain,
            Some("another process holds a lock on it: see who with `fuser -v FILE`, or try again later"),
        ),
        Some(ErrorCode::OperationInterrupted) => return Error::interrupted(),
        Some(ErrorCode::NotADatabase) => (Kind::Failed, Some("it is no SQLite database, or it is encrypted")),
        Some(ErrorCode::DatabaseCorrupt) => {
            (Kind::Failed, Some("the file is damaged: restore a backup, or try `sqlite3 FILE .recover`"))
        }
        Some(ErrorCode::DiskFull) => (Kind::Failed, Some("free some space on that file system")),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            (Kind::Failed, Some("the user qbackd runs as must be able to read the file and enter its folder"))
        }
        _ => (Kind::Failed, None),
    };
    let made = Error::new(kind, what).because(error);
    match hint {
        Some(hint) => made.hint(hint),
        None => made,
    }
}
