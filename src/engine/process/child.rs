//! One running child: started with a clean environment, watched, killed as a whole group, reaped always, its end judged.

use std::ffi::OsStr;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid};
use tokio::net::unix::pipe;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::lines::Listener;
use super::tail::Tail;
use super::{DEFAULT_PATH, Done, Tool, find_program};
use crate::error::{Error, Explain, Kind, Result};

/// What a child inherits of qbackd's environment.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR"];
/// How long a child has between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(3);

/// A running child. Dropping it kills its process group and waits for it.
pub(super) struct Child {
    name: String,
    process: std::process::Child,
    /// Fires once the child ended, before it is reaped, so that its number still names its own group.
    pub(super) exit: CancellationToken,
    status: Option<ExitStatus>,
    /// The end of its stdin that it is fed through; it stays open until the child is gone or has got everything.
    pub(super) stdin: Option<pipe::Sender>,
    tail: Tail,
}

/// How a program ended that was run for what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit status, or the signal that killed it.
    pub status: ExitStatus,
    /// The last line it printed.
    pub last: Option<String>,
}

impl Ran {
    /// How it ended, for people: `exit status 3: not now`.
    pub fn how(&self) -> String {
        how(self.status, self.last.as_deref())
    }

    /// Whether it ended by itself and said no.
    pub fn refused(&self) -> bool {
        self.status.signal().is_none() && !self.status.success()
    }
}

impl Child {
    /// Starts a tool; `talk` is the pipe for what it says, if its stdout shares it.
    pub(super) fn spawn(
        tool: &Tool,
        stdin: Stdio,
        stdout: Stdio,
        talk: Option<(PipeReader, PipeWriter)>,
    ) -> Result<Self> {
        Self::spawn_heard(tool, stdin, stdout, talk, None)
    }

    /// The same; `listener` gets what it says, line by line.
    pub(super) fn spawn_heard(
        tool: &Tool,
        stdin: Stdio,
        stdout: Stdio,
        talk: Option<(PipeReader, PipeWriter)>,
        listener: Option<Listener>,
    ) -> Result<Self> {
        let name = tool.called.clone().unwrap_or_else(|| tool.program.to_string_lossy().into_owned());
        let (reader, writer) = match talk {
            Some(ends) => ends,
            None => io::pipe().explain(|| "cannot make a pipe")?,
        };
        let tail = Tail::follow(reader, listener)?;
        // Found here and not by the kernel: a folder of PATH that may not be entered would hide that the program is missing.
        let mut command = Command::new(find_program(&tool.program)?);
        command.arg0(&tool.program);
        command.args(&tool.args).env_clear().process_group(0);
        command.stdin(stdin).stdout(stdout).stderr(writer);
        command.env("PATH", DEFAULT_PATH);
        command.envs(INHERITED.iter().filter_map(|key| Some((key, std::env::var_os(key)?))));
        command.env("LANG", "C.UTF-8").envs(tool.env.iter().map(|(k, v)| (k, v)));
        let process = command.spawn().map_err(|e| cannot_run(OsStr::new(&name), e))?;
        drop(command);
        let exit = CancellationToken::new();
        let child = Self { name, process, exit: exit.clone(), status: None, stdin: None, tail };
        watch(&child.process, exit).explain(|| format!("cannot watch `{}`", child.name))?;
        Ok(child)
    }

    pub(super) fn reap(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let status = self.process.wait().explain(|| format!("cannot wait for `{}`", self.name))?;
        self.status = Some(status);
        Ok(status)
    }

    /// Ends the whole group: SIGTERM, a grace, SIGKILL. Its stdin stays open until it is gone.
    async fn stop(&mut self) {
        if self.status.is_none() {
            kill_group(&self.process, Signal::TERM);
            let _ = timeout(GRACE, self.exit.cancelled()).await;
            // Also what the leader left behind.
            kill_group(&self.process, Signal::KILL);
            self.exit.cancelled().await;
            let _ = self.reap();
        }
        self.stdin = None;
    }

    /// The end of every run: the child is gone, and its status, its words and our own `ended` become one result.
    pub(super) async fn conclude(mut self, ended: Result<u64>) -> Result<Done> {
        match ended {
            Err(e) => {
                self.stop().await;
                match self.tail.last_words().await {
                    Some(said) if e.kind() == Kind::Failed => Err(e.hint(format!("its last words: {said}"))),
                    _ => Err(e),
                }
            }
            Ok(bytes) => {
                let status = self.reap()?;
                let said = self.tail.last_words().await;
                if status.success() { Ok(Done { bytes, said }) } else { Err(verdict(&self.name, status, said)) }
            }
        }
    }

    /// The same for a program whose exit status its caller judges.
    pub(super) async fn ran(mut self, ended: Result<()>) -> Result<Ran> {
        if let Err(e) = ended {
            self.stop().await;
            return Err(e);
        }
        let status = self.reap()?;
        Ok(Ran { status, last: self.tail.last_line().await })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn failed(&self, why: impl Into<String>) -> Error {
        Error::failed(format!("`{}` failed", self.name)).because(why.into())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.status.is_none() {
            kill_group(&self.process, Signal::KILL);
            let _ = self.process.wait();
        }
    }
}

/// Fires `exit` when the process ended, leaving it to be reaped. A thread, since only waiting tells without a race.
fn watch(process: &std::process::Child, exit: CancellationToken) -> io::Result<()> {
    let pid = Pid::from_raw(process.id().cast_signed()).ok_or(io::ErrorKind::NotFound)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let wait = move || {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::PidFd(pidfd.as_fd()), ended), Err(rustix::io::Errno::INTR)) {}
        exit.cancel();
    };
    std::thread::Builder::new().name("wait".into()).stack_size(64 * 1024).spawn(wait)?;
    Ok(())
}

/// Signals the group of a child that is not reaped yet.
fn kill_group(process: &std::process::Child, signal: Signal) {
    if let Some(group) = Pid::from_raw(process.id().cast_signed()) {
        // Failing means that nobody is left to get it.
        let _ = kill_process_group(group, signal);
    }
}

fn verdict(name: &str, status: ExitStatus, said: Option<String>) -> Error {
    let error = Error::failed(format!("`{name}` failed")).because(how(status, said.as_deref()));
    match status.signal() {
        Some(9) => error.hint("if nobody did, the kernel ran out of memory: see `journalctl -k`"),
        _ => error,
    }
}

/// How a child ended, with what it said.
fn how(status: ExitStatus, said: Option<&str>) -> String {
    let ended = match (status.signal(), status.code()) {
        (Some(signal), _) => format!("it was killed by {}", signal_name(signal)),
        (None, Some(code)) => format!("exit status {code}"),
        (None, None) => status.to_string(),
    };
    match said {
        Some(said) => format!("{ended}: {said}"),
        None => ended,
    }
}

fn signal_name(signal: i32) -> String {
    const NAMES: [(Signal, &str); 14] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::SYS, "SIGSYS"),
    ];
    let known = NAMES.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

/// Why a program cannot be run, and what to do about it.
pub(super) fn cannot_run(program: &OsStr, error: io::Error) -> Error {
    let name = program.to_string_lossy();
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            "install it, or write its full path; a script needs the interpreter of its first line"
        }
        io::ErrorKind::PermissionDenied => {
            "make it executable for the user qbackd runs as, on a file system without noexec"
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            "it is no program for this machine; a script begins with a line like `#!/bin/sh`"
        }
        _ => "see the cause",
    };
    Error::new(Kind::Unavailable, format!("cannot run `{name}`")).because(error).hint(hint)
}
