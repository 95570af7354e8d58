//! Putting a restored database in the place of an old one, so that at every moment one whole database lies there.
//!
//! The order matters. A `-wal` that is left beside a *new* file would be replayed into it; one that is removed beside the *old*
//! file takes its last transactions along. So the old database is first brought to rest by SQLite itself, under an
//! exclusive lock that nobody passes until the rename is done; files beside a database that SQLite cannot open are moved aside, not removed.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::super::space;
use super::beside::{beside, create_private};
use super::fault::explain;
use crate::error::{Error, Explain, Kind, Result, from_io};
use crate::model::stamp::{is_random_word, random_word};

/// How long other users of the old database may take to finish.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The path a restore really writes to: an existing link is followed, so that the link stays.
///
/// # Errors
/// The path is no place for a file.
pub(super) fn resolve(path: &Path) -> Result<PathBuf> {
    let what = || format!("cannot restore to {}", path.display());
    match path.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => path.canonicalize().explain(what),
        Ok(meta) if meta.is_file() => Ok(path.to_owned()),
        Ok(_) => Err(Error::new(Kind::Usage, what())
            .because("it is not a file")
            .hint("name the database file itself, like --to /srv/restored.db")),
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.file_name().is_some() => Ok(path.to_owned()),
        Err(e) => Err(from_io(what(), e)),
    }
}

/// What is at the target now.
pub(super) struct Survey {
    /// Whether there is a file.
    pub exists: bool,
    /// The folder that gets the new one.
    pub folder: PathBuf,
    /// Who has the file open.
    pub sessions: Vec<String>,
}

/// Looks at a resolved target.
///
/// # Errors
/// Its folder does not exist.
pub(super) fn survey(target: &Path) -> Result<Survey> {
    let folder = folder(target)?;
    Ok(Survey { exists: target.exists(), folder, sessions: users(target) })
}

fn folder(target: &Path) -> Result<PathBuf> {
    let folder = target.parent().unwrap_or(target);
    if folder.is_dir() {
        return Ok(folder.to_owned());
    }
    Err(Error::failed(format!("cannot restore to {}", target.display()))
        .because(format!("there is no folder {}", folder.display()))
        .hint(format!("mkdir -p {}", folder.display())))
}

/// Refuses to touch an existing file unless told so.
///
/// # Errors
/// There is one.
pub(super) fn may_replace(target: &Path, overwrite: bool) -> Result<()> {
    if overwrite || target.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Error::failed(format!("{} exists", target.display()))
        .hint("--overwrite replaces it; --to PATH restores beside it"))
}

/// Other processes that have `path` open, as `name (pid 123)`: those that this user may see.
fn users(path: &Path) -> Vec<String> {
    let Ok(file) = path.metadata() else { return Vec::new() };
    let same = |fd: &Path| fd.metadata().is_ok_and(|m| (m.dev(), m.ino()) == (file.dev(), file.ino()));
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut users = Vec::new();
    for process in entries(Path::new("/proc")) {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if pid != std::process::id() && entries(&process.path().join("fd")).any(|fd| same(&fd.path())) {
            let comm = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            users.push(format!("{} (pid {pid})", comm.trim()));
        }
    }
    users
}

/// A new database on its way to `target`. Dropped before the end, it leaves nothing.
pub(super) struct Swap {
    target: PathBuf,
    folder: PathBuf,
    path: PathBuf,
    file: File,
    placed: bool,
}

impl Swap {
    /// Makes the temporary file beside the target, after a look at the space there.
    ///
    /// # Errors
    /// There is no folder, no space, no permission.
    pub(super) fn prepare(target: &Path, bytes: u64) -> Result<Self> {
        let folder = folder(target)?;
        remove_dead(target, &folder);
        space::check(&folder, bytes)?;
        let path = temporary(target, &folder);
        let file = create_private(&path)?;
        Ok(Self { target: target.to_owned(), folder, path, file, placed: false })
    }

    /// The file that takes the new content.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Where that file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Brings the new file to its place, as the old one was owned and protected. Returns what could not be kept.
    ///
    /// # Errors
    /// Somebody uses the old one, or the file system refuses. The old database is whole and in place then.
    pub(super) fn finish(mut self, overwrite: bool) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        may_replace(&self.target, overwrite)?;
        if let Ok(old) = self.target.metadata() {
            self.protect_like(&old, &mut warnings)?;
        }
        let lock = self.quiet_the_old_one()?;
        let aside = self.move_aside()?;
        self.file.sync_all().explain(|| format!("cannot sync {}", self.path.display()))?;
        if let Err(e) = std::fs::rename(&self.path, &self.target) {
            for (to, from) in &aside {
                let _ = std::fs::rename(from, to);
            }
            return Err(from_io(format!("cannot rename {} to {}", self.path.display(), self.target.display()), e));
        }
        self.placed = true;
        self.sync_folder()?;
        drop(lock);
        for (_, file) in aside {
            if let Err(e) = std::fs::remove_file(&file) {
                warnings.push(format!("cannot remove {}: {e}", file.display()));
            }
        }
        Ok(warnings)
    }

    fn protect_like(&self, old: &std::fs::Metadata, warnings: &mut Vec<String>) -> Result<()> {
        let mode = old.mode() & 0o777;
        let new = self.file.metadata().explain(|| format!("cannot look at {}", self.path.display()))?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid())
            && let Err(e) = std::os::unix::fs::fchown(&self.file, Some(old.uid()), Some(old.gid()))
        {
            warnings.push(format!("its owner is now uid {} instead of {}: {e}", new.uid(), old.uid()));
        }
        self.file
            .set_permissions(std::fs::Permissions::from_mode(mode))
            .explain(|| format!("cannot set the mode of {}", self.path.display()))
    }

    /// Makes SQLite bring the old database's own log into it, and holds it locked against everybody.
    fn quiet_the_old_one(&self) -> Result<Option<Connection>> {
        if !self.target.exists() {
            return Ok(None);
        }
        let in_use = |who: String| {
            Error::new(Kind::TryAgain, format!("cannot replace {}", self.target.display()))
                .because(format!("it is open in {who}"))
                .hint("stop whatever uses it: what it writes after the restore would be lost")
        };
        let users = users(&self.target);
        if !users.is_empty() {
            return Err(in_use(users.join(", ")));
        }
        let rest = || -> rusqlite::Result<Connection> {
            let db = Connection::open_with_flags(&self.target, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            db.busy_timeout(LOCK_WAIT)?;
            // Leaving WAL mode takes the database for itself alone, and merges and removes the log.
            let _: String = db.query_row("PRAGMA journal_mode=DELETE", [], |row| row.get(0))?;
            db.execute_batch("BEGIN EXCLUSIVE")?;
            Ok(db)
        };
        match rest() {
            Ok(db) => Ok(Some(db)),
            Err(e) => match e.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Err(in_use("another process".into())),
                // What SQLite cannot make sense of holds no transaction that could be lost.
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Ok(None),
                _ => Err(explain(format!("cannot bring {} to rest", self.target.display()), e)),
            },
        }
    }

    /// Renames what still lies beside the target, so that it neither meets the new file nor is lost before that is in place. Pairs of
    /// where it was and where it is.
    fn move_aside(&self) -> Result<Vec<(PathBuf, PathBuf)>> {
        let mut moved = Vec::new();
        for suffix in SIDE_FILES {
            let from = beside(&self.target, suffix);
            let to = beside(&self.path, &format!("-old{suffix}"));
            match std::fs::rename(&from, &to) {
                Ok(()) => moved.push((from, to)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(from_io(format!("cannot move {} aside", from.display()), e)),
            }
        }
        if !moved.is_empty() {
            self.sync_folder()?;
        }
        Ok(moved)
    }

    fn sync_folder(&self) -> Result<()> {
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .explain(|| format!("cannot sync {}", self.folder.display()))
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        if !self.placed {
            let _ = std::fs::remove_file(&self.path);
        }
        for suffix in SIDE_FILES {
            let _ = std::fs::remove_file(beside(&self.path, suffix));
        }
    }
}

/// `.app.db.qbackd-k3f9x2ab`: hidden, and recognisable if the restore is killed.
fn temporary(target: &Path, folder: &Path) -> PathBuf {
    let mut name = beginning(target);
    name.push(random_word());
    folder.join(name)
}

/// `.app.db.qbackd-`
fn beginning(target: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".qbackd-");
    name
}

/// Removes what restores of this user to the same target left when they were killed: a database in plain that nobody has open.
/// What cannot be removed stays.
fn remove_dead(target: &Path, folder: &Path) {
    let beginning = beginning(target);
    let temporary = |name: &OsString| {
        let word = name.as_encoded_bytes().strip_prefix(beginning.as_encoded_bytes());
        word.and_then(|word| std::str::from_utf8(word).ok()).is_some_and(is_random_word)
    };
    let me = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = |meta: &std::fs::Metadata| meta.is_file() && meta.uid() == me;
        if !temporary(&entry.file_name()) || !path.symlink_metadata().is_ok_and(|meta| ours(&meta)) {
            continue;
        }
        if users(&path).is_empty() && std::fs::remove_file(&path).is_ok() {
            tracing::info!("removed {}, which a restore that was killed had left", path.display());
            for suffix in SIDE_FILES {
                let _ = std::fs::remove_file(beside(&path, suffix));
            }
        }
    }
}
