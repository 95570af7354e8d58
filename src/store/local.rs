//! What a destination on a file system needs beyond OpenDAL: durable names, create-only renames, space, mounts.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with, statvfs};
use tokio::task::JoinHandle;
use walkdir::WalkDir;

use super::Create;
use super::options::Access;
use super::sandbox;
use crate::error::{Error, Explain, Kind, Result, from_io};

/// The root of a destination on a file system.
#[derive(Debug, Clone)]
pub(super) struct Local {
    root: PathBuf,
}

/// Space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this user may still write.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

impl Local {
    pub(super) fn open(label: &str, root: &Path, access: Access, require_mount: bool) -> Result<Self> {
        if require_mount {
            on_a_mount(label, root)?;
        }
        match std::fs::metadata(root) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => {
                return Err(Error::failed(format!("cannot open {label}"))
                    .because(format!("{} is no folder", root.display()))
                    .hint("`root` names the folder that backups lie in"));
            }
            Err(e) if e.kind() == ErrorKind::NotFound && access == Access::Write => {
                make_durably(root).map_err(|e| {
                    sandbox::refused(format!("cannot create {}, the root of {label}", root.display()), e, root, root)
                })?;
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(Error::failed(format!("cannot open {label}"))
                    .because(format!("there is no folder {}", root.display()))
                    .hint("is it mounted, and the path right?"));
            }
            Err(e) => return Err(from_io(format!("cannot open {label}, {}", root.display()), e)),
        }
        Ok(Self { root: root.to_owned() })
    }

    /// The failure of an operation on `path`, which is relative to the root.
    pub(super) fn refused(&self, what: String, error: std::io::Error, path: &str) -> Error {
        sandbox::refused(what, error, &self.root.join(path), &self.root)
    }

    /// Renames within the root. [`Create::New`] is atomic where the file system knows `RENAME_NOREPLACE` (renameat2(2)).
    pub(super) async fn rename(&self, from: &str, to: &str, create: Create) -> Result<()> {
        let (from, to) = (self.root.join(from), self.root.join(to));
        blocking(move || {
            let what = || format!("cannot write {}", to.display());
            let renamed = match create {
                Create::Replace => std::fs::rename(&from, &to),
                Create::New => match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
                    Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if !to.exists() => {
                        std::fs::rename(&from, &to)
                    }
                    other => other.map_err(Into::into),
                },
            };
            renamed.explain(what)
        })
        .await
    }

    /// Syncs the data of a file that somebody writes; the result is left to the writer's own sync (fsync(2): each open file is told).
    pub(super) fn begin_sync(&self, path: &str) -> JoinHandle<()> {
        let path = self.root.join(path);
        tokio::task::spawn_blocking(move || {
            let _ = File::open(path).and_then(|file| file.sync_data());
        })
    }

    /// Syncs the folder of `path` and every folder above it up to the root, innermost first.
    pub(super) async fn sync_folders_of(&self, path: &str) -> Result<()> {
        let root = self.root.clone();
        let path = root.join(path);
        blocking(move || {
            for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(&root)) {
                let synced = File::open(folder).and_then(|folder| folder.sync_all());
                synced.explain(|| format!("cannot sync the folder {}", folder.display()))?;
            }
            Ok(())
        })
        .await
    }

    /// What lies in a folder, or anywhere below it: relative names, folders with a final `/`. No link is followed, for it could
    /// lead anywhere; it is listed like a file. An absent folder is empty.
    pub(super) async fn list(&self, folder: &str, deep: bool, what: String) -> Result<Vec<String>> {
        let folder = self.root.join(folder);
        blocking(move || {
            let depth = if deep { usize::MAX } else { 1 };
            let mut names = Vec::new();
            for entry in WalkDir::new(&folder).min_depth(1).max_depth(depth).follow_links(false) {
                let entry = match entry.map_err(std::io::Error::from) {
                    Ok(entry) => entry,
                    // It, or something in it, went away meanwhile; or somebody put a file where our folder would be.
                    Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
                    Err(e) => return Err(from_io(what, e)),
                };
                let name = entry.path().strip_prefix(&folder).unwrap_or(entry.path()).to_string_lossy();
                names.push(if entry.file_type().is_dir() { format!("{name}/") } else { name.into_owned() });
            }
            Ok(names)
        })
        .await
    }

    /// Deletes a file, an empty folder or a link, never what a link leads to. That it is gone already is no error.
    pub(super) async fn delete(&self, path: &str, what: String) -> Result<()> {
        let path = self.root.join(path.trim_end_matches('/'));
        blocking(move || {
            let deleted = std::fs::symlink_metadata(&path)
                .and_then(|meta| if meta.is_dir() { std::fs::remove_dir(&path) } else { std::fs::remove_file(&path) });
            match deleted {
                Err(e) if e.kind() != ErrorKind::NotFound => Err(from_io(what, e)),
                _ => Ok(()),
            }
        })
        .await
    }

    pub(super) fn space(&self) -> Result<Space> {
        let stat = statvfs(&self.root)
            .map_err(|e| from_io(format!("cannot tell the space of {}", self.root.display()), e.into()))?;
        Ok(Space { free: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
    }
}

/// Makes a folder and all above it that is missing, and their names durable.
fn make_durably(root: &Path) -> std::io::Result<()> {
    let missing = root.ancestors().take_while(|folder| !folder.exists()).count();
    DirBuilder::new().recursive(true).mode(0o750).create(root)?;
    root.ancestors().skip(1).take(missing).try_for_each(|folder| File::open(folder)?.sync_all())
}

/// `require_mount`: the root, or what is there of the path to it, must not be on the root file system.
fn on_a_mount(label: &str, root: &Path) -> Result<()> {
    let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev());
    let there = root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let mounted = device(there).explain(|| format!("cannot look at {}", there.display()))?
        != device(Path::new("/")).explain(|| "cannot look at /")?;
    if mounted {
        return Ok(());
    }
    Err(Error::new(Kind::Failed, format!("cannot open {label}"))
        .because(format!("nothing is mounted at or above {}", root.display()))
        .hint("mount it, or drop `require_mount` if backups may lie on the root file system"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Error::failed("a file operation panicked")))
}
