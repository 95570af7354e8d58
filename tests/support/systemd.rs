//! A machine with a real systemd: a small Debian in a tree, booted in under a second, gone when the test is.
//!
//! The tree is made once and kept below target/; each machine lives in an overlay over it and has no network but its own loopback.
//! It needs root, or a sudo that asks nothing: without, the test fails.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use super::fixture::is_root;

/// What is in the tree beyond the least Debian; another list makes another tree.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,libpam-systemd,procps,polkitd";

/// The suite of Debian. A binary that is built here must find its libc there.
const SUITE: &str = "trixie";

/// The project, in the machine. Read-only.
pub const PROJECT: &str = "/mnt/qbackd";

/// A booted machine that has the program as /usr/bin/qbackd.
pub struct Machine {
    leader: String,
    watch: Child,
    /// The machine ends when this is closed.
    alive: Option<ChildStdin>,
}

impl Machine {
    /// One that has the program, and nothing else of us.
    pub fn boot() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("qbackd-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut watch = as_root("setsid")
            .arg(project.join("tests/support/boot.sh"))
            .arg(tree())
            .arg(name)
            .arg(format!("--bind-ro={}:{PROJECT}", project.display()))
            .arg(format!("--bind-ro={}:/usr/bin/qbackd", env!("CARGO_BIN_EXE_qbackd")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let alive = watch.stdin.take();
        let mut said = String::new();
        BufReader::new(watch.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let leader = said.strip_prefix("ready ").unwrap_or_else(|| panic!("no machine: {said}")).trim().to_owned();
        Self { leader, watch, alive }
    }

    /// One on which the files of packaging/ lie where a package puts them, and its user and folders were made. The service is
    /// neither started nor configured.
    pub fn installed() -> Self {
        let machine = Self::boot();
        machine.run(&["sh", "-eu", "-c", include_str!("install.sh"), "install", PROJECT]);
        machine
    }

    /// Its PID 1, as seen from here.
    pub fn leader(&self) -> &str {
        &self.leader
    }

    /// A command in the machine, as its root, with nothing of this process's environment.
    pub fn command<S: AsRef<OsStr>>(&self, command: &[S]) -> Command {
        let mut made = as_root("nsenter");
        made.args(["-t", &self.leader, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--", "env", "-i"])
            .args(["PATH=/usr/sbin:/usr/bin", "LC_ALL=C.UTF-8", "HOME=/root", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"])
            .args(command)
            .stdin(Stdio::null());
        made
    }

    /// Runs it and gives all it left.
    pub fn try_run<S: AsRef<OsStr>>(&self, command: &[S]) -> Output {
        self.command(command).output().unwrap()
    }

    /// Runs it; it must succeed. Gives its stdout.
    pub fn run<S: AsRef<OsStr>>(&self, command: &[S]) -> String {
        let output = self.try_run(command);
        let words: Vec<_> = command.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}: {}\n{out}\n{err}\n{}", words.join(" "), output.status, self.last_lines());
        out.into_owned()
    }

    /// Runs a script of sh(1); every command of it must succeed. Gives its stdout.
    pub fn sh(&self, script: &str) -> String {
        self.run(&["sh", "-euc", script])
    }

    /// Writes a file, and makes the folders above it. Whoever shall not read it gets `chmod`.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let mut writer = self.command(&["sh", "-euc", "mkdir -p \"$(dirname \"$1\")\"; cat >\"$1\"", "write", path]);
        let mut child = writer.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(content.as_ref()).unwrap();
        assert!(child.wait().unwrap().success(), "cannot write {path} in the machine");
    }

    /// A property of a unit, as `systemctl show` has it.
    pub fn property(&self, unit: &str, property: &str) -> String {
        self.run(&["systemctl", "show", "--value", "--property", property, unit]).trim().to_owned()
    }

    /// The lines of the journal that match, oldest first: `["-u", "qbackd"]`, `["QBACKD_RUN=…"]`. A field that a line has twice
    /// is an array.
    pub fn journal(&self, matches: &[&str]) -> Vec<Value> {
        self.run(&["journalctl", "--sync"]);
        let text = self.run(&[&["journalctl", "--no-pager", "-o", "json", "--all"], matches].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// The messages of [`Self::journal`].
    pub fn messages(&self, matches: &[&str]) -> Vec<String> {
        self.journal(matches).iter().map(|line| line["MESSAGE"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until something is true of the machine; `what` says what it is. Asks many times a second.
    pub fn wait(&self, what: &str, limit: Duration, mut is_so: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + limit;
        while !is_so(self) {
            assert!(Instant::now() < end, "not within {limit:?}: {what}\n{}", self.last_lines());
            // Nothing tells of all that a test may wait for; one processor less for the machine would make it later.
            #[expect(clippy::disallowed_methods, reason = "it is asked again")]
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the journal said last: what one wants to see when a test failed.
    fn last_lines(&self) -> String {
        let output = self.try_run(&["journalctl", "--no-pager", "-n", "40"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.alive.take());
        let ended = self.watch.wait();
        if !std::thread::panicking() {
            assert!(ended.unwrap().success(), "the machine did not end well");
        }
    }
}

/// A command as root, outside of any machine: as ourselves, or through sudo.
pub fn as_root(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let may = Command::new("sudo").args(["-n", "true"]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    assert!(may.is_ok_and(|status| status.success()), "a machine with systemd needs root, or a sudo that asks nothing");
    let mut command = Command::new("sudo");
    command.args(["-n", "--", program]);
    command
}

/// The tree, made if it is not there. Several tests may ask at once; one makes it.
fn tree() -> PathBuf {
    // target/PROFILE/qbackd is the program; the tree is the same for every profile.
    let target = Path::new(env!("CARGO_BIN_EXE_qbackd")).ancestors().nth(2).unwrap();
    let folder = target.join("systemd");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let (tree, made_of) = (folder.join(SUITE), folder.join("made-of"));
    if std::fs::read_to_string(&made_of).is_ok_and(|made| made == PACKAGES) {
        return tree;
    }
    let run = |program: &str, args: &[&OsStr]| {
        let output = as_root(program).args(args).output().unwrap_or_else(|e| panic!("the tests need `{program}`: {e}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let new = folder.join(format!("{SUITE}.new"));
    run("rm", &["-rf".as_ref(), tree.as_ref(), new.as_ref()]);
    let include = format!("--include={PACKAGES}");
    run("mmdebstrap", &["--variant=minbase".as_ref(), include.as_ref(), SUITE.as_ref(), new.as_ref()]);
    run("mv", &[new.as_ref(), tree.as_ref()]);
    std::fs::write(made_of, PACKAGES).unwrap();
    tree
}
