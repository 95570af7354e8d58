//! Where a file with holes has data.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

/// More stretches of data than this in one sparse file are not worth their map, which is kept in memory.
const STRETCHES: usize = 65_536;

/// Where the data of a file with holes lies; `None` for one without, or with too many to be worth it.
pub(super) fn stretches(file: &File, meta: &Metadata) -> io::Result<Option<Vec<(u64, u64)>>> {
    let size = meta.len();
    if meta.blocks() * 512 >= size {
        return Ok(None);
    }
    let mut map = Vec::new();
    let mut at = 0;
    while at < size {
        let data = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(rustix::io::Errno::NXIO) => break,
            // A file system that cannot tell has no holes.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let hole = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(data))?;
        let (data, hole) = (data.min(size), hole.min(size));
        if hole > data {
            map.push((data, hole - data));
        }
        if map.len() > STRETCHES {
            rustix::fs::seek(file, rustix::fs::SeekFrom::Start(0))?;
            return Ok(None);
        }
        at = hole.max(at + 1);
    }
    rustix::fs::seek(file, rustix::fs::SeekFrom::Start(0))?;
    let whole = map.iter().map(|(_, length)| length).sum::<u64>() == size;
    Ok((!whole).then_some(map))
}
