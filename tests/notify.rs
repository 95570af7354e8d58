//! Notifications: what arrives at real servers and commands, and what becomes of those that do not take it.

mod command;
mod faults;
mod mail;
mod outbox;
mod services;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use qbackd::config;
use qbackd::error::Result;
use qbackd::model::{Event, Notice};
use qbackd::notify::{self, Message, Notify};

/// How long a delivery may take that is to succeed.
const LONG: Duration = Duration::from_secs(20);

/// Notifiers as they are written in a configuration.
pub struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// `[notify.NAME]` with these keys, one after the other. `$HERE` is the folder of the bench.
    pub fn new(notifiers: &[(&str, &str)]) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        let here = bench.dir.path().display().to_string();
        let tables: String = notifiers
            .iter()
            .map(|(name, keys)| format!("[notify.{name}]\n{}\n", keys.replace("$HERE", &here)))
            .collect();
        std::fs::create_dir(bench.path("etc")).unwrap();
        std::fs::write(bench.path("etc/notify.toml"), tables).unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file that only its owner can read.
    pub fn secret(&self, name: &str, value: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(self.path(name), value).unwrap();
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o600)).unwrap();
    }

    pub fn get(&self, name: &str) -> Arc<Notify> {
        let loaded = config::load(&self.path("etc")).unwrap_or_else(|report| panic!("{report}"));
        Arc::clone(&loaded.plan.notify[name])
    }

    /// Sends a notice by the only notifier, called `n`.
    pub fn send(&self, notice: &Notice) -> Result<()> {
        self.send_within(notice, LONG)
    }

    pub fn send_within(&self, notice: &Notice, limit: Duration) -> Result<()> {
        let notify = self.get("n");
        block_on(async { notify::send(&notify, &Message::of(notice), limit).await })
    }

    /// `qbackd notify test n`
    pub fn test(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qbackd"));
        command.args(["notify", "test", "n"]).env("QBACKD_CONFIG", self.path("etc")).stdin(Stdio::null());
        command.env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt").env_remove("SSL_CERT_DIR");
        command
    }
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

/// A backup that failed.
pub fn failed() -> Notice {
    let at = "2026-11-21T02:00:07Z".parse().unwrap();
    let mut notice =
        Notice::new(Event::Failed, at, "db1", Some(&"shop".parse().unwrap()), "backup failed: <refused> & \"gone\"");
    notice.error = Some("<refused> & \"gone\"".into());
    notice.hint = Some("is it running?".into());
    notice.details = vec![("attempts".into(), "2".into())];
    notice
}

/// The same database, well again.
pub fn succeeded() -> Notice {
    let at = "2026-11-21T02:30:07Z".parse().unwrap();
    Notice::new(Event::Succeeded, at, "db1", Some(&"shop".parse().unwrap()), "backup succeeded: 84 tables")
}

pub const SUBJECT: &str = "[qbackd] shop: backup failed on db1";

/// Exit code, stdout, stderr.
pub fn said(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn notify_test_tells_the_truth() {
    let bench = Bench::new(&[
        ("n", "type = 'command'\ncommand = ['/bin/sh', '-c', 'cat > $HERE/told; test ! -e $HERE/broken']"),
        ("other", "type = 'command'\ncommand = ['/bin/true']"),
    ]);
    let (code, out, err) = said(&mut bench.test());
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "n: taken by command, as `failed`\n", ""));
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(bench.path("told")).unwrap()).unwrap();
    assert_eq!((&told["test"], &told["event"]), (&true.into(), &"failed".into()));
    assert!(told["subject"].as_str().unwrap().starts_with("[qbackd] test: test of [notify.n]"), "{told}");

    let (code, out, _) = said(bench.test().args(["--event", "succeeded", "--json"]));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let expected = serde_json::json!({ "name": "n", "type": "command", "event": "succeeded", "taken": true });
    assert_eq!((code, document), (Some(0), expected));

    std::fs::write(bench.path("broken"), "").unwrap();
    let (code, out, err) = said(&mut bench.test());
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(err, "error: cannot notify `n` by command: `/bin/sh` failed: exit status: 1\n");

    let mut unknown = Command::new(env!("CARGO_BIN_EXE_qbackd"));
    let (code, _, err) = said(unknown.args(["notify", "test", "nobody"]).env("QBACKD_CONFIG", bench.path("etc")));
    assert_eq!((code, err.as_str()), (Some(1), "error: there is no [notify.nobody]\nhint: defined: n, other\n"));
}

#[test]
fn a_rule_says_who_is_told_of_what_and_nobody_is_told_twice() {
    let bench = Bench::new(&[
        ("ops", "type = 'slack'\nurl = { env = 'HOOK' }"),
        ("pager", "type = 'ntfy'\ntopic = 'p'"),
        ("check", "type = 'healthchecks'\nurl = 'https://hc-ping.com/x'"),
    ]);
    let rules: Vec<notify::NotifyRule> = {
        #[derive(serde::Deserialize)]
        struct Rules {
            notify: Vec<notify::NotifyRule>,
        }
        let text = "notify = ['ops', { to = 'pager', on = ['failed', 'stale'] }, 'check', 'gone', { to = 'ops', on = ['failed'] }]";
        toml::from_str::<Rules>(text).unwrap().notify
    };
    let told = |event| -> Vec<String> {
        let find = |name: &str| ["ops", "pager", "check"].contains(&name).then(|| bench.get(name));
        notify::wanted(&rules, event, find).iter().map(|n| n.name.to_string()).collect()
    };
    assert_eq!(told(Event::Failed), ["ops", "pager", "check"]);
    assert_eq!(told(Event::Recovered), ["ops"], "to a check it is a success, which it is told");
    assert_eq!(told(Event::Succeeded), ["check"], "a check that hears of no success raises an alarm of its own");
}
