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

/// A tree with one of everything that tar knows.
pub struct FilesFixture {
    /// The folder.
    pub tree: PathBuf,
}

/// Whether the tests run as root: only then there are foreign owners, devices and privileged attributes.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Fixture for FilesFixture {
    fn new(dir: &Path) -> Self {
        Self { tree: dir.join("tree") }
    }

    fn engine(&self) -> &'static str {
        "files"
    }

    fn seed(&self) -> String {
        let script = r#"
            set -eu; umask 022; mkdir -p "$1"; cd "$1"
            mkdir -p empty deep/er "with space"
            printf 'hello\n' > plain; printf 'run\n' > suid; chmod 4755 suid; : > zero; chmod 400 zero
            printf 'x' > "with space/new
line"
            printf 'latin' > "$(printf 'caf\351')"
            long=$(printf 'n%.0s' $(seq 1 200)); mkdir -p "$long/$long"; printf 'far' > "$long/$long/file"
            head -c 1500000 /dev/urandom > large
            truncate -s 3000000 sparse; printf 'data' | dd of=sparse bs=1 seek=1000000 conv=notrunc status=none
            truncate -s 500000 hole
            for i in $(seq 0 59); do printf 'piece' | dd of=pieces bs=1 seek=$((i * 65536)) conv=notrunc status=none; done
            ln plain deep/er/same; ln plain deep/again
            ln -s plain link; ln -s /nowhere/at/all broken; ln -s "$long/$long/$long" far-link; ln link second-name-of-a-link
            mkfifo fifo; chmod 640 fifo; chmod 2770 deep; chmod 1777 empty
            setfattr -n user.note -v 'a value' plain
            setfattr -n user.binary -v 0x000a3d00ff25 plain
            setfattr -n 'user.odd=%name' -v odd plain
            setfattr -n user.dir -v d deep
            setfacl -m u:12345:rw large; setfacl -d -m g:23456:rx deep
            if [ "$(id -u)" = 0 ]; then
                chown 4242:4343 large; chown -h 4242:4343 link; chown 3000000:3000001 suid; chmod 4755 suid; chmod 000 zero
                mknod null c 1 3; mknod disk b 259 7; chmod 622 null
                setfattr -n trusted.root -v only plain; setfattr -h -n trusted.link -v l link
            fi
            touch -h -d '1999-12-31 23:59:59.5' link; touch -d '1965-04-03 02:01:00.25' zero
            touch -d '2001-02-03 04:05:06.123456789' plain; touch -d '2010-01-01 00:00:00.000000001' deep empty deep/er .
        "#;
        sh("sh", &["-c", script, "seed", self.tree.to_str().unwrap()]);
        format!("files = [\"{}\"]\n", self.tree.display())
    }

    fn fingerprint(&self) -> String {
        tree_fingerprint(&self.tree)
    }

    fn wipe(&self) {
        sh("rm", &["-rf", self.tree.to_str().unwrap()]);
    }
}

/// Everything about a tree that a backup must keep, told by `find`, `sha256sum` and `getfattr`.
pub fn tree_fingerprint(tree: &Path) -> String {
    if !tree.exists() {
        return "absent".into();
    }
    let script = r#"
        set -eu; cd "$1"
        find . -type d -printf '%P d %m %U:%G %T@\n' | sort
        find . ! -type d -printf '%P %y %m %U:%G %T@ %s %n %l\n' | sort
        find . -type f -printf '%b %s %P\n' | awk '$1 * 512 < $2 { print "holes in", $3 }' | sort
        find . ! -type d -links +1 -printf '%i %P\n' | sort | awk '{ if ($1 != last) n++; last = $1; $1 = ""; print "=" n, $0 }' | sort -k2 | awk '{ if (!($1 in g)) g[$1] = ++k; print g[$1], $0 }' | cut -d' ' -f1,3-
        find . \( -type b -o -type c \) -exec stat -c '%n %t %T' {} + | sort
        find . -type f -exec sha256sum {} + | sort
        find . ! -type l -print0 | sort -z | xargs -r0 getfattr -h -d -m - -e hex --
        find . -type l -print0 | sort -z | xargs -r0 getfattr -h -d -m - -e hex --
    "#;
    sh("sh", &["-c", script, "fingerprint", tree.to_str().unwrap()])
}
