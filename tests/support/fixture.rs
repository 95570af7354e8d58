//! Data that every engine can be tried on: made, told apart, destroyed. The suites of engines, of the pipeline and of the
//! command line run the same fixtures.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use qbackd::engine::{Engine, SourceOptions, registry};

/// Something to back up, in a folder of its own.
pub trait Fixture: Send + Sync {
    /// One below `dir`, which is empty.
    fn new(dir: &Path) -> Self
    where
        Self: Sized;
    /// `engine = "…"`
    fn engine(&self) -> &'static str;
    /// Makes the data. Returns the keys of its `[database.NAME]` besides `engine` and those of a policy, as TOML.
    fn seed(&self) -> String;
    /// The data as text: equal before and after means that everything came back.
    fn fingerprint(&self) -> String;
    /// Destroys the data.
    fn wipe(&self);
    /// Whether the engine can see what it would write over, and refuses without `overwrite`.
    fn sees_its_target(&self) -> bool {
        true
    }
}

/// The engine that `kind` and the keys of a database make.
pub fn open(kind: &str, keys: &str) -> Box<dyn Engine> {
    let options: SourceOptions = toml::from_str(keys).unwrap();
    registry::by_name(kind).unwrap().open.unwrap()(&options).unwrap()
}

/// Runs a command that must succeed, and gives its stdout. A missing program fails the test.
pub fn sh(program: &str, args: &[&str]) -> String {
    let output = try_sh(program, args);
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command and gives all it left.
pub fn try_sh(program: &str, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap_or_else(|e| panic!("the tests need `{program}`: {e}"))
}

/// Runs SQL with the real `sqlite3`.
pub fn sqlite3(path: &Path, sql: &str) -> String {
    sh("sqlite3", &["-batch", "-bail", path.to_str().unwrap(), sql])
}

/// An SQLite database in WAL mode.
pub struct SqliteFixture {
    /// The database file.
    pub path: PathBuf,
}

impl Fixture for SqliteFixture {
    fn new(dir: &Path) -> Self {
        Self { path: dir.join("app.db") }
    }

    fn engine(&self) -> &'static str {
        "sqlite"
    }

    fn seed(&self) -> String {
        sqlite3(
            &self.path,
            "PRAGMA journal_mode=WAL;
             CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, note BLOB);
             CREATE TABLE \"odd \"\" näme\"(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
             CREATE INDEX by_name ON customer(name);
             CREATE VIEW everyone AS SELECT name FROM customer;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 20000)
               INSERT INTO customer SELECT i, 'customer ' || i, randomblob(60) FROM n;
             INSERT INTO \"odd \"\" näme\" VALUES ('a', 1), ('ü', x'00ff');
             CREATE VIRTUAL TABLE words USING fts5(text);
             INSERT INTO words SELECT name FROM customer LIMIT 500;",
        );
        format!("url = \"sqlite:{}\"\n", self.path.display())
    }

    fn fingerprint(&self) -> String {
        if self.path.exists() { sqlite3(&self.path, ".dump") } else { "absent".into() }
    }

    fn wipe(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.path.display()));
        }
    }
}

/// A program's state in a file, which the program itself prints and takes.
pub struct CommandFixture {
    /// The file.
    pub state: PathBuf,
}

impl Fixture for CommandFixture {
    fn new(dir: &Path) -> Self {
        Self { state: dir.join("state") }
    }

    fn engine(&self) -> &'static str {
        "command"
    }

    fn seed(&self) -> String {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        std::fs::write(&self.state, bytes).unwrap();
        let state = self.state.display();
        format!(
            "dump = [\"cat\", \"{state}\"]\nrestore = [\"sh\", \"-c\", \"cat > {state}.new && mv {state}.new {state}\"]\n"
        )
    }

    fn fingerprint(&self) -> String {
        std::fs::read(&self.state).map_or_else(|_| "absent".into(), |bytes| super::memory::sha256(&bytes))
    }

    fn wipe(&self) {
        std::fs::remove_file(&self.state).unwrap();
    }

    fn sees_its_target(&self) -> bool {
        false
    }
}
