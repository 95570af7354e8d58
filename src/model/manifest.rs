//! The manifest: everything a backup says about itself. `docs/format.md` is its specification.
//!
//! It comes from a bucket, so nothing in it is trusted: reading checks the version first, then every field by its type (names
//! and locations cannot hold a path), then what belongs together.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::position::LogSpan;
use super::{Artifact, BackupId, BackupRef, BackupType, FileName, Method, Name};
use crate::error::{Error, Kind, Result};

/// The version of the format this build writes. It reads this one and all before it.
pub const FORMAT: u32 = 1;

/// A manifest larger than this is refused, in bytes (a million tables fit).
pub const MAX_LEN: u64 = 64 * 1024 * 1024;

/// Files of a backup's folder that are no artifacts.
const RESERVED: [&str; 4] = ["manifest.json", "manifest.json.sig", "SHA256SUMS", "pin"];

/// What a published backup says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format, [`FORMAT`] when written by this build.
    pub format: u32,
    /// Version of the qbackd that wrote it.
    pub qbackd: String,
    /// The backup.
    pub id: BackupId,
    /// The database it belongs to.
    pub database: Name,
    /// The engine's name.
    pub engine: String,
    /// Dump or data files.
    pub method: Method,
    /// The host that made it.
    pub host: String,
    /// What was backed up.
    pub source: Source,
    /// The programs that made the dump, with versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Full or incremental.
    #[serde(rename = "type")]
    pub kind: BackupType,
    /// The backup an incremental builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<BackupId>,
    /// The full backup at the head of the chain; of a full, itself.
    pub chain: BackupId,
    /// When the run started.
    pub started: Timestamp,
    /// When the last artifact was complete.
    pub finished: Timestamp,
    /// The part of the transaction log the backup spans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogSpan>,
    /// What is inside: tables and their rows as the server estimates them, or folders and the number of their files.
    #[serde(default)]
    pub objects: Vec<Object>,
    /// The files of the backup.
    pub artifacts: Vec<Artifact>,
    /// The age recipients it is encrypted to (public keys); `passphrase` for a passphrase.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// What a reader should know: files that changed while they were read, an incremental that became a full.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Who asked for it: `schedule`, or a user by name and the verb.
    pub initiated_by: String,
}

/// What was backed up, as the engine saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where it is, without user and password: `postgresql://db1/shop`, `/srv/app.db`.
    pub address: String,
    /// `primary`, or `replica` where one was chosen.
    pub role: String,
    /// The product and version of the server, or the format of the file: `PostgreSQL 17.2`, `SQLite 3.46`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What tells this server from another with the same address (system identifier, server uuid).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// A program that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `pg_dump`
    pub name: String,
    /// `17.2`
    pub version: String,
}

/// One thing inside a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// `table`, `folder`, `database`, ...
    pub kind: String,
    /// Its name as the engine writes it.
    pub name: String,
    /// Rows of a table, files of a folder; an estimate where the server only estimates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Size in bytes, where the engine knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// How many of `objects` are counted things (tables, folders), and what is in all of them together (rows, files) if each of
/// them was counted. Objects of other kinds are remarks of an engine to itself.
pub fn counts(objects: &[Object]) -> (u64, Option<u64>) {
    let counted = || objects.iter().filter(|object| matches!(object.kind.as_str(), "table" | "folder"));
    (counted().count() as u64, counted().map(|object| object.count).sum())
}

/// Only the version, to be read before the rest is.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl Manifest {
    /// Reads and checks a manifest that was found under `at`.
    ///
    /// # Errors
    /// It is no JSON, cut short, of a newer format, about another backup than its place says, or contradicts itself.
    pub fn parse(json: &[u8], at: &BackupRef) -> Result<Self> {
        let bad = |why: String| {
            Error::failed(format!("the manifest of {at} is damaged"))
                .because(why)
                .hint("restore from another backup or from a copy; `qbackd verify` tells which are sound")
        };
        let version: Version = serde_json::from_slice(json).map_err(|e| bad(e.to_string()))?;
        if version.format > FORMAT {
            return Err(Error::new(Kind::Unavailable, format!("{at} is in format {}", version.format))
                .because(format!("this qbackd ({}) reads formats up to {FORMAT}", env!("CARGO_PKG_VERSION")))
                .hint("install a newer qbackd, or follow RECOVERY.txt at the destination"));
        }
        let manifest: Self = serde_json::from_slice(json).map_err(|e| bad(e.to_string()))?;
        manifest.check(at).map_err(bad)?;
        Ok(manifest)
    }

    fn check(&self, at: &BackupRef) -> Result<(), String> {
        let fail = |why: &str| Err(why.to_owned());
        if self.id != at.id || self.database != at.database {
            return Err(format!("it says that it is {}/{}", self.database, self.id));
        }
        if self.id.kind() != self.kind {
            return fail("its type is not the one of its id");
        }
        if (self.kind == BackupType::Full) != self.parent.is_none() {
            return fail("a full backup has no parent and an incremental one has");
        }
        if self.kind == BackupType::Full && self.chain != self.id {
            return fail("a full backup is the head of its own chain");
        }
        if self.artifacts.is_empty() {
            return fail("it lists no artifacts");
        }
        for (n, artifact) in self.artifacts.iter().enumerate() {
            for sum in [&artifact.plain, &artifact.stored] {
                if sum.sha256.len() != 64
                    || !sum.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                {
                    return Err(format!("the SHA-256 of {} is none", artifact.name));
                }
            }
            if RESERVED.contains(&artifact.location.as_str()) {
                return Err(format!("{} lies where another file belongs", artifact.name));
            }
            if self.artifacts[..n].iter().any(|a| a.name == artifact.name || a.location == artifact.location) {
                return Err(format!("it lists {} twice", artifact.name));
            }
        }
        Ok(())
    }

    /// The manifest as it is stored: JSON, indented, with a final newline.
    ///
    /// # Errors
    /// None in practice; no type in it can fail to serialize.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::failed(format!("cannot write the manifest of {}", self.reference())).because(e))?;
        json.push(b'\n');
        Ok(json)
    }

    /// Which backup this is.
    pub fn reference(&self) -> BackupRef {
        BackupRef { database: self.database.clone(), id: self.id.clone() }
    }

    /// What backups are sorted by. An id tells the second only, and small backups are made several in one.
    pub fn when(&self) -> (Timestamp, Timestamp, &BackupId) {
        (self.id.started(), self.finished, &self.id)
    }

    /// The artifact with this name.
    pub fn artifact(&self, name: &FileName) -> Option<&Artifact> {
        self.artifacts.iter().find(|a| &a.name == name)
    }

    /// Size of all artifacts as the engine handed them over, in bytes.
    pub fn plain_bytes(&self) -> u64 {
        self.artifacts.iter().map(|a| a.plain.bytes).fold(0, u64::saturating_add)
    }

    /// Size of all artifacts as stored, in bytes.
    pub fn stored_bytes(&self) -> u64 {
        self.artifacts.iter().map(|a| a.stored.bytes).fold(0, u64::saturating_add)
    }
}
