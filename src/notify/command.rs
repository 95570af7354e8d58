//! A command that is told: the JSON document on its stdin, a short environment, killed with all it started when it takes too long.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command as Process;
use tokio::time::timeout;

use super::message::{Message, clean, cut};
use super::options::Command;
use crate::error::{Error, Kind, Result, from_io};

/// What a command inherits of qbackd's environment, which may hold secrets.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR"];
/// Where programs are looked for if qbackd itself was started without `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How much of what it prints is kept, in bytes: the end, where errors are.
const TAIL: usize = 4 * 1024;
/// How much of that an error quotes, in characters.
const QUOTED: usize = 500;
/// How long its last words are awaited once it has ended: what it left running may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The process group of a command; it is killed when this is dropped before the command has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs the command, and waits for it. The message arrived if it exits 0. Dropped, it kills the command's process group.
///
/// # Errors
/// It cannot be run, or fails; then with the end of what it printed.
pub(super) async fn run(command: &Command, message: &Message) -> Result<()> {
    let Some((program, args)) = command.command.split_first() else {
        return Err(Error::new(Kind::Configuration, "no `command` is configured"));
    };
    // One pipe for both, so that what it says stays in order.
    let (reader, writer) = std::io::pipe().map_err(|e| from_io("cannot make a pipe", e))?;
    let again = writer.try_clone().map_err(|e| from_io("cannot make a pipe", e))?;
    let mut output = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())
        .map_err(|e| from_io("cannot watch a pipe", e))?;
    let mut process = Process::new(program);
    process.args(args).env_clear().process_group(0).kill_on_drop(true);
    process.stdin(Stdio::piped()).stdout(again).stderr(writer);
    process.env("PATH", DEFAULT_PATH).env("LANG", "C.UTF-8");
    process.envs(INHERITED.iter().filter_map(|key| Some((key, std::env::var_os(key)?))));
    for (variable, part) in [
        ("QBACKD_EVENT", "event"),
        ("QBACKD_HOST", "host"),
        ("QBACKD_DATABASE", "database"),
        ("QBACKD_SUBJECT", "subject"),
        ("QBACKD_TEXT", "text"),
    ] {
        process.env(variable, message.part(part));
    }
    let mut child = process.spawn().map_err(|e| {
        let absent = e.kind() == std::io::ErrorKind::NotFound;
        let made = from_io(format!("cannot run `{program}`"), e);
        if absent { made.hint("write the path of the program in full, or install it") } else { made }
    })?;
    // Its copies of the pipe's end must be the only ones.
    drop(process);
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let stdin = child.stdin.take();
    let document = message.json();
    let mut said = Vec::new();
    let status = {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A command need not read what it is told.
                let _ = stdin.write_all(format!("{document}\n").as_bytes()).await;
            }
        };
        let listen = follow(&mut output, &mut said);
        // Together: a command that prints much before it reads must not wait for ever.
        let ended = async { tokio::join!(child.wait(), feed).0 };
        tokio::pin!(listen, ended);
        let mut heard = false;
        let status = loop {
            tokio::select! {
                status = &mut ended => break status,
                () = &mut listen, if !heard => heard = true,
            }
        };
        group.0 = None;
        if !heard {
            let _ = timeout(LAST_WORDS, listen).await;
        }
        status.map_err(|e| from_io(format!("cannot wait for `{program}`"), e))?
    };
    if status.success() {
        return Ok(());
    }
    let failed = Error::failed(format!("`{program}` failed: {status}"));
    let words = String::from_utf8_lossy(&said);
    let words: Vec<String> = words.lines().map(clean).filter(|line| !line.is_empty()).collect();
    if words.is_empty() { Err(failed) } else { Err(failed.because(tail(&words.join("; ")))) }
}

/// Reads to the end, and keeps what came last.
async fn follow(output: &mut (impl AsyncRead + Unpin), said: &mut Vec<u8>) {
    let mut piece = vec![0; TAIL];
    while let Ok(count @ 1..) = output.read(&mut piece).await {
        let read = piece.get(..count).unwrap_or_default();
        said.extend_from_slice(read);
        let surplus = said.len().saturating_sub(TAIL);
        said.drain(..surplus);
    }
}

/// The end of a text, and an ellipsis before it.
fn tail(text: &str) -> String {
    let backwards: String = text.chars().rev().collect();
    cut(&backwards, QUOTED).chars().rev().collect()
}
