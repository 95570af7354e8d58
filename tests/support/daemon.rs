//! A real `qbackd daemon` on a bench: its signals, its log, and what it tells systemd.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::bench::Bench;
use super::fixture::Fixture;

/// As long as anything may take here on a slow machine.
pub const SOON: Duration = Duration::from_secs(60);

/// A daemon that is ready. It is killed when the test ends.
pub struct Daemon {
    child: Child,
    log: Lines,
    told: Lines,
}

/// Lines that somebody says, as they come.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Daemon {
    /// Starts it, and waits until it is ready.
    pub fn start<F: Fixture>(bench: &Bench<F>) -> Self {
        Self::run(bench, bench.command(&["daemon"]))
    }

    /// Starts `command`, `qbackd daemon` in some surroundings, and waits until it is ready.
    pub fn run<F: Fixture>(bench: &Bench<F>, command: Command) -> Self {
        let daemon = Self::spawn(bench, command);
        daemon.is_told("READY=1");
        daemon
    }

    /// Starts it, whatever becomes of it.
    pub fn spawn<F: Fixture>(bench: &Bench<F>, mut command: Command) -> Self {
        let socket = bench.path("notify.sock");
        let _ = std::fs::remove_file(&socket);
        let notified = UnixDatagram::bind(&socket).unwrap();
        let mut child = command.env("NOTIFY_SOCKET", &socket).stderr(Stdio::piped()).spawn().unwrap();
        let (log, told) = (Lines::default(), Lines::default());
        let (stderr, lines) = (BufReader::new(child.stderr.take().unwrap()), log.clone());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| lines.push(line)));
        let lines = told.clone();
        std::thread::spawn(move || {
            let mut message = [0; 4096];
            while let Ok(length) = notified.recv(&mut message) {
                String::from_utf8_lossy(&message[..length]).lines().for_each(|line| lines.push(line.to_owned()));
            }
        });
        Self { child, log, told }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Asks it to stop and waits for its end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Kills it with SIGKILL.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.ended();
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        until("the daemon ends", || self.child.try_wait().unwrap())
    }

    /// What it has said in its log.
    pub fn log(&self) -> Vec<String> {
        self.log.all()
    }

    /// Waits for a line of the log that contains `what`, and gives the first one.
    pub fn says(&self, what: &str) -> String {
        self.log.wait(what, 1)
    }

    /// Waits until `count` lines of the log contain `what`, and gives the last of them.
    pub fn says_times(&self, what: &str, count: usize) -> String {
        self.log.wait(what, count)
    }

    /// What it has told systemd, a line each: `READY=1`, `STATUS=…`.
    pub fn told(&self) -> Vec<String> {
        self.told.all()
    }

    /// Waits until it has told systemd something that contains `what`, and gives that.
    pub fn is_told(&self, what: &str) -> String {
        self.is_told_times(what, 1)
    }

    /// Waits until it has told systemd so many things that contain `what`, and gives the last of them.
    pub fn is_told_times(&self, what: &str, count: usize) -> String {
        self.told.wait(what, count)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.log().join("\n"));
        }
    }
}

impl Lines {
    fn push(&self, line: String) {
        self.0.0.lock().unwrap().push(line);
        self.0.1.notify_all();
    }

    fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    fn wait(&self, what: &str, count: usize) -> String {
        let found = |lines: &Vec<String>| lines.iter().filter(|line| line.contains(what)).nth(count - 1).cloned();
        let (lines, changed) = &*self.0;
        let none = |lines: &mut Vec<String>| found(lines).is_none();
        // Not held while it panics: whoever looks at what was said wants it then.
        let lines = changed.wait_timeout_while(lines.lock().unwrap(), SOON, none).unwrap().0.clone();
        found(&lines).unwrap_or_else(|| panic!("{what:?} was not said {count} times:\n{}", lines.join("\n")))
    }
}

/// What `look` finds, as soon as it finds something; `what` says what that is.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {SOON:?}: {what}");
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing tells of all that a test may wait for; it is asked again"
        )]
        std::thread::sleep(Duration::from_millis(20));
    }
}
