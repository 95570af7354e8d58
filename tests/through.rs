//! The verbs through a running daemon, as they are typed: what they show, how they end, what becomes of the runs they watch; and who may
//! ask for what.

mod backup;
mod cancel;
mod changes;
mod deletion;
mod harm;
mod look;
mod permissions;
mod progress;
mod recorded;
mod restore;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::bench::Bench;
use crate::support::daemon::{Daemon, SOON, until};
use crate::support::fixture::CommandFixture;

/// A dump that says when it has begun, and ends when it may.
const SLOW: &str = "dump = ['sh', '-c', 'echo hello; touch $HERE/begun; until [ -e $HERE/go ]; do sleep 0.05; done']\n\
                    restore = ['sh', '-c', 'cat > $HERE/restored']\n";
const QUICK: &str = "dump = ['echo', 'hello']\nrestore = ['sh', '-c', 'cat > $HERE/restored']\n";

type Shop = Bench<CommandFixture>;

/// A bench whose shop is slow to dump.
fn slow() -> Shop {
    Shop::with_keys(SLOW)
}

/// A bench whose shop is quick to dump.
fn quick() -> Shop {
    Shop::with_keys(QUICK)
}

impl Shop {
    /// Waits until the dump of a slow shop has begun.
    fn begun(&self) {
        self.wait_for("begun", SOON);
    }

    /// Lets it end.
    fn go(&self) {
        std::fs::write(self.path("go"), "").unwrap();
    }

    /// Another database beside shop.
    fn also(&self, name: &str, keys: &str) {
        let keys = keys.replace("$HERE", &self.path("").display().to_string());
        let text = self.configuration();
        self.set_configuration(&format!("{text}\n[database.{name}]\nengine = \"command\"\npolicy = \"plain\"\n{keys}"));
    }

    /// A verb that goes on beside the test.
    fn begin(&self, args: &[&str]) -> Verb {
        Verb::of(self.command(args))
    }

    /// A request of one's own, of which nothing is read yet.
    fn dial(&self, request: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.path("run/control.sock")).unwrap();
        stream.write_all(format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
        stream
    }

    /// The newest run.
    fn last_run(&self) -> Value {
        self.json(&["history", "-n", "1"])["runs"][0].clone()
    }

    /// What the status says, well or not.
    fn status(&self) -> Value {
        let output = self.run(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    }

    /// Waits until the status says something.
    fn stands(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.status()).filter(&is))
    }
}

/// A verb that goes on beside the test. Killed when the test ends.
struct Verb {
    child: Child,
    out: BufReader<ChildStdout>,
    err: mpsc::Receiver<String>,
}

impl Verb {
    fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let (told, err) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            let _ = told.send(text);
        });
        Self { child, out, err }
    }

    /// The next line of its stdout.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// The next line of its stdout with `what`.
    fn says(&mut self, what: &str) -> String {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "it ended without {what:?}");
            if line.contains(what) {
                return line;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code, the rest of stdout, and stderr.
    fn ends(mut self) -> (Option<i32>, String, String) {
        let mut out = String::new();
        self.out.read_to_string(&mut out).unwrap();
        let status = until("the verb ends", || self.child.try_wait().unwrap());
        (status.code(), out, self.err.recv_timeout(SOON).unwrap())
    }
}

impl Drop for Verb {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn verbs_find_the_daemon_at_its_control_socket() {
    let bench = quick();
    let daemon = Daemon::start(&bench);
    assert!(bench.path("run/control.sock").exists());
    bench.ok(&["backup", "shop"]);
    assert_eq!(bench.last_run()["initiated_by"], "root (uid 0)");
    daemon.says("shop: backup started, asked for by root (uid 0)");
    // A daemon elsewhere is another daemon: here the verb works alone.
    let nowhere = bench.path("nowhere.sock");
    bench.ok(&["backup", "shop", "--socket", nowhere.to_str().unwrap()]);
    assert!(bench.last_run()["initiated_by"].as_str().unwrap().ends_with(" (backup)"), "{}", bench.last_run());
    bench.edit("run/control.sock", "nowhere.sock");
    bench.ok(&["backup", "shop"]);
    assert!(bench.last_run()["initiated_by"].as_str().unwrap().ends_with(" (backup)"), "{}", bench.last_run());
    let socket = bench.path("run/control.sock");
    bench.ok(&["backup", "shop", "--socket", socket.to_str().unwrap()]);
    assert_eq!(bench.last_run()["initiated_by"], "root (uid 0)");
}

#[test]
fn a_daemon_of_another_configuration_is_left_alone() {
    let bench = quick();
    let daemon = Daemon::start(&bench);
    let other = bench.path("other");
    std::fs::create_dir(&other).unwrap();
    let text = bench.configuration().replace("/state\"", "/other-state\"").replace("/backups\"", "/other-backups\"");
    std::fs::write(other.join("qbackd.toml"), text).unwrap();
    let typed = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qbackd"));
        command.args(args).arg("--config").arg(&other).env_remove("STATE_DIRECTORY").output().unwrap()
    };
    let output = typed(&["backup", "shop"]);
    assert!(output.status.success() && bench.path("other-backups/shop").exists(), "{output:?}");
    assert!(!bench.root().exists() && !daemon.log().iter().any(|line| line.contains("shop:")), "{:?}", daemon.log());
    let output = typed(&["reload"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains(&format!("not {}", other.display())) && said.contains("--socket"), "{said}");
}

#[test]
fn a_broken_file_hides_no_verb_of_the_daemon() {
    let bench = quick();
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop"]);
    std::fs::write(bench.path("etc/z.toml"), "[policy.other]\nfull = 7\n").unwrap();
    daemon.says("the configuration was rejected");
    let output = bench.run(&["status"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3));
    assert!(said.starts_with("degraded: 1 database") && said.contains("z.toml:"), "{said}");
    bench.ok(&["backup", "shop"]);
    bench.ok(&["history", "shop"]);
    let said = bench.fails(78, &["reload"]);
    assert!(said.contains("z.toml:2:8") && said.contains("the daemon did not accept"), "{said}");
}

#[test]
fn a_daemon_that_does_not_answer_is_unavailable_and_one_out_of_reach_is_not_permitted() {
    let bench = quick();
    let daemon = Daemon::start(&bench);
    daemon.signal(Signal::STOP);
    let said = bench.fails(69, &["status"]);
    assert!(said.contains("does not answer") && said.contains("systemctl status qbackd"), "{said}");
    daemon.signal(Signal::CONT);
    bench.ok(&["backup", "shop"]);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=4242", "--regid=4242", "--clear-groups", "--"]);
    // The folder above the socket is closed to others.
    std::fs::set_permissions(bench.path("run"), PermissionsExt::from_mode(0o700)).unwrap();
    let program = bench.path("qbackd");
    std::fs::copy(env!("CARGO_BIN_EXE_qbackd"), &program).unwrap();
    let verb = command.arg(&program).arg("--config").arg(bench.path("etc")).args(["backup", "shop"]);
    let output = verb.current_dir("/").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{said}");
    assert!(said.contains("cannot ask the daemon at"), "{said}");
}
