//! A tree of files to archive, and the real `tar` to read the archive.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use qbackd::engine::{Engine, Run};

use super::fixture::open;
use super::memory::{MemoryBackup, back_up, run_in};

/// A file larger than what all queues of a pipeline hold, in bytes.
pub const LARGE: usize = 16 << 20;

/// A folder with a tree to back up, and room beside it.
pub struct World {
    pub dir: tempfile::TempDir,
    pub tree: PathBuf,
    pub run: Run,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let run = run_in(dir.path(), "web");
        Self { tree, run, dir }
    }

    /// A file below the tree, with its folders.
    pub fn file(&self, path: &str, content: &[u8]) -> PathBuf {
        let file = self.tree.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        file
    }

    pub fn engine(&self, more: &str) -> Box<dyn Engine> {
        open("files", &format!("files = [\"{}\"]\n{more}", self.tree.display()))
    }

    pub async fn back_up(&self, more: &str) -> MemoryBackup {
        back_up(self.engine(more).as_ref(), "files", &self.run).await.unwrap()
    }

    /// Where the tree is when it is extracted below `out`.
    pub fn below(&self, out: &Path) -> PathBuf {
        out.join(self.tree.strip_prefix("/").unwrap())
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Feeds an archive to the real tar.
pub fn tar(args: &[&str], archive: &[u8]) -> String {
    let mut child = Command::new("tar")
        .args(args)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tests need GNU tar");
    let mut stdin = child.stdin.take().unwrap();
    let archive = archive.to_vec();
    let feeder = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &archive));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Times before the epoch are strange to GNU tar, but it keeps them.
    let complaints: Vec<&str> = said.lines().filter(|line| !line.contains("implausibly old time stamp")).collect();
    assert!(output.status.success() && complaints.is_empty(), "tar: {complaints:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
