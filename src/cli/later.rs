//! Verbs the design names that are not built yet: whoever types one is told so instead of "unrecognized".

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{Error, Kind};

const LATER: &[(&str, &[&str])] = &[
    ("the daemon", &["status", "pause", "resume", "reset-failed"]),
    ("copies to other destinations", &["copy"]),
    ("retention", &["pin", "unpin", "catalog"]),
    ("the archiving of transaction logs", &["wal-push", "wal-fetch"]),
];

/// What the verb comes with, if it is one to come.
pub(super) fn comes_with(verb: &str) -> Option<&'static str> {
    LATER.iter().find(|(_, verbs)| verbs.contains(&verb)).map(|(with, _)| *with)
}

/// The error for a verb to come, if that is what clap did not know.
pub(super) fn verb(error: &clap::Error) -> Option<Error> {
    let (ErrorKind::InvalidSubcommand, Some(ContextValue::String(verb))) =
        (error.kind(), error.get(ContextKind::InvalidSubcommand))
    else {
        return None;
    };
    let with = comes_with(verb)?;
    Some(Error::new(Kind::Unavailable, format!("`{verb}` comes with {with}, which is not built")))
}
