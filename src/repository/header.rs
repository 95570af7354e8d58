//! `qbackd.json`: which format a destination holds, and its id.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::model::manifest::FORMAT;
use crate::model::stamp::random_word;
use crate::store::{Create, Store, paths};

const MAX_LEN: u64 = 64 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    /// Version of the format of everything here.
    format: u32,
    /// Tells this repository from another with the same name.
    repository: String,
    /// When it was begun.
    created: Timestamp,
}

/// Makes sure that what is at the destination is ours to write, and begins it where nothing is.
///
/// # Errors
/// It holds a newer format, or a damaged header.
pub(super) async fn ensure(store: &Store) -> Result<()> {
    match store.get(paths::HEADER, MAX_LEN).await? {
        Some(json) => check(store, &json),
        None => {
            let repository = format!("{}{}", random_word(), random_word());
            #[expect(clippy::disallowed_methods, reason = "told to people; nothing is decided by it")]
            let header = Header { format: FORMAT, repository, created: Timestamp::now() };
            let json =
                serde_json::to_vec_pretty(&header).map_err(|e| Error::failed("cannot write qbackd.json").because(e))?;
            match store.put(paths::HEADER, json, Create::New).await {
                Ok(()) => Ok(()),
                // Another run may have begun it at the same moment.
                Err(e) => match store.get(paths::HEADER, MAX_LEN).await? {
                    Some(json) => check(store, &json),
                    None => Err(e),
                },
            }
        }
    }
}

/// Makes sure that what is at the destination may be changed by this version.
///
/// # Errors
/// It holds a newer format, or a damaged header.
pub(super) async fn known(store: &Store) -> Result<()> {
    match store.get(paths::HEADER, MAX_LEN).await? {
        Some(json) => check(store, &json),
        None => Ok(()),
    }
}

fn check(store: &Store, json: &[u8]) -> Result<()> {
    let header: Header = serde_json::from_slice(json).map_err(|e| {
        Error::failed(format!("the qbackd.json of {} is damaged", store.label()))
            .because(e)
            .hint("if other backups there are sound, move it away; the next run writes a new one")
    })?;
    if header.format > FORMAT {
        return Err(Error::new(Kind::Unavailable, format!("{} is in format {}", store.label(), header.format))
            .because(format!("this qbackd ({}) knows formats up to {FORMAT}", env!("CARGO_PKG_VERSION")))
            .hint("install a newer qbackd"));
    }
    Ok(())
}
