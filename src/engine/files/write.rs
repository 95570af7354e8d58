//! Writing the archive: one entry after the other into the outlet, large contents without a copy.
//!
//! The `tar` crate encodes headers; contents do not go through its `Builder`, which copies them in small pieces, knows no
//! extended attributes, and fails when a file shrinks while it is read.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use tar::{EntryType, Header};
use xattr::FileExt;

use super::super::thread::Stop;
use super::owners::Owners;
use super::tree::{Tree, cannot_read, folder, no_files};
use super::{Notes, header, pax, sparse};
use crate::error::{Error, Result};
use crate::model::Outlet;
use crate::model::blocks::BLOCK;
use crate::model::manifest::Object;

/// Contents up to this size are copied into the block in the making; larger ones become blocks themselves.
const SMALL: u64 = 64 * 1024;
const ZEROS: [u8; 512] = [0; 512];

/// An archive in the making.
pub(super) struct Writer {
    out: Outlet,
    owners: Owners,
    /// Where the first name of a file with several lies, by device and inode, until all its names were seen.
    links: HashMap<(u64, u64), (Vec<u8>, u64)>,
    notes: Notes,
}

/// What a file looks like on the disk: where its data is, and how long it is.
struct Content<'a> {
    file: &'a File,
    path: &'a Path,
    size: u64,
    /// Offset and length of each stretch of data, if there are holes.
    stretches: Option<Vec<(u64, u64)>>,
}

impl Writer {
    /// An empty archive.
    pub(super) fn new(out: Outlet) -> Self {
        Self { out, owners: Owners::here(), links: HashMap::new(), notes: Notes::default() }
    }

    /// Adds a configured path with all below it; what was archived.
    ///
    /// # Errors
    /// Something exists but cannot be read, or nobody takes the stream any more.
    pub(super) fn add_root(&mut self, tree: &Tree, root: &Path, stop: &Stop) -> Result<Object> {
        // Files are opened below this, without following a link that somebody puts in their way.
        let above = root.parent().unwrap_or(root);
        let above_fd = rustix::fs::open(above, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| cannot_read(above, e.into()))?;
        let (mut files, mut bytes) = (0, 0);
        for entry in tree.walk(root) {
            stop.check()?;
            let found = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
            let (meta, entry) = match found {
                Ok(found) => found,
                Err(e) => {
                    let path = e.path().unwrap_or(root).to_owned();
                    self.vanished_or(&path, e.into())?;
                    continue;
                }
            };
            let below = entry.path().strip_prefix(above).unwrap_or(entry.path());
            if let Some(stored) = self.add(&above_fd, below, entry.path(), &meta)? {
                files += u64::from(!meta.is_dir());
                bytes += stored;
            }
        }
        if files == 0 {
            return Err(no_files(root));
        }
        Ok(folder(root, files, bytes))
    }

    /// Ends the archive and the stream; what a reader should know.
    ///
    /// # Errors
    /// Nobody takes the stream any more.
    pub(super) fn finish(mut self) -> Result<Vec<String>> {
        self.put(&ZEROS)?;
        self.put(&ZEROS)?;
        self.out.end()?;
        Ok(self.notes.into_list())
    }

    /// Adds one entry; the bytes of content, or `None` if it is left out with a note.
    fn add(&mut self, above: &OwnedFd, below: &Path, path: &Path, meta: &Metadata) -> Result<Option<u64>> {
        let name = path.as_os_str().as_bytes().strip_prefix(b"/").unwrap_or_default();
        let kind = meta.file_type();
        if name.is_empty() {
            // The root of the file system has no name below itself.
            return Ok(None);
        }
        if kind.is_socket() {
            self.notes.add(format!("{}: a socket is not archived", path.display()));
            return Ok(None);
        }
        let mut records = Vec::new();
        let linked = meta.nlink() > 1 && !kind.is_dir();
        if linked {
            let key = (meta.dev(), meta.ino());
            if let Some((first, left)) = self.links.get_mut(&key) {
                let first = first.clone();
                *left -= 1;
                if *left == 0 {
                    self.links.remove(&key);
                }
                let header = header::of(meta, &self.owners, EntryType::Link, name, Some(&first), 0, &mut records);
                self.head(header, &records)?;
                return Ok(Some(0));
            }
        }
        let added = if kind.is_file() {
            self.add_file(above, below, path, name, &mut records)?
        } else {
            let target = if kind.is_symlink() { std::fs::read_link(path) } else { Ok(Default::default()) };
            let xattrs = || xattr::list(path).map(|names| names.map(|n| (xattr::get(path, &n), n)).collect());
            match target.and_then(|target| Ok((target, supported(xattrs())?))) {
                Ok((target, xattrs)) => {
                    self.xattrs(path, xattrs, &mut records);
                    let kind = match () {
                        () if kind.is_dir() => EntryType::Directory,
                        () if kind.is_symlink() => EntryType::Symlink,
                        () if kind.is_fifo() => EntryType::Fifo,
                        () if kind.is_char_device() => EntryType::Char,
                        () => EntryType::Block,
                    };
                    let target = kind.is_symlink().then(|| target.as_os_str().as_bytes());
                    let header = header::of(meta, &self.owners, kind, name, target, 0, &mut records);
                    self.head(header, &records)?;
                    Some(0)
                }
                Err(e) => {
                    self.vanished_or(path, e)?;
                    None
                }
            }
        };
        if added.is_some() && linked {
            self.links.insert((meta.dev(), meta.ino()), (name.to_vec(), meta.nlink() - 1));
        }
        Ok(added)
    }

    fn add_file(
        &mut self,
        above: &OwnedFd,
        below: &Path,
        path: &Path,
        name: &[u8],
        records: &mut Vec<u8>,
    ) -> Result<Option<u64>> {
        // Not blocking on a fifo that took the file's place.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let opened = rustix::fs::openat2(above, below, flags, Mode::empty(), resolve);
        let opened = opened.map(File::from).map_err(io::Error::from);
        let (file, meta) = match opened.and_then(|file| Ok((file.metadata()?, file))) {
            Ok((meta, file)) if meta.is_file() => (file, meta),
            Ok(_) => {
                self.notes.add(format!("{}: it became something else while it was archived", path.display()));
                return Ok(None);
            }
            Err(e) => return self.vanished_or(path, e).map(|()| None),
        };
        let stretches = sparse::stretches(&file, &meta).map_err(|e| cannot_read(path, e))?;
        let xattrs = file.list_xattr().map(|names| names.map(|n| (file.get_xattr(&n), n)).collect());
        let xattrs = supported(xattrs).map_err(|e| cannot_read(path, e))?;
        self.xattrs(path, xattrs, records);
        let content = Content { file: &file, path, size: meta.len(), stretches };
        let stored = match &content.stretches {
            None => {
                let header = header::of(&meta, &self.owners, EntryType::Regular, name, None, content.size, records);
                self.head(header, records)?;
                self.stretch(&content, 0, content.size)?;
                content.size
            }
            Some(map) => {
                let stored = map.iter().map(|(_, length)| length).sum();
                let header = header::of(&meta, &self.owners, EntryType::GNUSparse, name, None, stored, records);
                let (header, more) = header::sparse(header, map, content.size);
                self.head(header, records)?;
                for block in more {
                    self.put(block.as_bytes())?;
                }
                for &(offset, length) in map {
                    self.stretch(&content, offset, length)?;
                }
                stored
            }
        };
        self.pad(stored)?;
        let after = file.metadata().map_err(|e| cannot_read(path, e))?;
        if after.len() < meta.len() {
            self.notes.add(format!("{}: it shrank while it was read, the rest is zeros", path.display()));
        } else if after.len() > meta.len() {
            self.notes.add(format!("{}: it grew while it was read, and is cut", path.display()));
        } else if (after.mtime(), after.mtime_nsec()) != (meta.mtime(), meta.mtime_nsec()) {
            self.notes.add(format!("{}: it changed while it was read", path.display()));
        }
        Ok(Some(stored))
    }

    /// A file that is gone is no error; one that is there but unreadable is.
    fn vanished_or(&mut self, path: &Path, error: io::Error) -> Result<()> {
        let swapped = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        if swapped || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            self.notes.add(format!("{}: it vanished before it was read", path.display()));
            return Ok(());
        }
        Err(cannot_read(path, error))
    }

    fn xattrs(&mut self, path: &Path, found: Xattrs, records: &mut Vec<u8>) {
        for (value, name) in found {
            match value {
                Ok(Some(value)) => pax::put(records, &pax::xattr_key(&name), &value),
                Ok(None) => {}
                Err(e) => self.notes.add(format!("{}: no {}: {e}", path.display(), name.display())),
            }
        }
    }

    /// Writes the extended header, if there is anything to say, and the header.
    fn head(&mut self, mut header: Header, records: &[u8]) -> Result<()> {
        if !records.is_empty() {
            self.put(header::extended(records.len()).as_bytes())?;
            self.put(records)?;
            self.pad(records.len() as u64)?;
        }
        header.set_cksum();
        self.put(header.as_bytes())
    }

    /// Writes `length` bytes of a file from `offset` on, zeros where it became shorter.
    fn stretch(&mut self, content: &Content<'_>, offset: u64, length: u64) -> Result<()> {
        let mut file = content.file;
        let failed = |e| cannot_read(content.path, e);
        if offset > 0 || content.stretches.is_some() {
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        }
        let mut left = length;
        while left > 0 {
            let want = left.min(BLOCK as u64);
            let mut block = Vec::with_capacity(usize::try_from(want).unwrap_or(BLOCK));
            file.take(want).read_to_end(&mut block).map_err(failed)?;
            if block.is_empty() {
                block.resize(usize::try_from(want).unwrap_or(BLOCK), 0);
            }
            left -= block.len() as u64;
            if length <= SMALL { self.put(&block)? } else { self.out.send(Bytes::from(block))? }
        }
        Ok(())
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let rest = (512 - size % 512) % 512;
        self.put(&ZEROS[..usize::try_from(rest).unwrap_or(0)])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|_| Error::consequence())
    }
}

type Xattrs = Vec<(io::Result<Option<Vec<u8>>>, std::ffi::OsString)>;

/// A file system without extended attributes has none.
fn supported(found: io::Result<Xattrs>) -> io::Result<Xattrs> {
    match found {
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) => Ok(Vec::new()),
        other => other,
    }
}
