//! Configuration: from files to a plan, and what is said about files that are wrong.

mod diagnostics;
mod never_panics;
mod plan;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use qbackd::config::{self, Level, Loaded, Report, UNBUILT};

/// Files in a directory of their own.
pub struct Dir(tempfile::TempDir);

impl Dir {
    pub fn with<T: AsRef<[u8]>>(files: &[(&str, T)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn load(&self) -> Result<Loaded, Report> {
        config::load(self.path())
    }

    pub fn report(&self) -> Report {
        match self.load() {
            Ok(loaded) => loaded.warnings,
            Err(report) => report,
        }
    }

    /// What is said about it, with the directory called as it is on a real host.
    pub fn said(&self) -> String {
        self.report().render(false).replace(&self.path().display().to_string(), "/etc/qbackd")
    }
}

/// What a database needs around it.
const AROUND: &str = r#"
[destination.local]
service = "memory"

[policy.nightly]
destinations = ["local"]
encryption = "none"
"#;

#[test]
fn files_are_one_document_in_lexical_order_and_other_files_are_left_alone() {
    let dir = Dir::with(&[
        ("20-db.toml", "[database.a]\nengine = \"files\"\nfiles = [\"/dev\"]\npolicy = \"nightly\""),
        ("10-base.toml", AROUND),
        ("30-old.toml.bak", "not = toml = at all"),
        (".#20-db.toml", "neither is this"),
        ("notes.txt", "hello"),
    ]);
    std::fs::create_dir(dir.path().join("folder.toml")).unwrap();
    let loaded = dir.load().unwrap();
    assert_eq!(loaded.plan.databases.len(), 1);
    let files = loaded.warnings.sources().iter().map(|s| s.path().file_name().unwrap().to_owned());
    assert_eq!(files.collect::<Vec<_>>(), ["10-base.toml", "20-db.toml"]);
}

#[test]
fn a_table_in_two_files_is_an_error_that_shows_both() {
    let dir = Dir::with(&[
        ("a.toml", "[destination.local]\nservice = \"memory\"\n"),
        ("b.toml", "# more\n[destination.local]\nlabel = \"again\"\n"),
    ]);
    insta::assert_snapshot!(dir.said(), @r"
    error: [destination.local] is defined twice
     --> /etc/qbackd/b.toml:2:1
      |
    2 | [destination.local]
      | ^^^^^^^^^^^^^^^^^^^ defined again here
      |
     ::: /etc/qbackd/a.toml:1:1
      |
    1 | [destination.local]
      | ------------------- first defined here
      |
      = help: a table is defined once; bring its keys together in one file, or choose another name
    ");
}

#[test]
fn a_directory_that_cannot_be_read_is_named_with_a_hint() {
    let dir = Dir::with::<&str>(&[]);
    insta::assert_snapshot!(dir.said(), @r"
    error: no *.toml file in /etc/qbackd
     |
     = help: write one, or let `qbackd init` write a first one
    ");
    let said = config::load(&dir.path().join("absent")).unwrap_err().to_string();
    assert!(said.contains("/absent does not exist") && said.contains("--config DIR"), "{said}");
    std::fs::write(dir.path().join("file"), "").unwrap();
    let said = config::load(&dir.path().join("file")).unwrap_err().to_string();
    assert!(said.contains("/file is not a directory"), "{said}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_are_checked() {
    let dir =
        Dir::with(&[("a.toml", b"[destination.a]\nservice = \"\xff\"\n".as_slice()), ("b.toml", b"[databse.x]\n")]);
    std::os::unix::fs::symlink("/nowhere/at/all", dir.path().join("c.toml")).unwrap();
    // Opening a pipe without a writer would wait for ever.
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("d.toml")).status().unwrap();
    assert!(made.success());
    let said = dir.said();
    for part in [
        "the file is not UTF-8 text\n --> /etc/qbackd/a.toml:2:12",
        "unknown table `databse`",
        "cannot read /etc/qbackd/c.toml",
        "the symbolic link points to nothing",
        "cannot read /etc/qbackd/d.toml: it is not a regular file",
    ] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
}

#[test]
fn a_file_that_everybody_can_write_is_warned_of() {
    let dir = Dir::with(&[("a.toml", AROUND)]);
    assert!(dir.load().unwrap().warnings.is_empty(), "{}", dir.said());
    std::fs::set_permissions(dir.path().join("a.toml"), PermissionsExt::from_mode(0o666)).unwrap();
    let said = dir.said();
    assert!(said.contains("warning: /etc/qbackd/a.toml can be written by everybody"), "{said}");
    assert!(said.contains("help: chmod o-w /etc/qbackd/a.toml"), "{said}");
}

#[test]
fn a_named_file_that_is_absent_is_a_warning_and_nothing_named_is_opened() {
    let dir = Dir::with::<&str>(&[]);
    let shown = dir.path().display().to_string();
    // Reading any of these as what it is named for would fail.
    std::fs::write(dir.path().join("junk"), [0xff; 64]).unwrap();
    let text = |file: &str| {
        format!(
            "{AROUND}[encryption.e]\nrecipients_file = \"{shown}/{file}\"\nidentity_files = [\"{shown}/{file}\"]\n\
             [database.a]\nurl = \"sqlite:{shown}/{file}\"\npolicy = \"nightly\"\n"
        )
    };
    std::fs::write(dir.path().join("a.toml"), text("junk")).unwrap();
    assert!(!dir.said().contains("does not exist"), "{}", dir.said());
    std::fs::write(dir.path().join("a.toml"), text("absent")).unwrap();
    let loaded = dir.load().unwrap();
    let absent = loaded.warnings.diagnostics().iter().filter(|d| d.message.ends_with("/absent does not exist"));
    assert_eq!(absent.count(), 3, "{}", loaded.warnings);
}

#[test]
fn a_key_without_effect_is_one_warning_that_lists_its_places() {
    let mut text = AROUND.to_owned();
    for i in 0..20 {
        text += &format!("[database.d{i}]\nengine = \"files\"\nfiles = [\"/dev\"]\npolicy = \"nightly\"\nnice = 5\n");
    }
    let dir = Dir::with(&[("shop.toml", text)]);
    let warnings = dir.load().unwrap().warnings;
    let nice: Vec<_> = warnings.diagnostics().iter().filter(|d| d.message.contains("`nice`")).collect();
    assert_eq!((nice.len(), nice[0].places.len(), nice[0].level), (1, 20, Level::Warning));
    let said = dir.said();
    assert!(said.contains("--> /etc/qbackd/shop.toml:12:1\n--> /etc/qbackd/shop.toml:17:1"), "{said}");
    assert!(said.contains("and 12 more"), "{said}");
    let line = warnings.lines().find(|(_, line)| line.contains("`nice`")).unwrap().1;
    assert!(line.ends_with("shop.toml:12:1: `nice` of a database has no effect yet (and 19 more)"), "{line}");
}

#[test]
fn what_programs_read_has_file_line_column_message_and_help() {
    let dir = Dir::with(&[(
        "shop.toml",
        "[policy.p]\ndrill = \"02:00\"\ndestinations = [\"ä\", \"offsiet\"]\n[destination.offsite]\nservice = \"memory\"\n",
    )]);
    let rows = dir.load().unwrap_err().rows();
    let json = serde_json::to_value(&rows).unwrap();
    assert_eq!(
        json[1],
        serde_json::json!({
            "level": "error",
            "file": dir.path().join("shop.toml").display().to_string(),
            "line": 3,
            "column": 22,
            "message": "unknown destination `offsiet`: no [destination.offsiet] is defined",
            "help": "did you mean `offsite`?",
        })
    );
    assert_eq!((json[2]["level"].as_str(), json[2]["line"].as_u64()), (Some("warning"), Some(2)));
}

#[test]
fn unbuilt_keys_are_listed_once_each() {
    let mut seen = std::collections::HashSet::new();
    assert!(UNBUILT.iter().all(|(table, key, _)| seen.insert((table, key))));
}
