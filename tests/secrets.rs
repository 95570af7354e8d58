//! Promise 9: secrets never appear. They are planted in every place that a configuration allows, everything is done that can be
//! done, well and badly, and every sink is searched: output, errors, the history, what lies at destinations, arguments and
//! environments of processes.

mod daemon;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::bench::Bench;
use crate::support::fixture::CommandFixture;

/// Part of every secret, and of nothing else.
const MARK: &str = "geheim7c1f9";

/// The secrets by the place they are planted in; in the environment they are `GEHEIM_…`.
pub fn secret(place: &str) -> String {
    format!("{MARK}-{place}")
}

/// A configuration with a secret in every place that takes one, and the files that its references lead to.
pub struct Planted {
    pub configuration: String,
    /// Path and content.
    pub files: Vec<(String, String)>,
}

/// Secrets below `folder`, backups below `root`. The command of `shop` and the hooks write all arguments and their environments to
/// the file `seen`; the command of `blog` fails.
pub fn planted(folder: &str, seen: &str, root: &str) -> Planted {
    let places = ["password", "passphrase", "mail", "slack", "hook", "telegram", "gotify", "key", "s3", "tls"];
    let file = |place: &str| {
        // Addresses are secrets too: who knows them can write there.
        let value = if place == "slack" { format!("https://127.0.0.1:9/{}", secret(place)) } else { secret(place) };
        (format!("{folder}/{place}"), value + "\n")
    };
    Planted { configuration: configuration(folder, seen, root), files: places.map(file).into() }
}

fn configuration(folder: &str, seen: &str, root: &str) -> String {
    let url = secret("url");
    format!(
        r#"
[destination.local]
service = "fs"
root = "{root}"
min_free = "0%"

[destination.offsite]
service = "s3"
bucket = "backups"
region = "nowhere"
endpoint = "https://127.0.0.1:9"
access_key_id = {{ env = "GEHEIM_S3_ID" }}
secret_access_key = {{ file = "{folder}/s3" }}

[encryption.words]
passphrase = {{ file = "{folder}/passphrase" }}

[policy.nightly]
full = "02:00"
destinations = ["local"]
encryption = "words"
notify = ["mail", "hook", "slack", "discord", "telegram", "ntfy", "gotify", "check"]
hooks = {{ before_backup = "tr '\\0' ' ' </proc/$$/environ >>{seen}", after_backup = "env >>{seen}" }}

[database.shop]
engine = "command"
dump = ["/bin/sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >>{seen}; env >>{seen}; echo data"]
restore = ["/bin/sh", "-c", "cat >/dev/null; env >>{seen}"]
policy = "nightly"

[database.blog]
engine = "command"
dump = ["/bin/sh", "-c", "env >&2; exit 3"]
policy = "nightly"

[database.away]
engine = "command"
dump = ["echo", "data"]
policy = "nightly"
destinations = ["offsite"]

[database.server]
url = "postgresql://backup@127.0.0.1:9/server"
password = {{ file = "{folder}/password" }}
tls = {{ mode = "verify-full", key = {{ file = "{folder}/tls" }} }}
policy = "nightly"

[notify.mail]
type = "email"
to = ["ops@example.org"]
server = "127.0.0.1:9"
username = "qbackd"
password = {{ file = "{folder}/mail" }}

[notify.hook]
type = "webhook"
url = "https://127.0.0.1:9/{url}"
headers = {{ Authorization = {{ file = "{folder}/hook" }}, X-Token = {{ env = "GEHEIM_HOOK" }} }}

[notify.slack]
type = "slack"
url = {{ file = "{folder}/slack" }}

[notify.discord]
type = "discord"
url = {{ env = "GEHEIM_DISCORD" }}

[notify.telegram]
type = "telegram"
token = {{ file = "{folder}/telegram" }}
chat = "1"

[notify.ntfy]
type = "ntfy"
topic = "backups"
server = "https://127.0.0.1:9"
token = {{ env = "GEHEIM_NTFY" }}

[notify.gotify]
type = "gotify"
server = "https://127.0.0.1:9"
token = {{ file = "{folder}/gotify" }}

[notify.check]
type = "healthchecks"
url = {{ env = "GEHEIM_CHECK" }}
"#
    )
}

/// The secrets of qbackd's own environment.
pub const VARIABLES: &[&str] = &["GEHEIM_S3_ID", "GEHEIM_HOOK", "GEHEIM_DISCORD", "GEHEIM_NTFY", "GEHEIM_CHECK"];

/// What is done, well and badly.
const VERBS: &[&[&str]] = &[
    &["check"],
    &["--json", "check"],
    &["backup", "shop"],
    &["--json", "backup", "shop"],
    &["backup", "blog"],
    &["backup", "away"],
    &["backup", "server"],
    &["--json", "backup", "--all"],
    &["backup", "shop", "--to", "offsite"],
    &["list"],
    &["list", "--from", "offsite"],
    &["--json", "list"],
    &["show", "shop@latest"],
    &["--json", "show", "shop@latest"],
    &["history"],
    &["--json", "history"],
    &["verify", "shop"],
    &["restore", "shop", "--dry-run"],
    &["restore", "shop", "--yes"],
    &["restore", "server", "--yes"],
    &["status"],
    &["diff"],
    &["notify", "test", "mail"],
    &["notify", "test", "hook"],
    &["notify", "test", "slack"],
    &["notify", "test", "discord"],
    &["notify", "test", "telegram"],
    &["notify", "test", "ntfy"],
    &["notify", "test", "gotify"],
    &["notify", "test", "check"],
    &["prune", "--dry-run"],
];

/// The places below `folder` where a secret can be read, except in `but`.
fn betrayed(folder: &Path, but: &[&str]) -> Vec<String> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.file_type().is_file());
    let files = files.filter(|entry| !but.iter().any(|name| entry.path().starts_with(folder.join(name))));
    files
        .filter(|file| contains(&std::fs::read(file.path()).unwrap()))
        .map(|file| file.path().display().to_string())
        .collect()
}

/// Whether a secret is in it.
pub fn contains(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|part| part == MARK.as_bytes())
}

/// Runs every verb; what it says must hold no secret. Gives all that was said.
fn nothing_is_said(bench: &Bench<CommandFixture>) -> String {
    let mut all = String::new();
    for verb in VERBS {
        let mut command = bench.command(verb);
        command.arg("-vvv").envs(VARIABLES.iter().map(|name| (name, secret(name))));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!contains(said.as_bytes()), "qbackd {verb:?} says\n{said}");
        all += &said;
    }
    all
}

/// Plants them on a bench: the secrets below `secrets`, what processes show in `seen`.
fn plant(bench: &Bench<CommandFixture>) -> Planted {
    let (folder, seen, root) = (bench.path("secrets"), bench.path("seen"), bench.root());
    let planted = planted(folder.to_str().unwrap(), seen.to_str().unwrap(), root.to_str().unwrap());
    std::fs::create_dir(&folder).unwrap();
    for (file, value) in &planted.files {
        std::fs::write(file, value).unwrap();
        std::fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    }
    planted
}

#[test]
fn no_secret_is_in_any_output_record_backup_or_process() {
    let bench = Bench::<CommandFixture>::new();
    let planted = plant(&bench);
    let (folder, seen) = (bench.path("secrets"), bench.path("seen"));
    let state = format!("[daemon]\nstate_dir = \"{}\"\n", bench.path("state").display());
    bench.set_configuration(&(state + &planted.configuration));
    let said = nothing_is_said(&bench);
    // A secret that cannot be had.
    let key = folder.join("key").display().to_string();
    bench.set_configuration(&format!(
        "{}\n[encryption.unset]\npassphrase = {{ command = [\"/bin/sh\", \"-c\", \"cat {key}; exit 1\"] }}\n\
         [database.unset]\nengine = \"command\"\ndump = [\"echo\", \"data\"]\npolicy = \"nightly\"\nencryption = \"unset\"\n",
        bench.configuration()
    ));
    let failed = bench.run(&["backup", "unset", "-vvv"]);
    assert!(!failed.status.success() && !contains(&failed.stderr), "{failed:?}");

    // The work was done: what was searched is there.
    assert!(said.contains("shop/") && said.contains(": ok"), "{said}");
    assert!(said.contains("exit status 3"), "{said}");
    assert!(std::fs::metadata(bench.path("state/history.db")).unwrap().len() > 0);
    let seen = std::fs::read_to_string(&seen).unwrap();
    assert!(seen.contains("QBACKD_DATABASE=shop") && seen.contains("backup shop"), "{seen}");
    assert!(!contains(seen.as_bytes()), "processes show\n{seen}");

    // Everything that is on the disk, but the secrets and the configuration themselves.
    assert_eq!(betrayed(&bench.path(""), &["secrets", "etc"]), Vec::<String>::new());
    // The search finds what it looks for.
    assert!(betrayed(&bench.path(""), &[]).len() > 8);
}

#[test]
fn a_password_in_an_url_is_refused_and_not_repeated() {
    let bench = Bench::<CommandFixture>::new();
    let sound = bench.configuration();
    let wrong = [
        format!("url = \"postgresql://backup:{}@db1/shop\"", secret("url")),
        format!("url = \"postgresql://backup@db1/shop?password={}\"", secret("url")),
        format!("url = \"postgresql://backup@db1/shop\"\npassword = \"{}\"", secret("text")),
    ];
    for keys in wrong {
        bench.set_configuration(&format!("{sound}\n[database.wrong]\npolicy = \"plain\"\n{keys}\n"));
        for verb in [&["check"][..], &["--json", "check"], &["backup", "wrong"], &["--json", "backup", "--all"]] {
            let output = bench.command(verb).arg("-vvv").output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{verb:?} with {keys}: {said}");
            assert!(!contains(said.as_bytes()), "{verb:?} with {keys}: {said}");
        }
    }
    assert_eq!(betrayed(&bench.path(""), &["etc"]), Vec::<String>::new());
}
