//! Which entries of an archive are wanted: paths or globs, with or without a leading slash.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Error, Kind, Result};

/// The wanted parts of an archive; of nothing said, all of it.
pub(super) struct Chosen {
    wishes: Vec<Wish>,
}

struct Wish {
    text: String,
    exact: PathBuf,
    glob: GlobMatcher,
    met: bool,
}

impl Chosen {
    /// Reads what was asked for.
    ///
    /// # Errors
    /// Something is no glob.
    pub(super) fn new(wanted: &[String]) -> Result<Self> {
        let wish = |text: &String| {
            let relative = text.trim_matches('/');
            let usage = |why: String| Error::new(Kind::Usage, format!("`{text}` names no file")).because(why);
            if relative.is_empty() {
                return Err(usage("it is empty".into()));
            }
            let glob = GlobBuilder::new(relative).literal_separator(true).build();
            let glob = glob.map_err(|e| usage(e.kind().to_string()))?.compile_matcher();
            Ok(Wish { text: text.clone(), exact: relative.into(), glob, met: false })
        };
        Ok(Self { wishes: wanted.iter().map(wish).collect::<Result<_>>()? })
    }

    /// Whether an entry is wanted: it, or a folder it is in, is named or matched.
    pub(super) fn takes(&mut self, path: &Path) -> bool {
        let mut taken = self.wishes.is_empty();
        for wish in &mut self.wishes {
            let met = path.ancestors().any(|part| part == wish.exact || wish.glob.is_match(part));
            wish.met |= met;
            taken |= met;
        }
        taken
    }

    /// Complains about what was asked for in vain.
    ///
    /// # Errors
    /// Something matched nothing.
    pub(super) fn all_met(&self) -> Result<()> {
        let missed: Vec<&str> = self.wishes.iter().filter(|w| !w.met).map(|w| w.text.as_str()).collect();
        if missed.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::NotFound, format!("the backup holds nothing that matches {}", missed.join(", ")))
            .hint("see what it holds: qbackd download ID -o - | tar -t"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(wish: &str, path: &str) -> bool {
        Chosen::new(&[wish.to_owned()]).unwrap().takes(Path::new(path))
    }

    #[test]
    fn a_file_is_chosen_by_its_path_its_folder_or_a_glob() {
        for wish in ["srv/www/a.txt", "/srv/www/a.txt", "/srv/www", "srv/", "/srv/*/a.txt", "**/*.txt", "srv/w?w"] {
            assert!(takes(wish, "srv/www/a.txt"), "{wish}");
        }
        for wish in ["/srv/www/a", "/srv/*.txt", "www", "/srv/www/a.txt/b"] {
            assert!(!takes(wish, "srv/www/a.txt"), "{wish}");
        }
        assert!(takes("/srv/[draft].txt", "srv/[draft].txt"), "a name that looks like a glob is a name first");
    }

    #[test]
    fn a_wish_in_vain_is_an_error_that_names_it() {
        let mut chosen = Chosen::new(&["/srv/a".into(), "/srv/b".into()]).unwrap();
        assert!(chosen.takes(Path::new("srv/a")));
        assert!(chosen.all_met().unwrap_err().line().ends_with("matches /srv/b"));
        assert!(Chosen::new(&["/".into()]).is_err() && Chosen::new(&["a[".into()]).is_err());
    }
}
