//! Child processes of engines: own process group, stderr kept to its last lines, killed whole, waited for always.
//!
//! A child sees a short list of inherited variables and what its [`Tool`] adds: qbackd's own environment may hold secrets
//! (`{ env = }`, systemd credentials) that are no child's business. Errors name the program, never its arguments.

mod child;
mod lines;
mod tail;
mod work;

pub use child::{GRACE, Ran};

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::child::{Child, cannot_run};
use crate::error::{Error, Explain, Result};
use crate::model::{Blocks, Inlet, Outlet};

/// Where programs are looked for if qbackd itself was started without `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The size of pipes to and from children, in bytes. What lies ready for a slow side is in the queues, megabytes of it; a pipe
/// of 1 MiB leaves the processor's caches between writing and reading and cost 2% to 3% of a dump's processor time.
const PIPE_SIZE: usize = 128 * 1024;
/// How long a child may outlive its own output, or its output the child, by default.
const LINGER: Duration = Duration::from_secs(60);
/// How long a block that is not full waits for more: a slow child's bytes still count as progress.
const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// A program about to be run.
#[derive(Debug, Clone)]
pub struct Tool {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    called: Option<String>,
    linger: Duration,
}

/// What a child that ended well leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Bytes that went through its stdout (a dump) or stdin (a restore).
    pub bytes: u64,
    /// The last lines it printed for people, on one line; `None` if it was silent.
    pub said: Option<String>,
}

impl Tool {
    /// The program at a path, or by a name that `PATH` leads to.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new(), called: None, linger: LINGER }
    }

    /// Adds arguments. Never a secret: everybody on the host can read them.
    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to this child's environment alone.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// What errors call it; the program's name unless told.
    #[must_use]
    pub fn called(mut self, name: impl Into<String>) -> Self {
        self.called = Some(name.into());
        self
    }

    /// How long the child may live on after it closed its stdout (or stdin before the end), and how long its output may stay
    /// open and silent after it ended. 60 s unless told.
    #[must_use]
    pub fn linger(mut self, limit: Duration) -> Self {
        self.linger = limit;
        self
    }

    /// Runs the program and sends its stdout into `outlet`. The outlet comes back open, so that the engine can look for
    /// whatever else proves a dump before it ends it; it comes back only if the program exited 0 and all it wrote was read.
    ///
    /// # Errors
    /// The program cannot be run, fails, is killed, hangs with its stdout closed, leaves its stdout open, or `cancel` fires.
    /// Its whole process group is gone then.
    pub async fn dump(self, mut outlet: Outlet, cancel: &CancellationToken) -> Result<(Done, Outlet)> {
        let stop = cancel.child_token();
        let guard = stop.clone().drop_guard();
        // A task of its own: when this future is dropped, it lives on for as long as ending the child takes.
        let task = tokio::spawn(async move {
            let (stdout, stdout_end) = large_pipe()?;
            let stdout = pipe::Receiver::from_owned_fd(stdout.into()).explain(|| "cannot watch a pipe")?;
            let child = Child::spawn(&self, Stdio::null(), stdout_end.into(), None)?;
            let work = async {
                let bytes = pump(&stdout, &mut outlet, &child, self.linger).await?;
                if timeout(self.linger, child.exit.cancelled()).await.is_err() {
                    return Err(
                        child.failed(format!("it closed its output, but did not exit within {:?}", self.linger))
                    );
                }
                Ok(bytes)
            };
            let ended = tokio::select! {
                ended = work => ended,
                () = stop.cancelled() => Err(Error::interrupted()),
            };
            Ok((child.conclude(ended).await?, outlet))
        });
        let done = joined(task).await;
        drop(guard);
        done
    }

    /// Runs the program and feeds it `inlet` on stdin, then waits for it to end. What it prints on stdout is kept with its stderr.
    ///
    /// # Errors
    /// As [`Tool::dump`]; also when the program ends before it took everything, even with exit status 0. If the inlet breaks off,
    /// the program is killed while its stdin is still open: it never sees half a backup end like a whole one.
    pub async fn restore(self, mut inlet: Inlet, cancel: &CancellationToken) -> Result<Done> {
        let stop = cancel.child_token();
        let guard = stop.clone().drop_guard();
        let task = tokio::spawn(async move {
            let (stdin_end, stdin) = large_pipe()?;
            let stdin = pipe::Sender::from_owned_fd(stdin.into()).explain(|| "cannot watch a pipe")?;
            let (output, output_end) = io::pipe().explain(|| "cannot make a pipe")?;
            let stdout = output_end.try_clone().explain(|| "cannot make a pipe")?;
            let mut child = Child::spawn(&self, stdin_end.into(), stdout.into(), Some((output, output_end)))?;
            child.stdin = Some(stdin);
            let ended = tokio::select! {
                ended = feed(&mut inlet, &mut child, self.linger) => ended,
                () = stop.cancelled() => Err(Error::interrupted()),
            };
            child.conclude(ended).await
        });
        let done = joined(task).await;
        drop(guard);
        done
    }
}

async fn joined<T>(task: JoinHandle<Result<T>>) -> Result<T> {
    task.await.unwrap_or_else(|e| Err(Error::failed("the watch over a child process ended").because(e)))
}

/// A pipe of [`PIPE_SIZE`], if the kernel lets us have it.
fn large_pipe() -> Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe().explain(|| "cannot make a pipe")?;
    // Users over their pipe quota keep the default size.
    let _ = rustix::pipe::fcntl_setpipe_size(reader.as_fd(), PIPE_SIZE);
    Ok((reader, writer))
}

/// Moves all of a child's stdout into the outlet, in blocks as large as the child's pace allows.
async fn pump(stdout: &pipe::Receiver, outlet: &mut Outlet, child: &Child, linger: Duration) -> Result<u64> {
    let mut bytes = 0u64;
    let mut blocks = Blocks::default();
    let mut block = blocks.take();
    let mut gone = false;
    loop {
        match stdout.try_read_buf(&mut block) {
            Ok(0) => break,
            Ok(count) => {
                bytes += count as u64;
                if block.len() == block.capacity() {
                    outlet.send_async(blocks.lend(block)).await?;
                    block = blocks.take();
                }
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(child.failed("its output cannot be read").because(e)),
        }
        let patience = if block.is_empty() { linger } else { FLUSH_AFTER };
        tokio::select! {
            ready = stdout.readable() => ready.explain(|| "cannot watch a pipe")?,
            () = child.exit.cancelled(), if !gone => gone = true,
            () = sleep(patience), if gone || !block.is_empty() => {
                if block.is_empty() {
                    return Err(child.failed(format!("it ended, but a process it left behind held its output open for {linger:?}")));
                }
                outlet.send_async(blocks.lend(block)).await?;
                block = blocks.take();
            }
        }
    }
    outlet.send_async(block.freeze()).await?;
    Ok(bytes)
}

/// Gives a child all of the inlet on stdin, closes it, and waits for the child to end.
async fn feed(inlet: &mut Inlet, child: &mut Child, linger: Duration) -> Result<u64> {
    let mut bytes = 0u64;
    let mut gone = false;
    let refused = loop {
        let block = tokio::select! {
            biased;
            block = inlet.next_async() => block?,
            () = child.exit.cancelled(), if !gone => { gone = true; continue }
        };
        let Some(block) = block else { break false };
        // Borrowed, never moved: dropped in the middle of a write, this future must leave stdin open.
        let Child { stdin: Some(stdin), exit, .. } = &mut *child else { break true };
        let wrote = tokio::select! {
            biased;
            wrote = stdin.write_all(&block) => wrote,
            () = exit.cancelled() => Err(io::ErrorKind::BrokenPipe.into()),
        };
        match wrote {
            Ok(()) => bytes += block.len() as u64,
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => break true,
            Err(e) => return Err(child.failed("its input cannot be written").because(e)),
        }
    };
    if !refused {
        child.stdin = None;
        child.exit.cancelled().await;
        return Ok(bytes);
    }
    let early = child.failed(format!("it stopped reading after {bytes} bytes, before the end of the backup"));
    match timeout(linger, child.exit.cancelled()).await {
        // Its own status and words say more than ours.
        Ok(()) if child.reap()?.success() => Err(early),
        Ok(()) => Ok(bytes),
        Err(_) => Err(early),
    }
}

/// The file that running `program` would execute.
///
/// # Errors
/// [`Unavailable`](crate::error::Kind::Unavailable): there is none, or it may not be executed.
pub fn find_program(program: &OsStr) -> Result<PathBuf> {
    let name = program.to_string_lossy();
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![PathBuf::from(program)]
    } else {
        std::env::split_paths(&path).map(|dir| dir.join(program)).collect()
    };
    let mut error = io::Error::from(rustix::io::Errno::NOENT);
    for file in candidates.into_iter().filter(|file| file.is_file()) {
        match executable(&file) {
            Ok(()) => return Ok(file),
            Err(e) => error = e,
        }
    }
    Err(cannot_run(program, error))
}

fn executable(file: &Path) -> io::Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    Ok(accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS)?)
}
