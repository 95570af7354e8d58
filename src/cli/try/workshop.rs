//! The folder `try` works in: a source, a key, a destination, a place for what is restored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::keygen::{Fresh, write_new};
use super::compare::Subject;
use crate::config::{Daemon, Database, Destination, Encryption, Plan, Policy};
use crate::engine::sqlite::sample;
use crate::engine::{RestoreRequest, SourceOptions, registry};
use crate::error::{Error, Explain, Kind, Result};
use crate::job::context::Given;
use crate::job::download::by_hand;
use crate::model::{Clock, Manifest, Name, SystemClock};
use crate::stage::EncryptionOptions;
use crate::store::DestinationOptions;
use crate::store::options::OptionValue;

/// What the folder is called, in the folder where it is tried.
pub(super) const FOLDER: &str = "qbackd-try";
/// Tells a folder of ours from one that only has the same name.
const MARK: &str = ".made-by-qbackd-try";

/// Everything `try` needs.
pub(super) struct Workshop {
    folder: PathBuf,
    name: Name,
    source: Source,
    recipient: String,
}

enum Source {
    Database { path: PathBuf, sample: bool },
    Folder(PathBuf),
}

impl Workshop {
    /// Finds the source, or makes the sample, and a fresh `folder` with a new key.
    ///
    /// # Errors
    /// There is nothing at the path, or the folder is there and not ours.
    pub(super) fn set_up(folder: &Path, what: Option<&str>) -> Result<Self> {
        let given = what.map(find).transpose()?;
        if let Some(source) = &given
            && folder.starts_with(source.path())
        {
            return Err(Error::new(Kind::Usage, format!("{} would be backed up into itself", source.path().display()))
                .hint("run it from another folder"));
        }
        fresh(folder)?;
        let source = match given {
            Some(source) => source,
            None => {
                let path = folder.join("sample.db");
                sample::make(&path)?;
                Source::Database { path, sample: true }
            }
        };
        let key = Fresh::make(SystemClock.now());
        write_new(&folder.join("identity.txt"), 0o600, &key.text)?;
        Ok(Self { name: name_of(source.path())?, folder: folder.to_owned(), source, recipient: key.recipient })
    }

    /// The configuration that nobody had to write.
    ///
    /// # Errors
    /// A path is no text.
    pub(super) fn plan(&self) -> Result<Plan> {
        let name =
            |text: &str| text.parse::<Name>().map_err(|e| Error::failed("cannot name a part of the trial").because(e));
        let destination = Arc::new(Destination {
            name: name("local")?,
            options: DestinationOptions {
                service: "fs".into(),
                min_free: crate::store::options::MinFree::Percent(0),
                service_options: [("root".to_owned(), OptionValue::Text(text(&self.backups())?))].into(),
                ..DestinationOptions::default()
            },
            keep: None,
        });
        let encryption = Arc::new(Encryption {
            name: name("try")?,
            options: EncryptionOptions { recipients: vec![self.recipient.clone()], ..EncryptionOptions::default() },
        });
        let (engine, source) = match &self.source {
            Source::Database { path, .. } => {
                ("sqlite", SourceOptions { url: Some(format!("sqlite:{}", text(path)?)), ..SourceOptions::default() })
            }
            Source::Folder(path) => ("files", SourceOptions { files: vec![path.clone()], ..SourceOptions::default() }),
        };
        let engine = registry::by_name(engine)
            .ok_or_else(|| Error::new(Kind::Unavailable, format!("the engine {engine} is not built")))?;
        let policy = Arc::new(Policy {
            destinations: vec![Arc::clone(&destination)],
            encryption: Some(encryption),
            ..Policy::default()
        });
        let database = Database { name: self.name.clone(), engine, source, options: Default::default(), policy };
        let daemon = Daemon { state_dir: self.folder.join("state"), ..Daemon::default() };
        Ok(Plan {
            daemon,
            destinations: [(destination.name.clone(), destination)].into(),
            databases: BTreeMap::from([(self.name.clone(), Arc::new(database))]),
            ..Plan::default()
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    pub(super) fn recipient(&self) -> &str {
        &self.recipient
    }

    /// The destination.
    pub(super) fn backups(&self) -> PathBuf {
        self.folder.join("backups")
    }

    /// The key that was made.
    pub(super) fn keys(&self) -> Given {
        Given { identities: vec![self.folder.join("identity.txt")], passphrase: None }
    }

    /// What is backed up, for people.
    pub(super) fn described(&self) -> String {
        let path = self.source.path().display();
        match &self.source {
            Source::Database { sample: true, .. } => format!("{path}, a sample SQLite database"),
            Source::Database { .. } => format!("{path}, an SQLite database"),
            Source::Folder(_) => format!("{path}, a folder"),
        }
    }

    /// What is compared with [`Workshop::restored_source`].
    pub(super) fn source(&self) -> Subject<'_> {
        match &self.source {
            Source::Database { path, .. } => Subject::Database(path),
            Source::Folder(path) => Subject::Folder(path),
        }
    }

    /// Where the restore goes.
    pub(super) fn restored(&self) -> PathBuf {
        match &self.source {
            Source::Database { .. } => self.folder.join("restored.db"),
            Source::Folder(_) => self.folder.join("restored"),
        }
    }

    /// What came back.
    pub(super) fn restored_source(&self) -> Restored {
        match &self.source {
            Source::Database { .. } => Restored { path: self.restored(), folder: false },
            // Below the target the tree has its whole path.
            Source::Folder(path) => {
                Restored { path: self.restored().join(path.strip_prefix("/").unwrap_or(path)), folder: true }
            }
        }
    }

    /// The restore that brings it there.
    pub(super) fn restore_request(&self) -> RestoreRequest {
        RestoreRequest { to: Some(self.restored().display().to_string()), ..RestoreRequest::default() }
    }

    /// The commands that do the same with ordinary tools.
    pub(super) fn by_hand(&self, manifest: &Manifest) -> Vec<String> {
        let backup = self.backups().join(manifest.database.as_str()).join("backup").join(manifest.id.as_str());
        let identity = quoted(&self.folder.join("identity.txt"));
        let mut commands = vec![format!("cd {}", quoted(&backup)), "sha256sum -c SHA256SUMS".to_owned()];
        for artifact in &manifest.artifacts {
            commands.push(by_hand(artifact).replace("IDENTITY", &identity));
            commands.push(match self.source {
                Source::Database { .. } => format!("sqlite3 {} 'PRAGMA integrity_check'", artifact.name),
                Source::Folder(_) => format!("tar --xattrs --xattrs-include='*' -tvf {}", artifact.name),
            });
        }
        commands
    }
}

/// Where the restored data is; borrowed for the comparison.
pub(super) struct Restored {
    path: PathBuf,
    folder: bool,
}

impl Restored {
    /// For the comparison.
    pub(super) fn subject(&self) -> Subject<'_> {
        if self.folder { Subject::Folder(&self.path) } else { Subject::Database(&self.path) }
    }
}

impl Source {
    fn path(&self) -> &Path {
        match self {
            Self::Database { path, .. } | Self::Folder(path) => path,
        }
    }
}

/// What a person pointed at.
fn find(what: &str) -> Result<Source> {
    let path = match what.split_once(':') {
        Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
        Some((scheme, _)) if registry::by_scheme(scheme).is_some() => {
            return Err(Error::new(Kind::Unavailable, format!("the engine for {scheme}: is not built"))
                .hint("try an SQLite file or a folder"));
        }
        _ => what,
    };
    let path = Path::new(path).canonicalize().explain(|| format!("cannot find {path}"))?;
    if path.is_dir() { Ok(Source::Folder(path)) } else { Ok(Source::Database { path, sample: false }) }
}

/// A new folder, in the place of one that an earlier `try` made.
fn fresh(folder: &Path) -> Result<()> {
    if folder.symlink_metadata().is_ok() {
        if !folder.join(MARK).exists() {
            return Err(Error::failed(format!("{} exists and was not made by `qbackd try`", folder.display()))
                .hint("run it in another folder, or move that one away"));
        }
        std::fs::remove_dir_all(folder).explain(|| format!("cannot remove {}", folder.display()))?;
    }
    std::fs::create_dir(folder).explain(|| format!("cannot make {}", folder.display()))?;
    std::fs::write(folder.join(MARK), "").explain(|| format!("cannot write in {}", folder.display()))
}

/// A name made of a file's.
fn name_of(path: &Path) -> Result<Name> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let word: String =
        stem.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).take(40).collect();
    let word = word.trim_matches('-');
    let word = if word.is_empty() { "source" } else { word };
    word.parse().map_err(|e| Error::failed(format!("cannot name {}", path.display())).because(e))
}

/// A path as a shell takes it, whatever characters it has.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    match path.chars().all(|c| c.is_alphanumeric() || "/._-+,:@%".contains(c)) {
        true => path,
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| Error::new(Kind::Usage, format!("{} is not UTF-8", path.display())))
}
