//! The keys of a `[destination.NAME]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::model::{SecretRef, Size, Timespan};

/// What a `[destination.NAME]` says, apart from its `keep`. Keys that are not listed here are options of the service, by
/// OpenDAL's names, and end up in `service_options`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DestinationOptions {
    /// `fs`, `s3`, `gcs`, `azblob`, `b2`, `sftp`, `webdav`, …
    pub service: String,
    /// Free text.
    pub label: Option<String>,
    /// An AWS shared credentials file.
    pub credentials_file: Option<std::path::PathBuf>,
    /// The profile in it.
    pub profile: Option<String>,
    /// Whether qbackd may delete here.
    pub prune: bool,
    /// Bytes per second at most.
    pub max_bandwidth: Option<Size>,
    /// Artifacts larger than this are stored in volumes.
    pub volume_size: Option<Size>,
    /// Requests at the same time.
    pub concurrency: Option<u32>,
    /// How long one request may take.
    pub timeout: Option<Timespan>,
    /// How often a request is tried again.
    pub retries: Option<u32>,
    /// `fs`: alarm below this much free space; refuse a run that cannot fit.
    pub min_free: MinFree,
    /// `fs`: refuse when `root` is not on a mounted file system of its own.
    pub require_mount: bool,
    /// Allow plain http beyond loopback.
    pub allow_http: bool,
    /// Host for presigned links.
    pub public_endpoint: Option<String>,
    /// The repository's format; `plain` is the only one.
    pub format: String,
    /// The service's own options.
    #[serde(skip)]
    pub service_options: BTreeMap<String, OptionValue>,
}

impl Default for DestinationOptions {
    fn default() -> Self {
        Self {
            service: String::new(),
            label: None,
            credentials_file: None,
            profile: None,
            prune: true,
            max_bandwidth: None,
            volume_size: None,
            concurrency: None,
            timeout: None,
            retries: None,
            min_free: MinFree::Percent(5),
            require_mount: false,
            allow_http: false,
            public_endpoint: None,
            format: "plain".into(),
            service_options: BTreeMap::new(),
        }
    }
}

/// What a destination is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading; nothing is created.
    Read,
    /// Writing too; the root is created where it does not exist.
    Write,
}

/// The value of an option of a service: plain text, or a reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// As written in the file; numbers and booleans as text.
    Text(String),
    /// Fetched when the destination is opened.
    Secret(SecretRef),
}

/// `min_free = "5%"`, or a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinFree {
    /// Percent of the file system, 0 to 99.
    Percent(u8),
    /// Bytes.
    Bytes(Size),
}

impl MinFree {
    /// The limit in bytes on a file system of `total` bytes.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Percent(percent) => u64::try_from(u128::from(total) * u128::from(percent) / 100).unwrap_or(total),
            Self::Bytes(size) => size.0,
        }
    }
}

impl std::str::FromStr for MinFree {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no amount of space: write a share like `5%` or a size like `10 GiB`");
        match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().filter(|p| *p < 100).map(Self::Percent).ok_or_else(wrong),
            None => text.parse().map(Self::Bytes).map_err(|_| wrong()),
        }
    }
}

impl<'de> Deserialize<'de> for MinFree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}
