//! What a backup is called: `20261120T020000Z-full-k3f9x2ab`, and with its database `shop/20261120T020000Z-full-k3f9x2ab`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stamp::{RANDOM_LEN, compact, parse_compact, random_word};
use super::{BackupType, Name};

/// The id of a backup: start in UTC to the second, type, eight random characters. Ids of one database sort by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(String);

/// Why a text is no backup id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a backup id: one reads 20261120T020000Z-full-k3f9x2ab")]
pub struct NotABackupId(pub String);

impl BackupId {
    /// A new id for a backup of type `kind` that starts at `started`.
    pub fn new(started: Timestamp, kind: BackupType) -> Self {
        Self(format!("{}-{kind}-{}", compact(started), random_word()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the backup started, to the second.
    pub fn started(&self) -> Timestamp {
        self.0.get(..16).and_then(parse_compact).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Full or incremental.
    pub fn kind(&self) -> BackupType {
        self.0.split('-').nth(1).and_then(|word| word.parse().ok()).unwrap_or(BackupType::Full)
    }
}

impl FromStr for BackupId {
    type Err = NotABackupId;

    fn from_str(text: &str) -> Result<Self, NotABackupId> {
        let mut parts = text.split('-');
        let valid = (|| {
            let (time, kind, word) = (parts.next()?, parts.next()?, parts.next()?);
            let plain = time.len() == 16 && compact(parse_compact(time)?) == time;
            let known = kind.parse::<BackupType>().is_ok();
            let random = word.len() == RANDOM_LEN && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            (plain && known && random && parts.next().is_none()).then_some(())
        })();
        valid.map(|()| Self(text.to_owned())).ok_or_else(|| NotABackupId(text.to_owned()))
    }
}

impl TryFrom<String> for BackupId {
    type Error = NotABackupId;

    fn try_from(text: String) -> Result<Self, NotABackupId> {
        text.parse()
    }
}

impl From<BackupId> for String {
    fn from(id: BackupId) -> Self {
        id.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One backup of one database: `shop/20261120T020000Z-full-k3f9x2ab`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupRef {
    /// The database.
    pub database: Name,
    /// The backup.
    pub id: BackupId,
}

impl fmt::Display for BackupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.database, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_time_and_type() {
        let at: Timestamp = "2026-11-20T02:00:00.7Z".parse().unwrap();
        let id = BackupId::new(at, BackupType::Full);
        assert!(id.as_str().starts_with("20261120T020000Z-full-"), "{id}");
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_eq!(id.started(), "2026-11-20T02:00:00Z".parse().unwrap());
        assert_eq!(id.kind(), BackupType::Full);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in [
            "",
            "latest",
            "20261120T020000Z-full-",
            "20261120T020000Z-half-k3f9x2ab",
            "20261320T020000Z-full-k3f9x2ab",
            "20261120T020000Z-full-k3f9x2ab-x",
            "20261120T020000Z-full-../../ab",
            "2026112éT02000Z-full-k3f9x2ab",
        ] {
            assert!(bad.parse::<BackupId>().is_err(), "{bad:?} passed for an id");
        }
    }
}
