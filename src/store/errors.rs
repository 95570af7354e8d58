//! The errors of OpenDAL and of file systems, as a sysadmin reads them.

use std::error::Error as _;

use opendal::ErrorKind as Theirs;

use super::Store;
use crate::error::{Error, Kind, from_io};

/// What `error` means for an operation (`write`, `read`, `list`, `delete`) on `path` at `store`.
pub(super) fn explain(store: &Store, operation: &str, path: &str, error: opendal::Error) -> Error {
    let place = if path.is_empty() { store.label.clone() } else { format!("{path} at {}", store.label) };
    let what = format!("cannot {operation} {place}");
    if let Some(io) = io_cause(&error) {
        return of_io(store, what, path, std::io::Error::from_raw_os_error(io));
    }
    let because = |kind| Error::new(kind, &what).because(format!("{}: {}", error.kind(), error.message()));
    match error.kind() {
        Theirs::NotFound => because(Kind::NotFound),
        Theirs::PermissionDenied => {
            because(Kind::NotPermitted).hint("the credentials of this destination do not allow it")
        }
        Theirs::ConfigInvalid => because(Kind::Configuration),
        Theirs::AlreadyExists | Theirs::ConditionNotMatch => Error::failed(&what).because("it exists already"),
        _ => because(Kind::Failed),
    }
}

/// The same for an error that came through a stream of `std::io`.
pub(super) fn explain_io(store: &Store, operation: &str, path: &str, error: std::io::Error) -> Error {
    match error.downcast::<opendal::Error>() {
        Ok(theirs) => explain(store, operation, path, theirs),
        Err(io) => of_io(store, format!("cannot {operation} {path} at {}", store.label), path, io),
    }
}

fn of_io(store: &Store, what: String, path: &str, io: std::io::Error) -> Error {
    match &store.local {
        Some(local) => local.refused(what, io, path),
        None => from_io(what, io),
    }
}

/// The operating system's error number at the bottom of an error, if there is one.
fn io_cause(error: &opendal::Error) -> Option<i32> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return io.raw_os_error();
        }
        next = cause.source();
    }
    None
}
