//! Headers of archive entries, encoded by the `tar` crate; what does not fit into them becomes pax records.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use tar::{EntryType, GnuExtSparseHeader, Header};

use super::owners::Owners;
use super::pax;

/// The largest number that seven octal digits hold: what a plain header can say of an owner.
const PLAIN_ID: u32 = 0o7_777_777;
/// The largest size that a plain header can say.
const PLAIN_SIZE: u64 = 0o77_777_777_777;

/// The header of an entry; what it cannot say goes into `records`.
pub(super) fn of(
    meta: &Metadata,
    owners: &Owners,
    kind: EntryType,
    name: &[u8],
    target: Option<&[u8]>,
    size: u64,
    records: &mut Vec<u8>,
) -> Header {
    let mut header = if kind == EntryType::GNUSparse { Header::new_gnu() } else { Header::new_ustar() };
    header.set_entry_type(kind);
    header.set_mode(meta.mode() & 0o7777);
    let mut name = name.to_vec();
    if kind == EntryType::Directory {
        name.push(b'/');
    }
    let old = header.as_old_mut();
    if !fits(&mut old.name, &name) {
        pax::put(records, b"path", &name);
    }
    if let Some(target) = target
        && !fits(&mut old.linkname, target)
    {
        pax::put(records, b"linkpath", target);
    }
    for (key, id) in [("uid", meta.uid()), ("gid", meta.gid())] {
        if id > PLAIN_ID {
            pax::put(records, key.as_bytes(), id.to_string().as_bytes());
        }
    }
    header.set_uid(meta.uid().into());
    header.set_gid(meta.gid().into());
    if size > PLAIN_SIZE {
        pax::put(records, b"size", size.to_string().as_bytes());
    }
    header.set_size(size);
    let (secs, nanos) = (meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap_or(0));
    if nanos != 0 || secs < 0 || secs.unsigned_abs() > PLAIN_SIZE {
        pax::put(records, b"mtime", pax::time(secs, nanos).as_bytes());
    }
    header.set_mtime(u64::try_from(secs).unwrap_or(0).min(PLAIN_SIZE));
    let (user, group) = (owners.user(meta.uid()), owners.group(meta.gid()));
    if header.set_username(user).is_err() {
        pax::put(records, b"uname", user.as_bytes());
    }
    if header.set_groupname(group).is_err() {
        pax::put(records, b"gname", group.as_bytes());
    }
    if matches!(kind, EntryType::Char | EntryType::Block) {
        // The kinds of header made above have these fields, so neither can fail.
        let _ = header.set_device_major(rustix::fs::major(meta.rdev()));
        let _ = header.set_device_minor(rustix::fs::minor(meta.rdev()));
    }
    header
}

/// The header of `length` bytes of pax records for the entry that follows.
pub(super) fn extended(length: usize) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    fits(&mut header.as_old_mut().name, b"././@PaxHeader");
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(length as u64);
    header.set_cksum();
    header
}

/// The header of a file of `size` bytes with holes, completed with the map of its stretches of data, and the blocks that
/// continue the map (GNU's old format, which every tar reads).
pub(super) fn sparse(mut header: Header, map: &[(u64, u64)], size: u64) -> (Header, Vec<GnuExtSparseHeader>) {
    // As GNU tar does: an empty stretch says where the last hole ends.
    let ends = map.last().is_some_and(|(offset, length)| offset + length == size);
    let map: Vec<(u64, u64)> = map.iter().copied().chain((!ends).then_some((size, 0))).collect();
    let (first, mut rest) = map.split_at(map.len().min(4));
    if let Some(gnu) = header.as_gnu_mut() {
        gnu.set_real_size(size);
        gnu.set_is_extended(!rest.is_empty());
        for (slot, &(offset, length)) in gnu.sparse.iter_mut().zip(first) {
            slot.set_offset(offset);
            slot.set_length(length);
        }
    }
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let mut block = GnuExtSparseHeader::new();
        let (now, later) = rest.split_at(rest.len().min(block.sparse.len()));
        for (slot, &(offset, length)) in block.sparse.iter_mut().zip(now) {
            slot.set_offset(offset);
            slot.set_length(length);
        }
        block.set_is_extended(!later.is_empty());
        blocks.push(block);
        rest = later;
    }
    (header, blocks)
}

/// Puts a name into a field of a header; what does not fit is cut, and the caller says it elsewhere.
fn fits(field: &mut [u8; 100], name: &[u8]) -> bool {
    let count = name.len().min(field.len());
    field[..count].copy_from_slice(&name[..count]);
    count == name.len()
}
