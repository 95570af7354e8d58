//! Configuration: from files to a plan, and what is said about files that are wrong.

mod diagnostics;
mod never_panics;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qbackd::config::options::{Event, ListOrAll, NotifyType};
use qbackd::config::{self, Database, Destination, Level, Loaded, Plan, Policy, Report, UNBUILT};
use qbackd::engine::{SourceOptions, registry};
use qbackd::model::{Method, SecretRef, Size, Timespan};
use qbackd::stage::CompressionOptions;
use qbackd::store::DestinationOptions;
use qbackd::store::options::OptionValue;

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

/// The plan of one file that must be right.
fn plan(text: &str) -> Plan {
    Dir::with(&[("shop.toml", text)]).load().unwrap_or_else(|report| panic!("{report}")).plan
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
fn the_first_example_of_the_design_becomes_a_plan() {
    let plan = plan(
        r#"
[destination.local]
service = "fs"
root = "/var/backups/qbackd"

[encryption.team]
recipients_file = "/etc/qbackd/recipients.txt"

[policy.nightly]
full = "02:00"
destinations = ["local"]
encryption = "team"
keep = { daily = 7, weekly = 4 }

[database.shop]
url = "postgresql://backup@db1/shop"
password.file = "/etc/qbackd/secrets/shop"
policy = "nightly"
"#,
    );
    let shop = &plan.databases["shop"];
    assert_eq!(shop.engine.name, "postgresql");
    assert_eq!(shop.source.url.as_deref(), Some("postgresql://backup@db1/shop"));
    assert_eq!(shop.source.password, Some(SecretRef::File("/etc/qbackd/secrets/shop".into())));
    assert_eq!(shop.policy.full[0].text, "02:00");
    assert_eq!(shop.policy.destinations[0].name.as_str(), "local");
    let root = OptionValue::Text("/var/backups/qbackd".into());
    assert_eq!(shop.policy.destinations[0].options.service_options["root"], root);
    let encryption = shop.policy.encryption.as_ref().unwrap();
    assert_eq!(encryption.options.recipients_file.as_deref(), Some(Path::new("/etc/qbackd/recipients.txt")));
    let keep = shop.policy.keep.as_ref().unwrap();
    assert_eq!((keep.daily.map(u32::from), keep.weekly.map(u32::from), keep.last), (Some(7), Some(4), None));
}

#[test]
fn what_is_not_said_has_the_default_of_the_design() {
    let plan = plan(&format!("{AROUND}\n[database.a]\nurl = \"sqlite:/dev/null\"\npolicy = \"nightly\""));
    let secs = Timespan::from_secs;
    let daemon = &plan.daemon.options;
    assert_eq!(daemon.control_socket, Path::new("/run/qbackd/control.sock"));
    assert_eq!((daemon.max_parallel, daemon.history_keep), (2, secs(400 * 86_400)));
    assert_eq!((daemon.shutdown_grace, daemon.detach_after), (secs(60), secs(86_400)));
    let policy = &plan.databases["a"].policy;
    assert_eq!(policy.compression, CompressionOptions::Zstd(3));
    assert_eq!((policy.timeout, policy.stall_timeout), (secs(1800), secs(300)));
    assert_eq!((policy.retry.attempts, policy.retry.after), (2, secs(600)));
    assert_eq!((policy.pause_after, policy.persistent, policy.enabled, policy.pitr), (3, true, true, false));
    assert!(policy.encryption.is_none() && policy.keep.is_none() && policy.full.is_empty());
    let source = &plan.databases["a"].source;
    assert_eq!((source.method, source.jobs), (Method::Logical, 1));
    let destination = &plan.destinations["local"].options;
    assert!(destination.prune && !destination.require_mount && !destination.allow_http);
    assert_eq!((destination.format.as_str(), destination.min_free.of(1000)), ("plain", 50));
}

#[test]
fn every_typed_value_arrives_as_it_was_written() {
    let plan = plan(
        r#"
[daemon]
state_dir = "/srv/qbackd"
max_parallel = 8
timezone = "Europe/Berlin"
listen = "[::1]:9090"
status = "owners"

[destination.s3]
service = "s3"
bucket = "b"
enable_virtual_host_style = true
assume_role_duration_seconds = 900
secret_access_key.credential = "s3"
max_bandwidth = "10 MiB"
keep = { last = 3 }

[destination.local]
service = "fs"
root.env = "ROOT"
min_free = "10 GiB"

[encryption.both]
recipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]
identity_files = ["/dev/null"]

[encryption.words]
passphrase.command = ["pass", "show", "backup"]

[notify.ops]
type = "email"
to = "ops@example.org"

[policy.p]
full = ["Sun 02:00", "0 2 * * 1-6"]
destinations = ["s3", "local"]
encryption = "words"
compression = "zstd:19"
retry = { attempts = 5 }
not_between = "Mon..Fri 08:00-18:00"
notify = ["ops", { to = "ops", on = ["succeeded", "log-gap"] }]
hooks = { before_backup = "/bin/true" }

[database.a]
url = "mysql://backup@db1"
policy = "p"
databases = "all"
include_tables = ["a.b"]
replicas = ["mysql://backup@db2"]
tls = { mode = "verify-ca", ca = "/dev/null", key.file = "/dev/null" }
check_sql = "select true"
ionice = "best-effort:7"
nice = 19
"#,
    );
    assert_eq!(plan.daemon.state_dir, Path::new("/srv/qbackd"));
    assert_eq!(plan.daemon.options.listen, Some("[::1]:9090".parse().unwrap()));
    let s3 = &plan.destinations["s3"];
    assert_eq!(s3.options.service_options["enable_virtual_host_style"], OptionValue::Text("true".into()));
    assert_eq!(s3.options.service_options["assume_role_duration_seconds"], OptionValue::Text("900".into()));
    let secret = OptionValue::Secret(SecretRef::Credential("s3".into()));
    assert_eq!(s3.options.service_options["secret_access_key"], secret);
    assert_eq!(s3.options.max_bandwidth, Some(Size(10 << 20)));
    assert_eq!(s3.keep.as_ref().unwrap().last.map(u32::from), Some(3));
    assert_eq!(plan.destinations["local"].options.min_free.of(0), 10 << 30);
    let NotifyType::Email(email) = &plan.notify["ops"].how else { panic!("{:?}", plan.notify) };
    assert_eq!(email.to.0, ["ops@example.org"]);
    let policy = &plan.databases["a"].policy;
    assert_eq!(policy.destinations.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["s3", "local"]);
    assert_eq!(policy.full.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(), ["Sun 02:00", "0 2 * * 1-6"]);
    assert_eq!(policy.retry.after, Timespan::from_secs(600));
    assert_eq!(policy.notify[1].on, [Event::Succeeded, Event::LogGap]);
    assert_eq!(policy.hooks.timeout.0, Duration::from_secs(300));
    assert_eq!((policy.not_between[0].from, policy.not_between[0].weekdays), (480, 0b1_1111));
    assert_eq!(plan.databases["a"].options.databases, Some(ListOrAll::All));
}

#[test]
fn a_policy_key_in_the_database_wins_and_the_rest_stays() {
    let text = format!(
        "{AROUND}timeout = \"1h\"\n[database.a]\nurl = \"sqlite:/dev/null\"\npolicy = \"nightly\"\ntimeout = \"2h\"\n\
         [database.b]\nengine = \"files\"\nfiles = [\"/dev\"]\npolicy = \"nightly\"\n\
         [database.c]\nengine = \"files\"\nfiles = [\"/dev\"]\npolicy = \"nightly\"\n"
    );
    let plan = plan(&text);
    let policy = |name: &str| &plan.databases[name].policy;
    assert_eq!(policy("a").timeout, Timespan::from_secs(7200));
    assert_eq!(policy("a").destinations[0].name.as_str(), "local");
    assert_eq!(policy("b").timeout, Timespan::from_secs(3600));
    // Ten thousand databases of one policy share it.
    assert!(Arc::ptr_eq(policy("b"), policy("c")));
}

#[test]
fn destinations_and_encryption_may_be_the_databases_own() {
    let plan = plan(
        "[destination.local]\nservice = \"memory\"\n[policy.p]\n\
         [database.a]\nengine = \"files\"\nfiles = [\"/dev\"]\npolicy = \"p\"\ndestinations = [\"local\"]\nencryption = \"none\"",
    );
    assert_eq!(plan.databases["a"].policy.destinations.len(), 1);
    assert!(plan.policies["p"].destinations.is_empty());
}

#[test]
fn a_plan_can_be_made_without_files() {
    let destination = Destination {
        name: "here".parse().unwrap(),
        options: DestinationOptions { service: "memory".into(), ..DestinationOptions::default() },
        keep: None,
    };
    let database = Database {
        name: "a".parse().unwrap(),
        engine: registry::by_name("sqlite").unwrap(),
        source: SourceOptions { url: Some("sqlite:/dev/null".into()), ..SourceOptions::default() },
        options: config::options::DatabaseOptions::default(),
        policy: Arc::new(Policy { destinations: vec![Arc::new(destination)], ..Policy::default() }),
    };
    let mut plan = Plan::default();
    plan.databases.insert(database.name.clone(), Arc::new(database));
    assert_eq!(plan.databases["a"].policy.timeout, Timespan::from_secs(1800));
}

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
        "[policy.p]\nfull = \"02:00\"\ndestinations = [\"ä\", \"offsiet\"]\n[destination.offsite]\nservice = \"memory\"\n",
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
