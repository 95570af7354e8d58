//! Archives as they come: arbitrary bytes, real archives with damage. Reading never panics, extracting never leaves its folder.

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::extract::Extractor;
use super::read::Reader;
use super::select::Chosen;
use super::tree::Tree;
use super::write::Writer;
use crate::engine::SourceOptions;
use crate::engine::thread::{Stop, on_thread};
use crate::model::{Inlet, pipe};

fn stream(bytes: Vec<u8>) -> Inlet {
    let (mut outlet, inlet) = pipe();
    std::thread::spawn(move || {
        for piece in bytes.chunks(777) {
            if outlet.send(Bytes::copy_from_slice(piece)).is_err() {
                return;
            }
        }
        let _ = outlet.end();
    });
    inlet
}

fn with_stop<T: Send + 'static>(work: impl FnOnce(&Stop) -> T + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(on_thread("test", &CancellationToken::new(), move |stop| Ok(work(stop)))).unwrap()
}

/// A real archive of one of everything an ordinary user can make.
fn archive() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("t");
    std::fs::create_dir_all(tree.join("sub/empty")).unwrap();
    std::fs::write(tree.join("file"), "content").unwrap();
    std::fs::write(tree.join("sub/large"), vec![7; 3000]).unwrap();
    std::fs::write(tree.join("n".repeat(150)), "long").unwrap();
    std::fs::File::create(tree.join("sparse")).unwrap().set_len(100_000).unwrap();
    std::fs::hard_link(tree.join("file"), tree.join("sub/hard")).unwrap();
    std::os::unix::fs::symlink("../../..", tree.join("up")).unwrap();
    let options = SourceOptions { files: vec![tree.clone()], ..SourceOptions::default() };
    let tree = Tree::new(&options).unwrap();
    let (outlet, mut inlet) = pipe();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        while let Some(block) = inlet.next().unwrap() {
            all.extend_from_slice(&block);
        }
        all
    });
    with_stop(move |stop| {
        let mut writer = Writer::new(outlet);
        writer.add_root(&tree, &tree.roots()[0].clone(), stop).unwrap();
        writer.finish().unwrap()
    });
    reader.join().unwrap()
}

/// Extracts into `jail/in` and looks whether anything else appeared.
fn extract_in_jail(bytes: Vec<u8>) -> bool {
    let jail = tempfile::tempdir().unwrap();
    std::fs::write(jail.path().join("sentinel"), "untouched").unwrap();
    let target = jail.path().join("in");
    let result = with_stop(move |stop| {
        let extractor = Extractor::new(&target, true, Chosen::new(&[]).unwrap()).unwrap();
        extractor.run(Reader::new(stream(bytes)), stop).is_ok()
    });
    let names = |dir: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(jail.path()), ["in", "sentinel"]);
    assert_eq!(std::fs::read_to_string(jail.path().join("sentinel")).unwrap(), "untouched");
    result
}

/// Makes the checksum of every header that is one right again, so that damage gets past it.
fn mend(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            let mut header = tar::Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
}

#[test]
fn a_whole_archive_extracts() {
    assert!(extract_in_jail(archive()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(300), ..ProptestConfig::default() })]

    #[test]
    fn whatever_bytes_come_reading_ends_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        prop_assert!(super::read_all(stream(bytes), || Ok(())).is_err());
    }

    #[test]
    fn a_damaged_archive_never_gets_out_of_its_folder(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(&b"/.01256xS \0"[..])]), 1..12),
        mended in any::<bool>(),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        static WHOLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(archive);
        let mut bytes = WHOLE.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if mended {
            mend(&mut bytes);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        extract_in_jail(bytes);
    }
}
