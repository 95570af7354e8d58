//! Names of databases, destinations, policies and the like.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name a sysadmin gave: `[a-z0-9][a-z0-9_-]{0,62}`. It is safe as one component of a path and as one word of a log line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name: use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or a digit")]
pub struct NotAName(pub String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let bytes = text.as_bytes();
        let head = bytes.first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let body = bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
        if head && body && bytes.len() <= 63 { Ok(Self(text.to_owned())) } else { Err(NotAName(text.to_owned())) }
    }
}

impl TryFrom<String> for Name {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_safe_word() {
        for good in ["shop", "0", "a-b_c", &"x".repeat(63)] {
            assert_eq!(good.parse::<Name>().map(String::from).as_deref(), Ok(good));
        }
        for bad in ["", "-a", "_a", "Shop", "a b", "a/b", "..", "ä", &"x".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?} passed for a name");
        }
    }
}
