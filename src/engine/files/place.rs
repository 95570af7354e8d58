//! Places below one folder that no archive can make point elsewhere: every path is resolved by the kernel, beneath that
//! folder and without following any link (openat2(2)), and everything else happens relative to its parent's descriptor.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, mkdirat, open, openat2, statat};
use rustix::io::Errno;

use crate::error::{Error, Explain, Kind, Result, from_io};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const INSIDE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// The folder everything happens below.
pub(super) struct Base {
    path: PathBuf,
    folder: OwnedFd,
    /// The parent that was used last: entries come folder by folder.
    last: Option<(PathBuf, OwnedFd)>,
}

/// What lies at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occupant {
    /// Nothing.
    Nobody,
    /// A folder.
    Folder,
    /// Anything else.
    Other,
}

impl Base {
    /// The folder at `path`, made with all above it if need be. Links in `path` itself are followed: the caller named it.
    ///
    /// # Errors
    /// It is no folder, or may not be used.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let what = || format!("cannot restore to {}", path.display());
        std::fs::create_dir_all(path).explain(what)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty()).map_err(io::Error::from).explain(what)?;
        Ok(Self { path: path.to_owned(), folder, last: None })
    }

    /// Where this is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A relative path as people know it.
    pub(super) fn shown(&self, path: &Path) -> String {
        self.path.join(path).display().to_string()
    }

    /// The folder itself.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Opens a folder below this one.
    ///
    /// # Errors
    /// It is not there, is no folder, or a link is in the way.
    pub(super) fn open_folder(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        openat2(&self.folder, path, DIRECTORY, Mode::empty(), INSIDE)
    }

    /// The parent of an entry and its name there. Missing folders are made, for the caller to own and others to read.
    ///
    /// # Errors
    /// A part of the path is a link or a file.
    pub(super) fn parent<'a, 'b>(&'a mut self, path: &'b Path) -> Result<(BorrowedFd<'a>, &'b OsStr)> {
        let name = path.file_name().ok_or_else(|| Error::failed(format!("`{}` names no file", path.display())))?;
        let parent = path.parent().unwrap_or(Path::new(""));
        let known = self.last.take().filter(|(known, _)| known == parent);
        let fd = match known {
            Some((_, fd)) => fd,
            None => match self.open_folder(parent) {
                Err(Errno::NOENT) => self.make_folders(parent).map_err(|e| self.in_the_way(path, e))?,
                other => other.map_err(|e| self.in_the_way(path, e))?,
            },
        };
        let last = self.last.insert((parent.to_owned(), fd));
        Ok((last.1.as_fd(), name))
    }

    fn make_folders(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let mut folder = self.open_folder(Path::new(""))?;
        for part in path.components() {
            let Component::Normal(part) = part else { return Err(Errno::INVAL) };
            match mkdirat(&folder, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e),
            }
            folder = openat2(&folder, part, DIRECTORY, Mode::empty(), INSIDE)?;
        }
        Ok(folder)
    }

    fn in_the_way(&self, path: &Path, error: Errno) -> Error {
        let what = format!("cannot write {}", self.shown(path));
        match error {
            Errno::LOOP | Errno::XDEV => Error::failed(what)
                .because("a part of its path is a symbolic link, and a restore goes through none")
                .hint("restore to an empty folder with --to, and move the files from there"),
            Errno::NOTDIR => Error::failed(what).because("a part of its path is a file"),
            other => from_io(what, other.into()),
        }
    }

    /// What lies at an entry's place now.
    ///
    /// # Errors
    /// It cannot be told.
    pub(super) fn occupant(&mut self, path: &Path) -> Result<Occupant> {
        let shown = self.shown(path);
        let (parent, name) = self.parent(path)?;
        match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory => {
                Ok(Occupant::Folder)
            }
            Ok(_) => Ok(Occupant::Other),
            Err(Errno::NOENT) => Ok(Occupant::Nobody),
            Err(e) => Err(from_io(format!("cannot look at {shown}"), e.into())),
        }
    }

    /// Forgets the last parent: its mode may change now.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

/// A path to `name` in a folder that is held open, for system calls that know no descriptors (`lsetxattr`).
pub(super) fn by_descriptor(parent: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    itself(parent).join(name)
}

/// A path to what a descriptor holds, for the same purpose.
pub(super) fn itself(fd: BorrowedFd<'_>) -> PathBuf {
    Path::new("/proc/self/fd").join(fd.as_raw_fd().to_string())
}

/// The error of an entry that is there already.
pub(super) fn exists(shown: &str) -> Error {
    Error::new(Kind::Failed, format!("{shown} exists"))
        .hint("--overwrite replaces it; --to DIR restores into another folder")
}
