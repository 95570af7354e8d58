//! The folder of the daemon's state: made with the right mode, and everything root makes in it given to its owner.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use crate::error::{Error, Explain, Kind, Result, from_io};

const DIR_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
const PERMISSION_HINT: &str = "run as root or as the user qbackd, or set state_dir in [daemon]";

/// `state_dir`, there and usable. Its files are opened relative to it and never through a symbolic link: root works in
/// a folder that belongs to somebody else.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    fd: OwnedFd,
    /// Who gets what root makes here; `None` when we are not root or the folder is root's.
    heir: Option<(u32, u32)>,
}

impl StateDir {
    /// The folder at `path`, made with mode 0750 if it is absent. Its parent must exist: a missing parent is a typing
    /// error or a file system that is not mounted.
    ///
    /// # Errors
    /// The parent is absent, `path` is no folder, or the caller may not write there.
    pub fn prepare(path: &Path) -> Result<Self> {
        match DirBuilder::new().mode(DIR_MODE).create(path) {
            // The umask may have taken bits that the group needs.
            Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(DIR_MODE))
                .explain(|| format!("cannot set the mode of {}", path.display()))?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(path).display();
                return Err(Error::new(
                    Kind::Configuration,
                    format!("the state directory {} is absent", path.display()),
                )
                .because(format!("{parent} is absent too"))
                .hint(format!("mount it, create it with `mkdir -p {parent}`, or set state_dir in [daemon]")));
            }
            Err(e) => return Err(denied(format!("cannot create the state directory {}", path.display()), e)),
        }
        let opened = Self::open(path)?;
        if rustix::fs::accessat(&opened.fd, ".", rustix::fs::Access::WRITE_OK, rustix::fs::AtFlags::EACCESS)
            .is_err_and(|e| e == rustix::io::Errno::ACCESS)
        {
            let e = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(denied(format!("cannot write to the state directory {}", path.display()), e));
        }
        Ok(opened)
    }

    /// The folder at `path`, which must be there.
    ///
    /// # Errors
    /// It is absent, no folder, or closed to the caller.
    pub fn open(path: &Path) -> Result<Self> {
        let what = || format!("cannot open the state directory {}", path.display());
        let path = path.canonicalize().map_err(|e| denied(what(), e))?;
        let fd = openat(CWD, &path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| denied(what(), e.into()))?;
        let owner = rustix::fs::fstat(&fd).map_err(|e| denied(what(), e.into()))?;
        let heir = (rustix::process::geteuid().is_root() && owner.st_uid != 0).then_some((owner.st_uid, owner.st_gid));
        Ok(Self { path, fd, heir })
    }

    /// Where it is, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an empty `name` with mode 0640 if it is absent. One that is there is not opened: closing it again would let
    /// go of the locks SQLite holds on it in this process (fcntl(2)).
    pub(super) fn make(&self, name: &str) -> Result<()> {
        match make_at(&self.fd, name, self.heir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                Err(denied(format!("cannot create {}", self.path.join(name).display()), e))
            }
            _ => Ok(()),
        }
    }

    /// Opens `name` for reading and writing, made with mode 0640 if it is absent.
    pub(super) fn file(&self, name: &str) -> Result<File> {
        file_at(&self.fd, name, self.heir)
            .map_err(|e| denied(format!("cannot open {}", self.path.join(name).display()), e))
    }

    /// Opens `folder/name` for reading and writing, both made if they are absent.
    pub(super) fn file_in(&self, folder: &str, name: &str) -> Result<File> {
        self.try_file_in(folder, name).map_err(|e| denied(format!("cannot open {}", self.join(folder, name)), e))
    }

    /// Opens `folder/name` for reading, if it is there.
    pub(super) fn existing_in(&self, folder: &str, name: &str) -> Result<Option<File>> {
        let open = || -> io::Result<File> {
            let dir = dir_at(&self.fd, folder)?;
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            Ok(File::from(openat(dir, name, flags, Mode::empty())?))
        };
        match open() {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(denied(format!("cannot open {}", self.join(folder, name)), e)),
        }
    }

    /// Removes `folder/name`; nothing to do if it is gone.
    pub(super) fn remove_in(&self, folder: &str, name: &str) -> Result<()> {
        let remove = || -> io::Result<()> {
            Ok(rustix::fs::unlinkat(dir_at(&self.fd, folder)?, name, rustix::fs::AtFlags::empty())?)
        };
        match remove() {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(denied(format!("cannot remove {}", self.join(folder, name)), e))
            }
            _ => Ok(()),
        }
    }

    /// Keeps `content` as `folder/name`, in place of what is there. It is on the disk when this returns; a crash leaves what was
    /// there or what comes, never a part. `name` must be a plain file name that begins with no dot.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, folder: &str, name: &str, content: &[u8]) -> Result<()> {
        let write = || -> io::Result<()> {
            let beside = format!(".{name}.new");
            let mut file = self.try_file_in(folder, &beside)?;
            file.set_len(0)?;
            io::Write::write_all(&mut file, content)?;
            file.sync_all()?;
            let dir = dir_at(&self.fd, folder)?;
            rustix::fs::renameat(&dir, &beside, &dir, name)?;
            rustix::fs::fsync(&dir)?;
            // The folder itself may be new.
            Ok(rustix::fs::fsync(&self.fd)?)
        };
        write().map_err(|e| denied(format!("cannot write {}", self.join(folder, name)), e))
    }

    /// What was kept as `folder/name`, if anything; at most `limit` bytes of it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn kept(&self, folder: &str, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.existing_in(folder, name)? else { return Ok(None) };
        let mut content = Vec::new();
        let read = io::Read::read_to_end(&mut io::Read::take(file, limit), &mut content);
        read.map_err(|e| denied(format!("cannot read {}", self.join(folder, name)), e))?;
        Ok(Some(content))
    }

    /// The names of all that is kept in `folder`.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn all_kept(&self, folder: &str) -> Result<Vec<String>> {
        let read = || -> io::Result<Vec<String>> {
            let entries = match dir_at(&self.fd, folder) {
                Ok(dir) => rustix::fs::Dir::read_from(&dir)?,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(e) => return Err(e),
            };
            let mut names = Vec::new();
            for entry in entries {
                names.extend(entry?.file_name().to_str().ok().filter(|name| !name.starts_with('.')).map(str::to_owned));
            }
            Ok(names)
        };
        read().map_err(|e| denied(format!("cannot read {}", self.path.join(folder).display()), e))
    }

    /// Forgets what was kept as `folder/name`; nothing to do if it is gone. That it is gone is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget(&self, folder: &str, name: &str) -> Result<()> {
        self.remove_in(folder, name)?;
        match dir_at(&self.fd, folder).and_then(|dir| Ok(rustix::fs::fsync(dir)?)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(denied(format!("cannot sync {}", self.path.join(folder).display()), e))
            }
            _ => Ok(()),
        }
    }

    /// Makes the names in the folder durable.
    pub(super) fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).map_err(|e| from_io(format!("cannot sync {}", self.path.display()), e.into()))
    }

    fn join(&self, folder: &str, name: &str) -> String {
        self.path.join(folder).join(name).display().to_string()
    }

    fn try_file_in(&self, folder: &str, name: &str) -> io::Result<File> {
        match mkdirat(&self.fd, folder, Mode::from_raw_mode(DIR_MODE)) {
            Ok(()) => {
                let made = File::from(dir_at(&self.fd, folder)?);
                made.set_permissions(Permissions::from_mode(DIR_MODE))?;
                give(&made, self.heir)?;
            }
            Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        file_at(&dir_at(&self.fd, folder)?, name, self.heir)
    }
}

/// An I/O error below the state directory; lack of rights gets the remedy that fits here.
fn denied(what: String, e: io::Error) -> Error {
    let lacking = e.kind() == io::ErrorKind::PermissionDenied;
    let error = from_io(what, e);
    if lacking { error.hint(PERMISSION_HINT) } else { error }
}

fn dir_at(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

fn make_at(dir: &OwnedFd, name: &str, heir: Option<(u32, u32)>) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL;
    let file = File::from(openat(dir, name, flags, Mode::from_raw_mode(FILE_MODE))?);
    // The umask may have taken bits that the group needs.
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    give(&file, heir)?;
    Ok(file)
}

fn file_at(dir: &OwnedFd, name: &str, heir: Option<(u32, u32)>) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    loop {
        match make_at(dir, name, heir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match openat(dir, name, flags, Mode::empty()) {
                // It went away between the two calls.
                Err(rustix::io::Errno::NOENT) => {}
                other => return Ok(File::from(other?)),
            },
            made => return made,
        }
    }
}

fn give(file: &File, heir: Option<(u32, u32)>) -> io::Result<()> {
    match heir {
        Some((uid, gid)) => fchown(file, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_folder_is_made_for_owner_and_group_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let state = StateDir::prepare(&path).unwrap();
        state.file_in("lock", "shop").unwrap();
        let mode = |p: &str| std::fs::metadata(path.join(p)).unwrap().mode() & 0o7777;
        assert_eq!((mode("."), mode("lock"), mode("lock/shop")), (0o750, 0o750, 0o640));
    }

    #[test]
    fn a_missing_parent_is_not_made_up() {
        let dir = tempfile::tempdir().unwrap();
        let error = StateDir::prepare(&dir.path().join("mnt/state")).unwrap_err();
        assert_eq!(error.kind(), Kind::Configuration);
        assert!(error.remedy().unwrap().contains("mkdir -p"), "{error}");
        assert!(!dir.path().join("mnt").exists());
    }

    #[test]
    fn a_link_in_place_of_a_file_or_folder_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        let state = StateDir::prepare(&dir.path().join("state")).unwrap();
        std::os::unix::fs::symlink(&outside, state.path().join("lock")).unwrap();
        std::os::unix::fs::symlink(outside.join("db"), state.path().join("history.db.lock")).unwrap();
        assert!(state.file_in("lock", "shop").is_err());
        assert!(state.file("history.db.lock").is_err());
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }
}
