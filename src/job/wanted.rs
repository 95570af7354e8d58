//! Which backup a person means: `shop`, `shop@latest`, `shop/20261120T020000Z-full-k3f9x2ab`, or a prefix that only one has.

use std::str::FromStr;

use crate::error::{Error, Kind, Result};
use crate::model::{BackupRef, Manifest, Name};
use crate::repository::{Listing, Repository};

/// A backup as named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The newest of a database.
    Latest(Name),
    /// The one whose id begins so, of one database or of any.
    Prefix(Option<Name>, String),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = |text: &str| text.parse::<Name>().map_err(|e| e.to_string());
        let id = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if plain { Ok(text.to_owned()) } else { Err(format!("`{text}` is not the beginning of a backup id")) }
        };
        if let Some((database, prefix)) = text.split_once('/') {
            return Ok(Self::Prefix(Some(name(database)?), id(prefix)?));
        }
        if let Some(database) = text.strip_suffix("@latest") {
            return Ok(Self::Latest(name(database)?));
        }
        // Ids begin with a date; what could be both is a database's name only if no backup answers to it.
        let dated = text.len() >= 4 && text.bytes().take(8).all(|b| b.is_ascii_digit()) && !text.contains('_');
        if dated { Ok(Self::Prefix(None, id(text)?)) } else { Ok(Self::Latest(name(text)?)) }
    }
}

impl Wanted {
    /// The database, where it is named.
    pub fn database(&self) -> Option<&Name> {
        match self {
            Self::Latest(name) => Some(name),
            Self::Prefix(name, _) => name.as_ref(),
        }
    }

    /// Finds it, with what else is listed there.
    ///
    /// # Errors
    /// None or several answer to it, it is damaged, or the destination cannot be listed.
    pub async fn find(&self, repository: &dyn Repository) -> Result<(Manifest, Listing)> {
        let mut listing = repository.list(self.database()).await?;
        let found = self.pick(&mut listing, repository.label())?;
        Ok((found, listing))
    }

    fn pick(&self, listing: &mut Listing, place: &str) -> Result<Manifest> {
        let none = |what: String| {
            Error::new(Kind::NotFound, format!("{what} at {place}")).hint("`qbackd list` shows what there is")
        };
        match self {
            Self::Latest(name) => {
                let newest = listing.backups.iter().rfind(|m| &m.database == name).cloned();
                // An older one in place of a newer that is damaged would be a surprise.
                let newer = |at: &BackupRef| newest.as_ref().is_none_or(|m| at.id.started() >= m.id.started());
                if let Some(index) = listing.damaged.iter().position(|(at, _)| &at.database == name && newer(at)) {
                    let damaged = listing.damaged.swap_remove(index).1;
                    return Err(match newest {
                        Some(sound) => {
                            let remedy = damaged.remedy().map_or(String::new(), |remedy| format!("{remedy}; "));
                            damaged.hint(format!("{remedy}the newest sound one is {}", sound.reference()))
                        }
                        None => damaged,
                    });
                }
                newest.ok_or_else(|| none(format!("there is no backup of {name}")))
            }
            Self::Prefix(_, prefix) => {
                let found: Vec<&Manifest> =
                    listing.backups.iter().filter(|m| m.id.as_str().starts_with(prefix)).collect();
                match found[..] {
                    [one] => Ok(one.clone()),
                    [] => match listing.damaged.iter().position(|(at, _)| at.id.as_str().starts_with(prefix)) {
                        Some(index) => Err(listing.damaged.swap_remove(index).1),
                        None => Err(none(format!("no backup's id begins with {prefix}"))),
                    },
                    [first, second, ..] => {
                        Err(Error::new(Kind::Usage, format!("{prefix} is the beginning of several backups"))
                            .because(format!("{} and {} among them", first.reference(), second.reference()))
                            .hint("give more of the id"))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_name_a_backup() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        assert_eq!("shop".parse(), Ok(Wanted::Latest(name("shop"))));
        assert_eq!("shop@latest".parse(), Ok(Wanted::Latest(name("shop"))));
        assert_eq!("shop/2026".parse(), Ok(Wanted::Prefix(Some(name("shop")), "2026".into())));
        assert_eq!("20261120T02".parse(), Ok(Wanted::Prefix(None, "20261120T02".into())));
        for bad in ["", "Shop", "shop/", "shop/../x", "shop/2026%", "a b"] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad:?} passed");
        }
    }
}
