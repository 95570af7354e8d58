//! A workbench for whole runs of the real binary: a fixture's data, a configuration, a destination, all in one folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::fixture::Fixture;
use super::keys::Keys;

/// One database called `shop` and one destination called `local`, encrypted to a fresh key whose identity this host has.
pub struct Bench<F: Fixture> {
    pub fixture: F,
    pub keys: Keys,
    before: String,
    dir: TempDir,
}

impl<F: Fixture> Bench<F> {
    /// Seeded and configured.
    pub fn new() -> Self {
        Self::make(None)
    }

    /// With these keys of `[database.shop]` instead of the fixture's own; `$HERE` is the bench's folder.
    pub fn with_keys(keys: &str) -> Self {
        Self::make(Some(keys))
    }

    fn make(instead: Option<&str>) -> Self {
        let (dir, keys) = (TempDir::new().unwrap(), Keys::new());
        for folder in ["data", "etc", "state"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let fixture = F::new(&dir.path().join("data"));
        let seeded = fixture.seed();
        let before = fixture.fingerprint();
        let bench = Self { fixture, keys, before, dir };
        let own = instead.map_or(seeded, |keys| keys.replace("$HERE", &bench.path("").display().to_string()));
        bench.configure(&own, "");
        bench
    }

    /// Writes the configuration anew, with these keys of the database and these of its policy.
    pub fn configure(&self, database: &str, policy: &str) {
        let text = format!(
            "[daemon]\nstate_dir = \"{state}\"\n\n[destination.local]\nservice = \"fs\"\nroot = \"{root}\"\nmin_free = \"0%\"\n\n\
             [encryption.team]\nrecipients = [\"{recipient}\"]\nidentity_files = [\"{identity}\"]\n\n\
             [policy.plain]\ndestinations = [\"local\"]\nencryption = \"team\"\n{policy}\n\
             [database.shop]\nengine = \"{engine}\"\npolicy = \"plain\"\n{database}",
            state = self.path("state").display(),
            root = self.root().display(),
            recipient = self.keys.recipient(),
            identity = self.keys.identity_file().display(),
            engine = self.fixture.engine(),
        );
        std::fs::write(self.path("etc/qbackd.toml"), text).unwrap();
    }

    /// A path in the bench's folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Where the destination is.
    pub fn root(&self) -> PathBuf {
        self.path("backups")
    }

    /// The real binary with this configuration.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qbackd"));
        command
            .arg("--config")
            .arg(self.path("etc"))
            .args(args)
            .env("TMPDIR", self.path(""))
            .current_dir(self.dir.path());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it; it must succeed. Gives its stdout.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "qbackd {args:?}: {}\n{out}\n{err}", output.status);
        out.into_owned()
    }

    /// Runs it; it must exit with `code`. Gives its stderr.
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "qbackd {args:?}: {}\n{out}\n{err}", output.status);
        err.into_owned()
    }

    /// Runs it with `--json`; it must succeed. Gives its document.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let text = self.ok(&[&["--json"], args].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("qbackd {args:?} printed no JSON: {e}\n{text}"))
    }

    /// The ids of all backups, `shop/…`, oldest first.
    pub fn listed(&self) -> Vec<String> {
        if !self.root().exists() {
            return Vec::new();
        }
        let listing = self.json(&["list"]);
        assert_eq!(listing["damaged"].as_array().map(Vec::len), Some(0), "{listing}");
        listing["backups"].as_array().unwrap().iter().map(|b| b["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The outcomes of all backups, newest first.
    pub fn outcomes(&self) -> Vec<String> {
        let history = self.json(&["history", "-n", "1000"]);
        let backup = |run: &&serde_json::Value| run["kind"] == "backup";
        history["runs"]
            .as_array()
            .unwrap()
            .iter()
            .filter(backup)
            .map(|run| run["outcome"].as_str().unwrap_or("running").to_owned())
            .collect()
    }

    /// Folders at the destination that look like a backup and have no manifest.
    pub fn unpublished(&self) -> Vec<String> {
        names(&self.root().join("shop/backup"))
            .into_iter()
            .filter(|id| !self.root().join("shop/backup").join(id).join("manifest.json").exists())
            .collect()
    }

    /// What lies in the scratch folders of runs.
    pub fn scratch_left(&self) -> Vec<String> {
        names(&self.path("state/scratch"))
    }

    /// Removes all backups behind qbackd's back.
    pub fn forget_all_backups(&self) {
        std::fs::remove_dir_all(self.root().join("shop")).unwrap();
    }

    /// The newest backup, restored after the data is gone, is the data.
    pub fn restores_to_what_it_was(&self) {
        assert_eq!(self.fixture.fingerprint(), self.before, "the backups changed their source");
        self.fixture.wipe();
        self.ok(&["restore", "shop", "--yes"]);
        assert_eq!(self.fixture.fingerprint(), self.before);
    }

    /// Waits until a file in the bench's folder exists.
    pub fn wait_for(&self, file: &str, limit: Duration) {
        let end = Instant::now() + limit;
        while !self.path(file).exists() {
            assert!(Instant::now() < end, "{file} did not appear within {limit:?}");
            std::thread::yield_now();
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
