//! Extracting an archive that nobody vouches for, while it streams.
//!
//! A file is written under a temporary name where one exists already, and renamed when it is complete. Owners come before
//! modes (a change of owner clears setuid), modes before attributes (an ACL decides the group's part of the mode), times
//! last; folders get theirs when the archive has left them, since every entry in them changes their time.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, chmod, chownat, linkat, mkdirat,
    mknodat, openat, renameat, symlinkat, unlinkat, utimensat,
};
use xattr::FileExt as _;

use super::super::Restored;
use super::super::thread::Stop;
use super::Notes;
use super::owners::Owners;
use super::place::{Base, Occupant, by_descriptor, exists, itself};
use super::read::{Entry, Reader, What};
use super::select::Chosen;
use crate::error::{Error, Result, from_io};
use crate::model::Size;
use crate::model::manifest::Object;
use crate::model::stamp::random_word;

/// An extraction in progress.
pub(super) struct Extractor {
    base: Base,
    overwrite: bool,
    chosen: Chosen,
    owners: Owners,
    root: bool,
    warnings: Notes,
    /// Folders the archive is in the middle of, outermost first.
    open: Vec<Entry>,
    files: u64,
    bytes: u64,
}

impl Extractor {
    /// Extracts below `target`, which is made if need be.
    ///
    /// # Errors
    /// The target is no folder.
    pub(super) fn new(target: &Path, overwrite: bool, chosen: Chosen) -> Result<Self> {
        Ok(Self {
            base: Base::new(target)?,
            overwrite,
            chosen,
            owners: Owners::here(),
            root: rustix::process::geteuid().is_root(),
            warnings: Notes::default(),
            open: Vec::new(),
            files: 0,
            bytes: 0,
        })
    }

    /// Extracts the whole archive.
    ///
    /// # Errors
    /// The archive is damaged or unsafe, something exists and may not be replaced, a selection matches nothing. What was
    /// extracted so far stays, and the error says so.
    pub(super) fn run(mut self, mut from: Reader, stop: &Stop) -> Result<Restored> {
        let target = self.base.path().display().to_string();
        if let Err(e) = self.extract(&mut from, stop) {
            // What is there stays usable: folders do not keep the modes of an extraction in progress.
            let _ = self.leave_folders(None);
            return Err(match self.files {
                0 => e,
                _ if e.is_consequence() => e,
                files => e.during(format!("the restore to {target} stopped after {files} files, which stay there")),
            });
        }
        self.chosen.all_met()?;
        if !self.root {
            self.warnings
                .add("owners were not restored, nor setuid and setgid bits of other owners: only root may".into());
        }
        // In place, the files may lie on many file systems.
        if self.base.path() == Path::new("/") {
            rustix::fs::sync();
        } else {
            rustix::fs::syncfs(self.base.fd()).map_err(|e| from_io(format!("cannot sync {target}"), e.into()))?;
        }
        Ok(Restored {
            objects: vec![Object {
                kind: "folder".into(),
                name: target.clone(),
                count: Some(self.files),
                bytes: Some(self.bytes),
            }],
            checks: vec![format!("the archive was read to its end: {} files, {}", self.files, Size(self.bytes))],
            warnings: self.warnings.into_list(),
            target,
        })
    }

    fn extract(&mut self, from: &mut Reader, stop: &Stop) -> Result<()> {
        while let Some(entry) = from.next_entry()? {
            stop.check()?;
            self.leave_folders(Some(&entry.path))?;
            if !self.chosen.takes(&entry.path) {
                continue;
            }
            if entry.what == What::Folder {
                self.folder(entry)?;
                continue;
            }
            match &entry.what {
                What::File(size) => self.file(&entry, *size, from, stop)?,
                What::Hard(first) => self.hard_link(&entry, first)?,
                _ => self.node(&entry)?,
            }
            self.files += 1;
        }
        self.leave_folders(None)
    }

    /// Where an entry is made, and whether it must then be renamed over what is there.
    fn free_name(&mut self, path: &Path) -> Result<(OsString, bool)> {
        let name = path.file_name().unwrap_or_default();
        match self.base.occupant(path)? {
            Occupant::Nobody => Ok((name.to_owned(), false)),
            Occupant::Other if self.overwrite => Ok((format!(".qbackd-{}", random_word()).into(), true)),
            Occupant::Other => Err(exists(&self.base.shown(path))),
            Occupant::Folder => Err(Error::failed(format!("{} exists and is a folder", self.base.shown(path)))
                .hint("move it away: a restore replaces files, not folders")),
        }
    }

    /// Makes an entry in its parent under a free name, and brings it to its own. Nothing half made stays.
    fn put(
        &mut self,
        path: &Path,
        make: impl FnOnce(&mut Notes, BorrowedFd<'_>, &OsStr) -> io::Result<()>,
    ) -> Result<()> {
        let (free, rename) = self.free_name(path)?;
        let shown = self.base.shown(path);
        let (parent, name) = self.base.parent(path)?;
        let made = make(&mut self.warnings, parent, &free).and_then(|()| {
            if rename {
                renameat(parent, &free, parent, name)?;
                // Between two names of one file a rename does nothing, and leaves both (rename(2)).
                let _ = unlinkat(parent, &free, AtFlags::empty());
            }
            Ok(())
        });
        made.map_err(|e| {
            if e.kind() != io::ErrorKind::AlreadyExists {
                let _ = unlinkat(parent, &free, AtFlags::empty());
            }
            from_io(format!("cannot write {shown}"), e)
        })
    }

    fn file(&mut self, entry: &Entry, size: u64, from: &mut Reader, stop: &Stop) -> Result<()> {
        let dress = self.dress(entry);
        let mut written = 0;
        self.put(&entry.path, |warnings, parent, name| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = File::from(openat(parent, name, flags, Mode::from_raw_mode(0o600))?);
            let mut end = 0;
            while let Some((offset, piece)) = from.piece()? {
                stop.check()?;
                file.write_all_at(&piece, offset)?;
                end = offset + piece.len() as u64;
                written += piece.len() as u64;
            }
            if end < size {
                file.set_len(size)?;
            }
            dress.file(&file, warnings)
        })?;
        self.bytes += written;
        Ok(())
    }

    fn hard_link(&mut self, entry: &Entry, first: &Path) -> Result<()> {
        let what = format!("cannot link {} to {}", self.base.shown(&entry.path), self.base.shown(first));
        let missing = |e: rustix::io::Errno| {
            let error = from_io(what.clone(), e.into());
            if e == rustix::io::Errno::NOENT {
                return error.hint("with --file, name the file it is a link to as well");
            }
            error
        };
        let above = self.base.open_folder(first.parent().unwrap_or(Path::new(""))).map_err(missing)?;
        let first = first.file_name().unwrap_or_default();
        self.put(&entry.path, |_, parent, name| Ok(linkat(&above, first, parent, name, AtFlags::empty())?))
            .map_err(|e| e.during(what.clone()))
    }

    fn node(&mut self, entry: &Entry) -> Result<()> {
        let dress = self.dress(entry);
        let device = matches!(entry.what, What::Char(..) | What::Block(..));
        if device && !self.root {
            return Err(Error::failed(format!("cannot make the device {}", self.base.shown(&entry.path)))
                .because("only root may")
                .hint("restore as root, or choose other parts with --file"));
        }
        self.put(&entry.path, |warnings, parent, name| {
            let private = Mode::from_raw_mode(0o600);
            match &entry.what {
                What::Symlink(target) => symlinkat(target, parent, name)?,
                What::Char(major, minor) => {
                    mknodat(parent, name, FileType::CharacterDevice, private, rustix::fs::makedev(*major, *minor))?;
                }
                What::Block(major, minor) => {
                    mknodat(parent, name, FileType::BlockDevice, private, rustix::fs::makedev(*major, *minor))?;
                }
                _ => mknodat(parent, name, FileType::Fifo, private, 0)?,
            }
            dress.node(parent, name, warnings)
        })
    }

    fn folder(&mut self, entry: Entry) -> Result<()> {
        let shown = self.base.shown(&entry.path);
        match self.base.occupant(&entry.path)? {
            Occupant::Nobody => {
                let (parent, name) = self.base.parent(&entry.path)?;
                mkdirat(parent, name, Mode::from_raw_mode(0o700))
                    .map_err(|e| from_io(format!("cannot make {shown}"), e.into()))?;
                self.open.push(entry);
            }
            // Its files may be added to, but how it is owned and protected is only replaced on demand.
            Occupant::Folder if self.overwrite => self.open.push(entry),
            Occupant::Folder => {}
            Occupant::Other => {
                return Err(
                    Error::failed(format!("{shown} exists and is no folder")).hint("move it away, and restore again")
                );
            }
        }
        Ok(())
    }

    /// Finishes the folders that `next` is not in; all of them at the end.
    fn leave_folders(&mut self, next: Option<&Path>) -> Result<()> {
        while let Some(folder) = self.open.pop_if(|open| !next.is_some_and(|path| path.starts_with(&open.path))) {
            self.base.forget();
            let what = format!("cannot finish {}", self.base.shown(&folder.path));
            let fd = self.base.open_folder(&folder.path).map_err(|e| from_io(what.clone(), e.into()))?;
            let dress = self.dress(&folder);
            dress.file(&File::from(fd), &mut self.warnings).map_err(|e| from_io(what, e))?;
        }
        Ok(())
    }

    /// The setuid and setgid bits that would now act for somebody else, since the owner cannot be given back.
    fn not_ours(&self, entry: &Entry) -> u32 {
        let user = self.owners.uid(&entry.user, entry.uid) == rustix::process::geteuid().as_raw();
        let group = self.owners.gid(&entry.group, entry.gid) == rustix::process::getegid().as_raw();
        let setuid = if user { 0 } else { 0o4000 };
        let setgid = if group { 0 } else { 0o2000 };
        setuid | setgid
    }

    /// What makes a new file the old one, besides its content.
    fn dress<'a>(&self, entry: &'a Entry) -> Dress<'a> {
        Dress {
            entry,
            shown: self.base.path().join(&entry.path),
            owner: self
                .root
                .then(|| (self.owners.uid(&entry.user, entry.uid), self.owners.gid(&entry.group, entry.gid))),
            mode: if self.root { entry.mode } else { entry.mode & !self.not_ours(entry) },
        }
    }
}

/// What a new file takes over from a folder with a default ACL, whatever it had itself (acl(5)).
const INHERITED: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

struct Dress<'a> {
    entry: &'a Entry,
    shown: PathBuf,
    owner: Option<(u32, u32)>,
    mode: u32,
}

impl Dress<'_> {
    /// A file or folder that is held open.
    fn file(&self, file: &File, warnings: &mut Notes) -> io::Result<()> {
        if let Some((uid, gid)) = self.owner {
            std::os::unix::fs::fchown(file, Some(uid), Some(gid))?;
        }
        for acl in INHERITED {
            // None was inherited, or none exist here.
            let _ = file.remove_xattr(acl);
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode))?;
        for (name, value) in &self.entry.xattrs {
            if let Err(e) = file.set_xattr(name, value) {
                self.no_attribute(name, &e, warnings);
            }
        }
        Ok(rustix::fs::futimens(file, &self.times())?)
    }

    /// Anything else, just made under `name`.
    fn node(&self, parent: BorrowedFd<'_>, name: &OsStr, warnings: &mut Notes) -> io::Result<()> {
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if !matches!(self.entry.what, What::Symlink(_)) {
            let _ = xattr::remove(by_descriptor(parent, name), INHERITED[0]);
            // chmod(2) follows links, so the node is held first.
            let node = openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            chmod(itself(node.as_fd()), Mode::from_raw_mode(self.mode))?;
        }
        for (attribute, value) in &self.entry.xattrs {
            if let Err(e) = xattr::set(by_descriptor(parent, name), attribute, value) {
                self.no_attribute(attribute, &e, warnings);
            }
        }
        Ok(utimensat(parent, name, &self.times(), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn no_attribute(&self, name: &OsStr, error: &io::Error, warnings: &mut Notes) {
        warnings.add(format!("{}: the attribute {} was not restored: {error}", self.shown.display(), name.display()));
    }

    fn times(&self) -> Timestamps {
        let (secs, nanos) = self.entry.mtime;
        Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: secs, tv_nsec: nanos.into() },
        }
    }
}
