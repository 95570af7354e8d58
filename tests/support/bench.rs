//! A workbench for whole runs of the real binary: a fixture's data, a configuration, a destination, all in one folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::fixture::{Fixture, is_root, sh};
use super::keys::Keys;

/// One database called `shop` and one destination called `local`, encrypted to a fresh key whose identity this host has.
pub struct Bench<F: Fixture> {
    pub fixture: F,
    pub keys: Keys,
    before: String,
    as_user: Option<PathBuf>,
    dir: TempDir,
}

/// A user and a group that own nothing.
const NOBODY: &str = "65534";

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
        let bench = Self { fixture, keys, before, as_user: None, dir };
        let own = instead.map_or(seeded, |keys| keys.replace("$HERE", &bench.path("").display().to_string()));
        bench.configure(&own, "");
        bench
    }

    /// Writes the configuration anew, with these keys of the database and these of its policy.
    pub fn configure(&self, database: &str, policy: &str) {
        let text = format!(
            "[daemon]\nstate_dir = \"{state}\"\ncontrol_socket = \"{socket}\"\n\n[destination.local]\nservice = \"fs\"\nroot = \"{root}\"\nmin_free = \"0%\"\n\n\
             [encryption.team]\nrecipients = [\"{recipient}\"]\nidentity_files = [\"{identity}\"]\n\n\
             [policy.plain]\ndestinations = [\"local\"]\nencryption = \"team\"\n{policy}\n\
             [database.shop]\nengine = \"{engine}\"\npolicy = \"plain\"\n{database}",
            state = self.path("state").display(),
            socket = self.path("run/control.sock").display(),
            root = self.root().display(),
            recipient = self.keys.recipient(),
            identity = self.keys.identity_file().display(),
            engine = self.fixture.engine(),
        );
        std::fs::write(self.path("etc/qbackd.toml"), text).unwrap();
    }

    /// Replaces a part of the configuration, which must be there; `$HERE` is the bench's folder.
    pub fn edit(&self, from: &str, to: &str) {
        let text = self.configuration();
        let from = from.replace("$HERE", &self.path("").display().to_string());
        assert!(text.contains(&from), "{from:?} is not in\n{text}");
        self.set_configuration(&text.replace(&from, to));
    }

    /// The configuration as it is.
    pub fn configuration(&self) -> String {
        std::fs::read_to_string(self.path("etc/qbackd.toml")).unwrap()
    }

    /// Another configuration; `$HERE` is the bench's folder.
    pub fn set_configuration(&self, text: &str) {
        let text = text.replace("$HERE", &self.path("").display().to_string());
        std::fs::write(self.path("etc/qbackd.toml"), text).unwrap();
    }

    /// From now on the program runs as an ordinary user, who owns everything here. Whoever is none of root is one already.
    pub fn give_up_root(&mut self) {
        if !is_root() {
            return;
        }
        let program = self.path("qbackd");
        std::fs::copy(env!("CARGO_BIN_EXE_qbackd"), &program).unwrap();
        let keys = self.keys.identity_file();
        let (here, keys) = (self.path(""), keys.parent().unwrap());
        sh("chown", &["-R", &format!("{NOBODY}:{NOBODY}"), here.to_str().unwrap(), keys.to_str().unwrap()]);
        self.as_user = Some(program);
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
        let mut command = match &self.as_user {
            None => Command::new(env!("CARGO_BIN_EXE_qbackd")),
            Some(program) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]).arg(program);
                command
            }
        };
        command
            .arg("--config")
            .arg(self.path("etc"))
            .args(args)
            .env("TMPDIR", self.path(""))
            .env_remove("STATE_DIRECTORY")
            .stdin(Stdio::null())
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
        self.runs("backup").iter().map(|run| run["outcome"].as_str().unwrap_or("running").to_owned()).collect()
    }

    /// The runs of a kind that the history knows, newest first.
    pub fn runs(&self, kind: &str) -> Vec<serde_json::Value> {
        let history = self.json(&["history", "-n", "1000"]);
        history["runs"].as_array().unwrap().iter().filter(|run| run["kind"] == kind).cloned().collect()
    }

    /// The folder of a listed backup, `shop/…`.
    pub fn folder(&self, id: &str) -> PathBuf {
        self.root().join(id.replacen('/', "/backup/", 1))
    }

    /// The stored file of a backup that has one artifact.
    pub fn artifact(&self, id: &str) -> PathBuf {
        let ours = |name: &String| !["SHA256SUMS", "manifest.json"].contains(&name.as_str());
        let artifacts: Vec<String> = names(&self.folder(id)).into_iter().filter(ours).collect();
        let [artifact] = &artifacts[..] else { panic!("{id} holds {artifacts:?}") };
        self.folder(id).join(artifact)
    }

    /// Flips a bit in the middle of it.
    pub fn flip_a_bit(&self, id: &str) {
        let file = self.artifact(id);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }

    /// What the data was when it was seeded.
    pub fn before(&self) -> &str {
        &self.before
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

/// The names in a folder; none if it is absent.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
