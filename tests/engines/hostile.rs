//! Archives made to do harm: whatever they hold, nothing is written outside the target.

use std::path::PathBuf;

use qbackd::engine::{Engine, RestoreRequest, Run};
use tar::{EntryType, Header};

use crate::support::fixture::{is_root, open, tree_fingerprint};
use crate::support::memory::{MemoryBackup, back_up, run_in};

/// A target beside something that must not change.
struct Jail {
    dir: tempfile::TempDir,
    run: Run,
    engine: Box<dyn Engine>,
    backup: MemoryBackup,
}

impl Jail {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("outside")).unwrap();
        std::fs::write(dir.path().join("outside/precious"), "precious").unwrap();
        let run = run_in(dir.path(), "web");
        let engine = open("files", &format!("files = [\"{}\"]", dir.path().join("outside").display()));
        let backup = back_up(engine.as_ref(), "files", &run).await.unwrap();
        Self { dir, run, engine, backup }
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    /// Restores an archive, in vain, and gives the error's text.
    async fn refuses(&mut self, archive: Vec<u8>, overwrite: bool) -> String {
        let before = tree_fingerprint(&self.outside());
        let target = self.dir.path().join("target");
        self.backup.set_content(archive);
        let request = RestoreRequest { to: Some(target.display().to_string()), overwrite, ..RestoreRequest::default() };
        let error = self.engine.restore(&self.backup, &request, &self.run).await.unwrap_err();
        assert_eq!(tree_fingerprint(&self.outside()), before, "{error}");
        let mut here: Vec<_> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        here.sort();
        assert_eq!(here, ["outside", "scratch", "target"], "{error}");
        let _ = std::fs::remove_dir_all(target);
        error.line()
    }
}

/// One entry, as raw as it gets.
fn entry(name: &[u8], kind: EntryType, target: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_device_major(1).unwrap();
    header.set_device_minor(3).unwrap();
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn pax(records: &[u8]) -> Vec<u8> {
    entry(b"pax", EntryType::XHeader, "", records)
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut all = entries.concat();
    all.resize(all.len() + 1024, 0);
    all
}

fn file(name: &str) -> Vec<u8> {
    entry(name.as_bytes(), EntryType::Regular, "", b"evil")
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_climb_out_are_refused_by_name() {
    let mut jail = Jail::new().await;
    let absolute = jail.outside().join("precious").display().to_string();
    for name in ["../outside/precious", "a/../../outside/precious", "..", "a/..", &absolute, "", ".", "./", "/"] {
        for kind in [EntryType::Regular, EntryType::Directory, EntryType::Symlink, EntryType::Fifo] {
            let content: &[u8] = if kind == EntryType::Regular { b"evil" } else { b"" };
            let line = jail.refuses(archive(&[entry(name.as_bytes(), kind, "x", content)]), true).await;
            assert!(line.contains("unsafe name"), "{name}: {line}");
            assert!(line.contains(name), "{name}: {line}");
        }
    }
    let line = jail.refuses(archive(&[pax(b"22 path=../../outside\n"), file("innocent")]), true).await;
    assert!(line.contains("unsafe name `../../outside`"), "{line}");
    let line = jail.refuses(archive(&[pax(b"14 path=a\0b/c\n"), file("innocent")]), true).await;
    assert!(line.contains("unsafe name"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_through_a_link_of_the_archive() {
    let mut jail = Jail::new().await;
    let outside = jail.outside().display().to_string();
    for target in [outside.as_str(), "../outside", "."] {
        let link = || entry(b"link", EntryType::Symlink, target, b"");
        for last in [
            file("link/precious"),
            file("link/new"),
            file("link/deep/er/new"),
            entry(b"link/folder", EntryType::Directory, "", b""),
            entry(b"link/sym", EntryType::Symlink, "x", b""),
            entry(b"link/fifo", EntryType::Fifo, "", b""),
            entry(b"stolen", EntryType::Link, "link/precious", b""),
            entry(b"link/hard", EntryType::Link, "link", b""),
        ] {
            let line = jail.refuses(archive(&[link(), last]), true).await;
            assert!(line.contains("link"), "{line}");
        }
        // A folder that is a link already stays one.
        let line = jail.refuses(archive(&[link(), entry(b"link/", EntryType::Directory, "", b"")]), true).await;
        assert!(line.contains("exists and is no folder"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_over_a_link_replaces_the_link_and_not_what_it_points_at() {
    let mut jail = Jail::new().await;
    let precious = jail.outside().join("precious").display().to_string();
    let target = jail.dir.path().join("target");
    let twice = archive(&[entry(b"link", EntryType::Symlink, &precious, b""), file("link")]);
    let line = jail.refuses(twice.clone(), false).await;
    assert!(line.contains("link exists"), "{line}");
    jail.backup.set_content(twice);
    let to = Some(target.display().to_string());
    let request = RestoreRequest { to, overwrite: true, ..RestoreRequest::default() };
    jail.engine.restore(&jail.backup, &request, &jail.run).await.unwrap();
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "precious");
    assert_eq!(std::fs::read_to_string(target.join("link")).unwrap(), "evil");
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_links_stay_inside() {
    let mut jail = Jail::new().await;
    let precious = jail.outside().join("precious").display().to_string();
    for target in ["../outside/precious", &precious, "", "a/../../outside/precious"] {
        let line = jail.refuses(archive(&[entry(b"stolen", EntryType::Link, target, b"")]), true).await;
        assert!(line.contains("unsafe name"), "{target}: {line}");
    }
    let line = jail.refuses(archive(&[entry(b"stolen", EntryType::Link, "absent", b"")]), true).await;
    assert!(line.contains("cannot link") && line.contains("absent"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_were_in_the_target_before_are_not_followed_either() {
    let mut jail = Jail::new().await;
    let before = tree_fingerprint(&jail.outside());
    let target = jail.dir.path().join("target");
    std::fs::create_dir(&target).unwrap();
    std::os::unix::fs::symlink(jail.outside(), target.join("folder")).unwrap();
    jail.backup.set_content(archive(&[file("folder/precious")]));
    let to = Some(target.display().to_string());
    let request = RestoreRequest { to, overwrite: true, ..RestoreRequest::default() };
    let error = jail.engine.restore(&jail.backup, &request, &jail.run).await.unwrap_err();
    assert!(error.line().contains("symbolic link") && error.remedy().unwrap().contains("--to"), "{error}");
    assert_eq!(tree_fingerprint(&jail.outside()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_made_by_root_alone() {
    let mut jail = Jail::new().await;
    let device = archive(&[entry(b"null", EntryType::Char, "", b"")]);
    if is_root() {
        let target = jail.dir.path().join("target");
        jail.backup.set_content(device);
        let request = RestoreRequest { to: Some(target.display().to_string()), ..RestoreRequest::default() };
        jail.engine.restore(&jail.backup, &request, &jail.run).await.unwrap();
        let stat = std::os::unix::fs::MetadataExt::rdev(&std::fs::symlink_metadata(target.join("null")).unwrap());
        assert_eq!((rustix::fs::major(stat), rustix::fs::minor(stat)), (1, 3));
    } else {
        assert!(jail.refuses(device, true).await.contains("only root may"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_and_never_taken_for_the_end() {
    let mut jail = Jail::new().await;
    let whole = archive(&[file("a"), file("b")]);
    let mut flipped = whole.clone();
    flipped[600 + 512] ^= 1;
    let sparse = |offset: u64, length: u64, size: u64| {
        let mut header = Header::new_gnu();
        header.set_path("sparse").unwrap();
        header.set_entry_type(EntryType::GNUSparse);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(4);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.set_real_size(size);
        gnu.sparse[0].set_offset(offset);
        gnu.sparse[0].set_length(length);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(b"evil");
        bytes.resize(1024, 0);
        archive(&[bytes])
    };
    for (content, why) in [
        (whole[..1500].to_vec(), "cut short"),
        (whole[..2048].to_vec(), "cut short"),
        (whole[..2560].to_vec(), "cut short"),
        (Vec::new(), "cut short"),
        (flipped, "checksum"),
        ([whole.clone(), vec![1]].concat(), "follows its end"),
        ([file("a"), vec![0; 512], file("b")].concat(), "in the middle"),
        (archive(&[pax(b"9 mtime=x\n"), file("a")]), "malformed"),
        (archive(&[pax(b"11 mtime=x\n"), file("a")]), "a time that is none"),
        (archive(&[pax(b"999999999999999999999 a=b\n"), file("a")]), "malformed"),
        (archive(&[pax(b"28 size=9223372036854775000\n"), file("a")]), "cut short"),
        (archive(&[pax(b"29 size=18446744073709551615\n"), file("a")]), "impossible"),
        (archive(&[pax(b"22 GNU.sparse.major=1\n"), file("a")]), "holes in a format"),
        (archive(&[pax(b"8 uid=1\n"), pax(b"8 uid=1\n"), file("a")]), "announced twice"),
        (archive(&[pax(b"8 uid=1\n")]), "ends where an entry was announced"),
        (archive(&[entry(b"a", EntryType::GNULongName, "", b"x")]), "are not known"),
        (archive(&[entry(b"a", EntryType::Symlink, "x", b"content")]), "no file"),
        (archive(&[entry(b"a", EntryType::Symlink, "", b"")]), "links to nothing"),
        (sparse(u64::MAX >> 1, 4, 8), "contradicts itself"),
        (sparse(0, 5, 8), "does not fit"),
        (sparse(8, 4, 8), "contradicts itself"),
    ] {
        let line = jail.refuses(content, true).await;
        assert!(line.contains(why), "{why}: {line}");
    }
}
