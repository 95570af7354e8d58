//! An SQLite database with a folder of its own, and an application that uses it in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use qbackd::engine::{Engine, Run};
use qbackd::error::{Error, Result};

use super::fixture::open;
use super::memory::{MemoryBackup, MemorySink, back_up, dump, run_in};

/// A real `sqlite3` that stays, in a process of its own.
pub struct Shell {
    /// The process.
    pub child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Shell {
    pub fn on(path: &Path) -> Self {
        let mut child = Command::new("sqlite3")
            .args(["-batch", "-bail"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests need `sqlite3`");
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    /// Runs SQL and waits until it is done; the last line it printed.
    pub fn run(&mut self, sql: &str) -> String {
        writeln!(self.stdin, "{sql}\nSELECT 'done';").unwrap();
        let mut last = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "sqlite3 ended at {sql}");
            if line == "done\n" {
                return last;
            }
            last = line.trim_end().to_owned();
        }
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct World {
    pub dir: tempfile::TempDir,
    pub db: PathBuf,
    pub run: Run,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let run = run_in(dir.path(), "shop");
        Self { db: data.join("app.db"), run, dir }
    }

    pub fn engine(&self) -> Box<dyn Engine> {
        open("sqlite", &format!("url = \"sqlite:{}\"", self.db.display()))
    }

    pub async fn back_up(&self) -> Result<MemoryBackup> {
        back_up(self.engine().as_ref(), "sqlite", &self.run).await
    }

    pub async fn refused(&self) -> Error {
        let (engine, sink) = (self.engine(), MemorySink::default());
        let error = dump(engine.as_ref(), &self.run, &sink).await.unwrap_err();
        assert!(sink.finished().await.is_empty(), "a refused dump left an artifact");
        error
    }

    /// The names in the database's folder.
    pub fn listing(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.db.parent().unwrap())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A backup's content as a file that the real `sqlite3` opens.
    pub fn file_of(&self, backup: &MemoryBackup) -> PathBuf {
        let copy = self.dir.path().join("copy.db");
        std::fs::write(&copy, backup.content()).unwrap();
        copy
    }
}

pub fn table(backup: &MemoryBackup, name: &str) -> Option<u64> {
    let tables = &backup.manifest().objects;
    tables.iter().find(|o| o.kind == "table" && o.name == name).unwrap_or_else(|| panic!("no table {name}")).count
}
