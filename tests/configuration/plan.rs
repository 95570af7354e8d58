//! What files mean: every default applied, every reference followed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qbackd::config::{self, Database, Destination, Plan, Policy};
use qbackd::engine::{SourceOptions, registry};
use qbackd::model::{Event, ListOrAll};
use qbackd::model::{Method, SecretRef, Size, Timespan};
use qbackd::notify::NotifyType;
use qbackd::stage::CompressionOptions;
use qbackd::store::DestinationOptions;
use qbackd::store::options::OptionValue;

use super::{AROUND, Dir};

/// The plan of one file that must be right.
fn plan(text: &str) -> Plan {
    Dir::with(&[("shop.toml", text)]).load().unwrap_or_else(|report| panic!("{report}")).plan
}

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
fn the_engine_is_the_named_one_or_the_one_the_scheme_means() {
    let engine = |keys: &str| {
        let plan = plan(&format!("{AROUND}[database.d]\npolicy = \"nightly\"\n{keys}"));
        plan.databases["d"].engine.name
    };
    assert_eq!(engine("url = \"sqlite:///dev/null\""), "sqlite");
    assert_eq!(engine("url = \"postgres://db1/shop\""), "postgresql");
    assert_eq!(engine("url = \"postgres://db1/shop\"\nengine = \"postgresql\""), "postgresql");
    assert_eq!(engine("engine = \"files\"\nfiles = [\"/dev\"]"), "files");
    assert_eq!(engine("engine = \"command\"\ndump = [\"/bin/true\"]\nrestore = [\"/bin/cat\"]"), "command");
}
