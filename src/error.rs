//! The one error type a reader understands: what failed, on what, why, and what to do about it.
//!
//! Rooms make an [`Error`] where they know the object and the remedy; upper rooms add context or pass it on. It is either
//! returned or logged, never both. Messages are lowercase and end without a full stop; the remedy follows on its own line
//! after `hint:`.

use std::error::Error as StdError;
use std::fmt;

/// The result of everything that can fail for a reason a sysadmin should read.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The remedy for what must not happen.
pub const DEFECT: &str = "this is a defect of qbackd; please report it";

/// The class of a failure. It decides the exit code (`sysexits.h` numbers where one fits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The work was tried and failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Something needed is not there: a server, a tool, an engine that is not built.
    Unavailable,
    /// Somebody else works on the same thing now.
    TryAgain,
    /// The caller may not do this.
    NotPermitted,
    /// The configuration is wrong.
    Configuration,
    /// A name or an id that nothing answers to.
    NotFound,
    /// Somebody asked for the work to stop.
    Interrupted,
    /// A limit of time of the configuration was reached.
    TimedOut,
    /// What was asked about was told, and it is not well.
    Degraded,
    /// A hook of the user refused the work.
    Vetoed,
    /// Another part of the same stream failed first; that part's error is the one to show.
    Consequence,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Failed,
        Self::Usage,
        Self::Unavailable,
        Self::TryAgain,
        Self::NotPermitted,
        Self::Configuration,
        Self::NotFound,
        Self::Interrupted,
        Self::TimedOut,
        Self::Degraded,
        Self::Vetoed,
        Self::Consequence,
    ];

    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed | Self::Consequence => "failed",
            Self::Usage => "usage",
            Self::Unavailable => "unavailable",
            Self::TryAgain => "try-again",
            Self::NotPermitted => "not-permitted",
            Self::Configuration => "configuration",
            Self::NotFound => "not-found",
            Self::Interrupted => "interrupted",
            Self::TimedOut => "timed-out",
            Self::Degraded => "degraded",
            Self::Vetoed => "vetoed",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }
}

/// A failure: the operation with its object, the cause, and a hint.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: Kind,
    what: String,
    why: Option<String>,
    hint: Option<String>,
}

impl Error {
    /// A failure of `kind`; `what` names the operation and its object, as in "cannot read /etc/qbackd".
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { inner: Box::new(Inner { kind, what: what.into(), why: None, hint: None }) }
    }

    /// A failure of kind [`Kind::Failed`].
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what)
    }

    /// The stream ended because another part of it failed.
    pub fn consequence() -> Self {
        Self::new(Kind::Consequence, "the stream was cut short by a failure elsewhere")
    }

    /// The work was asked to stop.
    pub fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted before the work was done")
    }

    /// The same failure with its cause. The whole chain of sources is kept as text.
    #[must_use]
    pub fn because(mut self, why: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.why = Some(chain(why.into().as_ref()));
        self
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// The same failure seen from one floor higher: `what` becomes the operation, the old text its cause.
    #[must_use]
    pub fn during(mut self, what: impl Into<String>) -> Self {
        let inner = &mut self.inner;
        let old = std::mem::replace(&mut inner.what, what.into());
        inner.why = Some(match inner.why.take() {
            Some(why) => format!("{old}: {why}"),
            None => old,
        });
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// The remedy, if one is known.
    pub fn remedy(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// Whether this error only says that another one came first.
    pub fn is_consequence(&self) -> bool {
        self.inner.kind == Kind::Consequence
    }

    /// The exit code of a verb that ends with this error (DESIGN: 0 done, 1 failed, 2 usage, 3 degraded, 69, 75, 77, 78; 130 as shells do for Ctrl-C).
    pub fn exit_code(&self) -> u8 {
        match self.inner.kind {
            Kind::Failed | Kind::Consequence | Kind::TimedOut | Kind::Vetoed | Kind::NotFound => 1,
            Kind::Usage => 2,
            Kind::Degraded => 3,
            Kind::Unavailable => 69,
            Kind::TryAgain => 75,
            Kind::NotPermitted => 77,
            Kind::Configuration => 78,
            Kind::Interrupted => 130,
        }
    }

    /// Operation and cause on one line, without the hint: what the history and the journal keep.
    pub fn line(&self) -> String {
        match &self.inner.why {
            Some(why) => format!("{}: {why}", self.inner.what),
            None => self.inner.what.clone(),
        }
    }
}

/// The text of an error and of all its sources that it does not already repeat.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = source.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())?;
        match &self.inner.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.inner.kind)
    }
}

impl StdError for Error {}

/// Turns the errors of libraries into ours where the object is known.
pub trait Explain<T> {
    /// The error becomes the cause of a failure of `what`. `what` is only computed on failure.
    ///
    /// # Errors
    /// Wherever the library's result is one.
    fn explain<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Explain<T> for std::io::Result<T> {
    fn explain<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| from_io(what(), e))
    }
}

/// An I/O error with the kind and the remedy its code calls for.
pub fn from_io(what: impl Into<String>, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    let (kind, hint) = match error.kind() {
        Io::PermissionDenied => (Kind::NotPermitted, Some("run as a user who may do this, or change the permissions")),
        Io::StorageFull => (Kind::Failed, Some("free some space on that file system")),
        Io::QuotaExceeded => (Kind::Failed, Some("the disk quota of this user is used up")),
        Io::ReadOnlyFilesystem => {
            (Kind::Failed, Some("the file system is mounted read-only; see `dmesg` for the reason"))
        }
        _ => (Kind::Failed, None),
    };
    // An error of ours that travelled through `std::io` comes out as it went in.
    let error = match error.downcast::<Error>() {
        Ok(ours) if ours.is_consequence() => return ours,
        Ok(ours) => return ours.during(what),
        Err(io) => io,
    };
    let made = Error::new(kind, what).because(error);
    match hint {
        Some(hint) => made.hint(hint),
        None => made,
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        std::io::Error::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_operation_object_cause_hint() {
        let io = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = from_io("cannot write /srv/a", io).during("backup of shop");
        assert_eq!(error.line(), "backup of shop: cannot write /srv/a: no storage space");
        assert_eq!(
            error.to_string(),
            "backup of shop: cannot write /srv/a: no storage space\nhint: free some space on that file system"
        );
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn an_error_of_ours_survives_the_way_through_std_io() {
        let io = std::io::Error::from(Error::new(Kind::TimedOut, "the server is silent").hint("wake it"));
        let back = from_io("reading", io);
        assert_eq!((back.kind(), back.remedy()), (Kind::TimedOut, Some("wake it")));
    }
}
