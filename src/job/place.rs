//! Where a backup is read from: a destination of the configuration, or a folder that holds one.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Context, Wanted};
use crate::error::{Error, Kind, Result};
use crate::model::{Manifest, Name};
use crate::repository::{Listing, Plain, Repository};
use crate::store::{self, Access};

/// `--from`: a destination's name, or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `[destination.NAME]`
    Destination(Name),
    /// A folder with the layout of a destination.
    Folder(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("reading from a URL is not built; name a destination or a folder".into());
        }
        // A word alone is a destination's name; `./word` is the folder.
        match text.parse() {
            Ok(name) => Ok(Self::Destination(name)),
            Err(_) if text.contains(['/', '.']) => Ok(Self::Folder(text.into())),
            Err(e) => Err(format!("{e}; a folder is written with a slash, as `./{text}`")),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination(name) => name.fmt(f),
            Self::Folder(path) => path.display().fmt(f),
        }
    }
}

impl Context {
    /// Opens a place for reading.
    ///
    /// # Errors
    /// It is not there.
    pub fn open(&self, place: &Place) -> Result<Plain> {
        match place {
            Place::Destination(name) => self.repository(name, Access::Read),
            Place::Folder(path) => Ok(Plain::new(store::open_folder(path)?)),
        }
    }

    /// The places where backups of `database` (or of any) are expected, the primary destination first: `from`, the
    /// destinations of its policy, or all there are.
    pub fn places(&self, from: Option<&Place>, database: Option<&Name>) -> Vec<Place> {
        if let Some(place) = from {
            return vec![place.clone()];
        }
        let configured = database.and_then(|name| self.plan.databases.get(name));
        match configured {
            Some(database) => database.policy.destinations.iter().map(|d| Place::Destination(d.name.clone())).collect(),
            None => self.plan.destinations.keys().cloned().map(Place::Destination).collect(),
        }
    }

    /// The places where there may be some all the same: a run may have been told another destination, or the policy an older
    /// one.
    pub fn other_places(&self, from: Option<&Place>, database: Option<&Name>) -> Vec<Place> {
        let expected = self.places(from, database);
        let all = self.plan.destinations.keys().cloned().map(Place::Destination);
        all.filter(|place| from.is_none() && !expected.contains(place)).collect()
    }

    /// Finds a backup at the first place that has it.
    ///
    /// # Errors
    /// No place has it; if one where it is expected could not be read, that is the error, for it may be there.
    pub async fn find(&self, from: Option<&Place>, wanted: &Wanted) -> Result<(Plain, Manifest, Listing)> {
        let mut failure: Option<Error> = None;
        let (expected, others) = (self.places(from, wanted.database()), self.other_places(from, wanted.database()));
        for (place, is_expected) in
            expected.into_iter().map(|place| (place, true)).chain(others.into_iter().map(|place| (place, false)))
        {
            let nowhere_yet = failure.as_ref().is_none_or(|f| f.kind() == Kind::NotFound);
            if !is_expected && !nowhere_yet {
                // An older one from elsewhere in place of one that is damaged or out of reach would be a surprise.
                break;
            }
            let found = match self.open(&place) {
                Ok(repository) => {
                    wanted.find(&repository).await.map(|(manifest, listing)| (repository, manifest, listing))
                }
                Err(e) => Err(e),
            };
            match found {
                Ok((repository, manifest, listing)) => {
                    tracing::debug!("{} found at {}", manifest.reference(), repository.label());
                    return Ok((repository, manifest, listing));
                }
                Err(e) if !nowhere_yet || !is_expected && e.kind() != Kind::NotFound => {
                    tracing::warn!("{}", e.line());
                }
                Err(e) if failure.is_none() || e.kind() != Kind::NotFound => failure = Some(e),
                Err(_) => {}
            }
        }
        Err(failure.unwrap_or_else(|| {
            Error::new(Kind::Usage, "there is no destination to look at")
                .hint("name one with --from DESTINATION or --from ./FOLDER")
        }))
    }
}
