//! An error on the wire: what [`Error`] says, so that a verb ends as if it had failed in its own process.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};

/// An error on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The class: `failed`, `not-permitted`, … (see [`Kind::word`]).
    pub kind: String,
    /// What failed, on what, and why, on one line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code of a verb that ends with it.
    pub code: u8,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind().word().to_owned(),
            message: error.line(),
            hint: error.remedy().map(str::to_owned),
            code: error.exit_code(),
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        // A newer daemon may have classes that this program does not know.
        let kind = Kind::from_word(&problem.kind).unwrap_or(Kind::Failed);
        let error = Self::new(kind, problem.message);
        match problem.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// The body of an answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What went wrong.
    pub error: Problem,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_arrives_with_its_words_its_hint_and_its_exit_code() {
        for kind in Kind::ALL {
            let sent = Error::new(*kind, "cannot do it").because("no").hint("do that");
            let text = serde_json::to_string(&Problem::from(&sent)).unwrap();
            let back = Error::from(serde_json::from_str::<Problem>(&text).unwrap());
            assert_eq!(back.exit_code(), sent.exit_code(), "{kind:?}");
            assert_eq!((back.line().as_str(), back.remedy()), ("cannot do it: no", Some("do that")));
        }
    }

    #[test]
    fn a_class_from_the_future_is_a_failure() {
        let problem = Problem { kind: "on-fire".into(), message: "it burns".into(), hint: None, code: 9 };
        assert_eq!(Error::from(problem).kind(), Kind::Failed);
    }
}
