//! `qbackd try` as somebody runs it who has nothing yet: no configuration, no root, no key; and on data of their own.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::by_hand::shell;
use crate::support::fixture::{is_root, sqlite3, tree_fingerprint};
use crate::support::memory::sha256;

const NOBODY: &str = "65534";

/// The real binary in an empty folder, with nothing to go by.
struct Trial {
    dir: TempDir,
}

impl Trial {
    fn new() -> Self {
        // What is printed for a shell must be fit for one.
        Self { dir: TempDir::with_prefix("it's my folder ").unwrap() }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn bare(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_remove("STATE_DIRECTORY").env("QBACKD_CONFIG", self.path("absent"));
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.bare(Path::new(env!("CARGO_BIN_EXE_qbackd"))).arg("try").args(args).output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        succeeded(&self.run(args))
    }
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The commands that were printed, as they were printed.
fn by_hand(said: &str) -> String {
    let (_, after) = said.split_once("the same by hand, with nothing of qbackd:\n\n").unwrap();
    after.split_once("\n\n").unwrap().0.to_owned()
}

/// What a database holds, computed by sqlite3.
fn content(database: &Path) -> String {
    sqlite3(database, ".sha3sum")
}

/// The only artifact below the folder of the trial.
fn artifact(folder: &Path) -> PathBuf {
    let files = walkdir::WalkDir::new(folder.join("backups")).into_iter().map(|entry| entry.unwrap().into_path());
    let ours = ["SHA256SUMS", "manifest.json", "qbackd.json", "RECOVERY.txt"];
    let found: Vec<PathBuf> =
        files.filter(|path| path.is_file() && !ours.iter().any(|name| path.ends_with(name))).collect();
    let [artifact] = &found[..] else { panic!("there are {found:?}") };
    artifact.clone()
}

#[test]
fn nobody_with_no_configuration_gets_proof_and_the_commands_that_do_it_by_hand() {
    let trial = Trial::new();
    let output = if is_root() {
        // Where everybody may start it.
        let (home, program) = (TempDir::new().unwrap(), Path::new(env!("CARGO_BIN_EXE_qbackd")));
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::copy(program, home.path().join("qbackd")).unwrap();
        std::os::unix::fs::chown(trial.dir.path(), Some(65534), Some(65534)).unwrap();
        let mut command = trial.bare(Path::new("setpriv"));
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]);
        command.arg(home.path().join("qbackd")).arg("try").output().unwrap()
    } else {
        trial.run(&[])
    };
    let said = succeeded(&output);
    let folder = trial.path("qbackd-try");
    let sample = folder.join("sample.db");
    let size = sample.metadata().unwrap().len();
    assert!((40_000_000..60_000_000).contains(&size), "the sample has {size} bytes");
    for table in ["(schema)", "customer", "order_line", "event"] {
        let row = said.lines().find(|line| line.contains(table)).unwrap_or_else(|| panic!("no {table} in\n{said}"));
        assert!(row.trim().starts_with("equal"), "{row}");
    }
    assert!(!said.contains("DIFFERS"), "{said}");
    assert_eq!(content(&sample), content(&folder.join("restored.db")));

    // What lies at the destination is closed to whoever has no key.
    let stored = artifact(&folder);
    let bytes = std::fs::read(&stored).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"), "{} is not encrypted", stored.display());
    let key = std::fs::read_to_string(folder.join("identity.txt")).unwrap();
    let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    assert!(said.contains(&format!("encrypted to {recipient}")), "{said}");
    assert_eq!(folder.join("identity.txt").metadata().unwrap().mode() & 0o777, 0o600);

    let commands = by_hand(&said);
    for tool in ["sha256sum", "age", "zstd", "sqlite3"] {
        assert!(commands.contains(tool), "no {tool} in\n{commands}");
    }
    assert!(!commands.contains("qbackd "), "{commands}");
    let told = shell(trial.dir.path(), &commands);
    assert!(told.contains("sample.db.zst.age: OK") && told.ends_with("ok\n"), "{told}");
    assert_eq!(content(&stored.with_file_name("sample.db")), content(&sample));
}

/// Names, sizes, times and content of all that lies in a folder.
fn state_of(folder: &Path) -> Vec<(PathBuf, u64, i64, String)> {
    let mut state: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let meta = path.metadata().unwrap();
            (path.clone(), meta.len(), meta.mtime_nsec(), sha256(&std::fs::read(&path).unwrap()))
        })
        .collect();
    state.sort();
    state
}

#[test]
fn a_database_of_ones_own_is_read_compared_and_left_as_it_was() {
    let trial = Trial::new();
    std::fs::create_dir(trial.path("own")).unwrap();
    let source = trial.path("own/My shop.db");
    sqlite3(&source, "PRAGMA journal_mode=WAL; CREATE TABLE t(v); INSERT INTO t VALUES ('precious'), (2);");
    let before = state_of(&trial.path("own"));
    let said = trial.ok(&[&format!("sqlite:{}", source.display())]);
    assert_eq!(state_of(&trial.path("own")), before, "its folder is not as it was");
    assert!(said.lines().any(|line| line.trim().starts_with("equal") && line.contains(" t ")), "{said}");
    assert_eq!(content(&trial.path("qbackd-try/restored.db")), content(&source));
    let opened = artifact(&trial.path("qbackd-try")).with_file_name("my-shop.db");
    shell(trial.dir.path(), &by_hand(&said));
    assert_eq!(content(&opened), content(&source));
}

#[test]
fn a_folder_of_ones_own_is_read_compared_and_left_as_it_was() {
    let trial = Trial::new();
    let source = trial.path("own");
    std::fs::create_dir_all(source.join("deep")).unwrap();
    std::fs::write(source.join("deep/file"), "precious").unwrap();
    std::os::unix::fs::symlink("deep/file", source.join("link")).unwrap();
    let before = tree_fingerprint(&source);
    let said = trial.ok(&["own"]);
    assert_eq!(tree_fingerprint(&source), before);
    assert!(said.lines().any(|line| line.trim().starts_with("equal  files, folders and links")), "{said}");
    let real = source.canonicalize().unwrap();
    assert_eq!(tree_fingerprint(&trial.path("qbackd-try/restored").join(real.strip_prefix("/").unwrap())), before);
    assert!(shell(trial.dir.path(), &by_hand(&said)).contains("deep/file"));
}

#[test]
fn programs_get_one_document_with_the_figures_and_the_commands() {
    let trial = Trial::new();
    sqlite3(&trial.path("shop.db"), "CREATE TABLE t(v); INSERT INTO t VALUES (1), (2);");
    let said: Value = serde_json::from_str(&trial.ok(&["shop.db", "--json"])).unwrap();
    let rows = said["comparison"]["rows"].as_array().unwrap();
    let table = rows.iter().find(|row| row["what"] == "t").unwrap();
    assert_eq!((&table["count"], &table["equal"]), (&2.into(), &true.into()));
    assert!(rows.iter().all(|row| row["equal"] == true), "{said}");
    assert!(said["backup"]["id"].as_str().unwrap().starts_with("shop/"), "{said}");
    assert!(Path::new(said["restored"].as_str().unwrap()).is_file());
    let commands: Vec<&str> = said["by_hand"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(shell(trial.dir.path(), &commands.join("\n")).ends_with("ok\n"));
}

#[test]
fn a_folder_that_somebody_else_made_is_not_touched_and_one_of_ours_is_made_anew() {
    let trial = Trial::new();
    sqlite3(&trial.path("shop.db"), "CREATE TABLE t(v); INSERT INTO t VALUES (1);");
    std::fs::create_dir(trial.path("qbackd-try")).unwrap();
    std::fs::write(trial.path("qbackd-try/thesis"), "precious").unwrap();
    for (args, code) in [(&["shop.db"][..], 1), (&["absent.db"], 1), (&["."], 2), (&["mysql://localhost/shop"], 69)] {
        let output = trial.run(args);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
        assert!(args != ["shop.db"] || err.contains("was not made by `qbackd try`\nhint: "), "{err}");
    }
    assert_eq!(state_of(&trial.path("qbackd-try")).len(), 1);
    assert_eq!(std::fs::read_to_string(trial.path("qbackd-try/thesis")).unwrap(), "precious");

    std::fs::rename(trial.path("qbackd-try"), trial.path("away")).unwrap();
    trial.ok(&["shop.db"]);
    let first = artifact(&trial.path("qbackd-try"));
    trial.ok(&["shop.db"]);
    assert_ne!(artifact(&trial.path("qbackd-try")), first);
}
