//! Reading an archive that nobody vouches for: every name, size and number is checked before it is used, memory is bounded,
//! and the archive is whole only when its end was seen and the stream behind it ended well.
//!
//! It reads what [`write`](super::write) writes. The `tar` crate's own reader splits pax records at newlines, which a binary
//! attribute may hold, and fills holes with zeros.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use tar::{GnuExtSparseHeader, Header};

use super::pax;
use crate::error::{Error, Result};
use crate::model::Inlet;

/// The most that the pax records of one entry may take, in bytes.
const MAX_RECORDS: u64 = 16 * 1024 * 1024;
/// The most stretches of data that one file with holes may have.
const MAX_STRETCHES: usize = 1 << 20;
/// The longest path (`PATH_MAX`), in bytes.
const MAX_PATH: usize = 4096;
const BLOCK: u64 = 512;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A file of so many bytes, holes counted.
    File(u64),
    /// Another name of a file that came before.
    Hard(PathBuf),
    /// A symbolic link to any text at all.
    Symlink(OsString),
    /// A folder.
    Folder,
    /// A named pipe.
    Fifo,
    /// A character device, major and minor.
    Char(u32, u32),
    /// A block device.
    Block(u32, u32),
}

/// One entry. Its name is relative and has no `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it belongs, below wherever the archive is extracted.
    pub path: PathBuf,
    /// What it is.
    pub what: What,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Owner by name, may be empty.
    pub user: String,
    /// Group by name, may be empty.
    pub group: String,
    /// Last change, in seconds and nanoseconds since the epoch.
    pub mtime: (i64, u32),
    /// Extended attributes.
    pub xattrs: Vec<(OsString, Vec<u8>)>,
}

/// An archive being read.
pub(super) struct Reader {
    inlet: Inlet,
    current: Bytes,
    /// What is left of the present entry's stored content, and the padding behind it.
    left: u64,
    padding: u64,
    /// Offset and length of the stretches the stored content belongs to, next first.
    stretches: std::vec::IntoIter<(u64, u64)>,
    stretch: (u64, u64),
}

/// What the pax records before an entry said.
#[derive(Default)]
struct Said {
    path: Option<Vec<u8>>,
    linkpath: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    user: Option<String>,
    group: Option<String>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(OsString, Vec<u8>)>,
}

impl Reader {
    /// Reads from a stream.
    pub(super) fn new(inlet: Inlet) -> Self {
        let none = Vec::new().into_iter();
        Self { inlet, current: Bytes::new(), left: 0, padding: 0, stretches: none, stretch: (0, 0) }
    }

    /// The next entry; what is left of the one before is skipped. `None` once the archive and the stream ended well.
    ///
    /// # Errors
    /// The archive is damaged, cut short or made to do harm; the stream broke off.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut said = Said::default();
        let mut told = false;
        loop {
            let rest = self.left + self.padding;
            self.skip(rest)?;
            (self.left, self.padding) = (0, 0);
            let block = self.block()?;
            if block.iter().all(|&b| b == 0) {
                if told {
                    return Err(damaged("it ends where an entry was announced"));
                }
                self.end()?;
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            check_sum(header)?;
            if block[156] != b'x' {
                return self.entry(header, said).map(Some);
            }
            if told {
                return Err(damaged("one entry is announced twice"));
            }
            told = true;
            said = self.records(header)?;
        }
    }

    /// The next piece of the present file and its offset in it; `None` after the last.
    ///
    /// # Errors
    /// As [`Reader::next_entry`].
    pub(super) fn piece(&mut self) -> Result<Option<(u64, Bytes)>> {
        while self.stretch.1 == 0 {
            match self.stretches.next() {
                Some(next) => self.stretch = next,
                None => return Ok(None),
            }
        }
        let bytes = self.some(self.stretch.1)?;
        let length = bytes.len() as u64;
        let offset = self.stretch.0;
        self.stretch = (offset + length, self.stretch.1 - length);
        self.left -= length;
        Ok(Some((offset, bytes)))
    }

    fn entry(&mut self, header: &Header, said: Said) -> Result<Entry> {
        let raw = said.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let path = safe(&raw)?;
        let bad = |why: &str| damaged(format!("{}: {why}", path.display()));
        let number =
            |what: std::io::Result<u64>, field: &str| what.map_err(|_| bad(&format!("its {field} is no number")));
        let small = |n: u64, field: &str| u32::try_from(n).map_err(|_| bad(&format!("its {field} is too large")));
        let target = || said.linkpath.clone().or_else(|| header.link_name_bytes().map(|name| name.into_owned()));
        let stored = match said.size {
            Some(size) => size,
            None => number(header.entry_size(), "size")?,
        };
        let device = || -> Result<(u32, u32)> {
            let part =
                |field: std::io::Result<Option<u32>>| field.ok().flatten().ok_or_else(|| bad("it names no device"));
            Ok((part(header.device_major())?, part(header.device_minor())?))
        };
        let what = match header.as_bytes()[156] {
            b'0' | 0 => What::File(stored),
            b'S' => What::File(number(
                header.as_gnu().map_or_else(|| Err(std::io::ErrorKind::InvalidData.into()), tar::GnuHeader::real_size),
                "size",
            )?),
            b'1' => What::Hard(safe(&target().unwrap_or_default())?),
            b'2' => What::Symlink(link_target(target(), &bad)?),
            b'3' => device().map(|(major, minor)| What::Char(major, minor))?,
            b'4' => device().map(|(major, minor)| What::Block(major, minor))?,
            b'5' => What::Folder,
            b'6' => What::Fifo,
            other => return Err(bad(&format!("entries of type {:?} are not known", char::from(other)))),
        };
        let map = match what {
            What::File(size) if header.as_bytes()[156] == b'S' => self.map(header, size, stored, &bad)?,
            What::File(_) => vec![(0, stored)],
            _ if stored > 0 => return Err(bad("it holds content, but is no file")),
            _ => Vec::new(),
        };
        self.left = stored;
        self.padding = (BLOCK - stored % BLOCK) % BLOCK;
        if stored > u64::MAX / 2 {
            return Err(bad("its size is impossible"));
        }
        self.stretches = map.into_iter();
        self.stretch = (0, 0);
        let mtime = match said.mtime {
            Some(time) => time,
            None => (i64::try_from(number(header.mtime(), "time")?).map_err(|_| bad("its time is impossible"))?, 0),
        };
        let name = |said: Option<String>, field: Option<&[u8]>| {
            said.unwrap_or_else(|| String::from_utf8_lossy(field.unwrap_or_default()).into_owned())
        };
        Ok(Entry {
            mode: header.mode().map_err(|_| bad("its mode is no number"))? & 0o7777,
            uid: said.uid.map_or_else(|| small(number(header.uid(), "owner")?, "owner"), Ok)?,
            gid: said.gid.map_or_else(|| small(number(header.gid(), "group")?, "group"), Ok)?,
            user: name(said.user, header.username_bytes()),
            group: name(said.group, header.groupname_bytes()),
            mtime,
            xattrs: said.xattrs,
            what,
            path,
        })
    }

    /// The map of a file with holes: in order, within the file, and as much data as is stored.
    fn map(&mut self, header: &Header, size: u64, stored: u64, bad: &dyn Fn(&str) -> Error) -> Result<Vec<(u64, u64)>> {
        let mut map = Vec::new();
        let mut at = 0u64;
        let mut take = |slots: &[tar::GnuSparseHeader]| -> Result<()> {
            for slot in slots.iter().filter(|slot| !slot.is_empty()) {
                let number = |n: std::io::Result<u64>| n.map_err(|_| bad("its map of holes is no numbers"));
                let (offset, length) = (number(slot.offset())?, number(slot.length())?);
                let end = offset.checked_add(length).filter(|&end| offset >= at && end <= size);
                at = end.ok_or_else(|| bad("its map of holes contradicts itself"))?;
                map.push((offset, length));
                if map.len() > MAX_STRETCHES {
                    return Err(bad("its map of holes is too long"));
                }
            }
            Ok(())
        };
        let Some(gnu) = header.as_gnu() else { return Err(bad("it has no map of its holes")) };
        take(&gnu.sparse)?;
        let mut more = gnu.is_extended();
        while more {
            let mut block = GnuExtSparseHeader::new();
            block.as_mut_bytes().copy_from_slice(&self.block()?);
            take(&block.sparse)?;
            more = block.is_extended();
        }
        let mapped = map.iter().try_fold(0u64, |sum, (_, length)| sum.checked_add(*length));
        if mapped == Some(stored) { Ok(map) } else { Err(bad("its map of holes does not fit its content")) }
    }

    fn records(&mut self, header: &Header) -> Result<Said> {
        let bad = |why: &str| damaged(format!("an extended header {why}"));
        let size = header.entry_size().map_err(|_| bad("has no size"))?;
        if size > MAX_RECORDS {
            return Err(bad("is too long"));
        }
        let mut text = Vec::new();
        while (text.len() as u64) < size {
            text.extend_from_slice(&self.some(size - text.len() as u64)?);
        }
        self.skip((BLOCK - size % BLOCK) % BLOCK)?;
        let mut said = Said::default();
        let word = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let number = |value: &[u8]| word(value).parse::<u64>().map_err(|_| bad("has a number that is none"));
        let small = |value: &[u8]| u32::try_from(number(value)?).map_err(|_| bad("has a number that is too large"));
        for (key, value) in pax::records(&text).ok_or_else(|| bad("is malformed"))? {
            match key {
                b"path" => said.path = Some(value.to_vec()),
                b"linkpath" => said.linkpath = Some(value.to_vec()),
                b"size" => said.size = Some(number(value)?),
                b"uid" => said.uid = Some(small(value)?),
                b"gid" => said.gid = Some(small(value)?),
                b"uname" => said.user = Some(word(value)),
                b"gname" => said.group = Some(word(value)),
                b"mtime" => said.mtime = Some(pax::parse_time(value).ok_or_else(|| bad("has a time that is none"))?),
                _ if key.starts_with(b"GNU.sparse") => {
                    return Err(bad("announces holes in a format that is not known"));
                }
                _ => {
                    if let Some(name) = pax::xattr_name(key) {
                        said.xattrs.push((name, value.to_vec()));
                    }
                }
            }
        }
        Ok(said)
    }

    /// The end: a second block of zeros, nothing but zeros behind it, and the stream's own proof.
    fn end(&mut self) -> Result<()> {
        if self.block()?.iter().any(|&b| b != 0) {
            return Err(damaged("it ends in the middle"));
        }
        loop {
            if self.current.iter().any(|&b| b != 0) {
                return Err(damaged("something follows its end"));
            }
            match self.inlet.next()? {
                Some(block) => self.current = block,
                None => return Ok(()),
            }
        }
    }

    /// Up to `most` bytes, at least one.
    fn some(&mut self, most: u64) -> Result<Bytes> {
        while self.current.is_empty() {
            self.current = self.inlet.next()?.ok_or_else(|| damaged("it is cut short"))?;
        }
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.current.len());
        Ok(self.current.split_to(count))
    }

    fn block(&mut self) -> Result<[u8; 512]> {
        let mut block = [0; 512];
        let mut filled = 0;
        while filled < block.len() {
            let part = self.some((block.len() - filled) as u64)?;
            block[filled..filled + part.len()].copy_from_slice(&part);
            filled += part.len();
        }
        Ok(block)
    }

    fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            count -= self.some(count)?.len() as u64;
        }
        Ok(())
    }
}

fn damaged(why: impl Into<String>) -> Error {
    Error::failed("the archive is damaged").because(why.into())
}

fn check_sum(header: &Header) -> Result<()> {
    let bytes = header.as_bytes();
    let sum: u32 =
        bytes.iter().enumerate().map(|(n, &b)| if (148..156).contains(&n) { 32 } else { u32::from(b) }).sum();
    if header.cksum().ok() != Some(sum) {
        return Err(damaged("the checksum of a header is wrong"));
    }
    if header.as_ustar().is_none() && header.as_gnu().is_none() {
        return Err(damaged("a header is in a format that is not known"));
    }
    Ok(())
}

/// A name as a path that cannot leave the folder it is taken in.
fn safe(name: &[u8]) -> Result<PathBuf> {
    let path = PathBuf::from(OsString::from_vec(name.to_vec()));
    let plain = |path: &Path| path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    let inside: PathBuf = path.components().filter(|c| matches!(c, Component::Normal(_))).collect();
    if name.contains(&0) || !plain(&path) || inside.as_os_str().is_empty() || name.len() > MAX_PATH {
        return Err(Error::failed(format!(
            "the archive holds the unsafe name `{}`",
            path.display().to_string().escape_debug()
        ))
        .because("a name may not be absolute, empty, too long or climb out with `..`")
        .hint("nothing qbackd wrote has such names: somebody tampered with this backup"));
    }
    Ok(inside)
}

fn link_target(target: Option<Vec<u8>>, bad: &dyn Fn(&str) -> Error) -> Result<OsString> {
    match target {
        Some(target) if !target.is_empty() && !target.contains(&0) && target.len() < MAX_PATH => {
            Ok(OsString::from_vec(target))
        }
        _ => Err(bad("it links to nothing that can be")),
    }
}
