//! Secrets and where they come from. A configuration holds *references*; the value is fetched when it is used and never shown.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result, from_io};

/// Secrets longer than this are a mistake (a dump named as a password file), in bytes.
const MAX_LEN: u64 = 64 * 1024;

/// How long a command may take to print a secret: whoever needs it waits that long.
const LIMIT: Duration = Duration::from_secs(60);

/// A secret value. It cannot be printed, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps `value` as a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself, for the moment of its use.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Where a secret comes from: `{ file = }`, `{ env = }`, `{ credential = }`, `{ command = [ ] }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretRef {
    /// The content of a file, without its final newline. Others than owner and group must not be able to read it.
    File(PathBuf),
    /// A variable of qbackd's own environment.
    Env(String),
    /// A systemd credential (`LoadCredential=`), by name, below `$CREDENTIALS_DIRECTORY` (systemd.exec(5)).
    Credential(String),
    /// What a command prints on stdout; run without a shell, for a minute at most.
    Command(Vec<String>),
}

impl SecretRef {
    /// Fetches the value.
    ///
    /// # Errors
    /// Names the reference, never the value: the source is absent, empty, readable by others, not UTF-8, or the command failed.
    pub fn resolve(&self) -> Result<Secret> {
        let value = match self {
            Self::File(path) => read_private(path)?,
            Self::Env(name) => std::env::var(name)
                .map(Zeroizing::new)
                .map_err(|_| unavailable(format!("the environment variable {name} is not set")))?,
            Self::Credential(name) => read_credential(name)?,
            Self::Command(argv) => run(argv, LIMIT)?,
        };
        let value = Zeroizing::new(
            value.strip_suffix('\n').map_or(value.as_str(), |v| v.strip_suffix('\r').unwrap_or(v)).to_owned(),
        );
        if value.is_empty() {
            return Err(Error::new(Kind::Configuration, format!("{self} is empty")).hint("put the secret there"));
        }
        Ok(Secret(value))
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the secret file {}", path.display()),
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::Credential(name) => write!(f, "the systemd credential {name}"),
            Self::Command(argv) => write!(f, "the secret command {}", argv.first().map_or("", String::as_str)),
        }
    }
}

fn unavailable(what: String) -> Error {
    Error::new(Kind::Configuration, what)
}

/// Reads a file that must not be open to the world.
///
/// # Errors
/// It is absent, unreadable, too long, not UTF-8, or readable by others; then the hint is the chmod that mends it.
pub fn read_private(path: &Path) -> Result<Zeroizing<String>> {
    let what = || format!("cannot read the secret file {}", path.display());
    let file = File::open(path).map_err(|e| from_io(what(), e))?;
    let meta = file.metadata().map_err(|e| from_io(what(), e))?;
    if meta.mode() & 0o004 != 0 {
        return Err(Error::new(Kind::Configuration, format!("{} can be read by everybody", path.display()))
            .hint(format!("chmod o-rwx {}", path.display())));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_LEN + 1).read_to_string(&mut text).map_err(|e| from_io(what(), e))?;
    if text.len() as u64 > MAX_LEN {
        return Err(Error::new(Kind::Configuration, what()).because("it is longer than 64 KiB"));
    }
    Ok(text)
}

fn read_credential(name: &str) -> Result<Zeroizing<String>> {
    let absent = |why: &str| {
        unavailable(format!("the systemd credential {name} is not there: {why}"))
            .hint(format!("add LoadCredential={name}:/path/of/the/secret to the unit"))
    };
    if name.contains('/') || name.starts_with('.') {
        return Err(unavailable(format!("`{name}` is not the name of a systemd credential")));
    }
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| absent("CREDENTIALS_DIRECTORY is not set"))?;
    read_private(&Path::new(&dir).join(name)).map_err(|e| absent(&e.line()))
}

fn run(argv: &[String], limit: Duration) -> Result<Zeroizing<String>> {
    let Some((program, args)) = argv.split_first() else {
        return Err(unavailable("a secret command has no words".into()));
    };
    let what = || format!("cannot run the secret command {program}");
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn()
        .map_err(|e| from_io(what(), e))?;
    let group = rustix::process::Pid::from_child(&child);
    let (told, ended) = mpsc::channel();
    let waiting = std::thread::spawn(move || {
        // Whoever waits no longer does not want to know.
        let _ = told.send(child.wait_with_output());
    });
    let Ok(output) = ended.recv_timeout(limit) else {
        // With all that it started. It was not waited for yet, so the number is still its own.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        drop(waiting);
        let took = format!("the secret command {program} did not end within {} s", limit.as_secs());
        return Err(Error::new(Kind::TimedOut, took).hint("it was killed; does it wait for somebody to type?"));
    };
    let output = output.map_err(|e| from_io(what(), e))?;
    let value = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(unavailable(format!("the secret command {program} failed: {}", output.status)));
    }
    let text = std::str::from_utf8(&value)
        .map_err(|_| unavailable(format!("the secret command {program} printed no UTF-8")))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_secret_file_open_to_the_world_is_refused_with_the_chmod() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pw");
        std::fs::write(&path, "hunter2\n").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let error = SecretRef::File(path.clone()).resolve().unwrap_err();
        assert_eq!(error.remedy(), Some(format!("chmod o-rwx {}", path.display()).as_str()));
        assert!(!error.to_string().contains("hunter2"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert_eq!(SecretRef::File(path).resolve().unwrap().expose(), "hunter2");
    }

    #[test]
    fn a_command_gives_its_stdout_and_must_succeed() {
        let command = |script: &str| SecretRef::Command(vec!["/bin/sh".into(), "-c".into(), script.into()]);
        assert_eq!(command("printf ' a$b\\n'").resolve().unwrap().expose(), " a$b");
        let failed = command("echo hunter2; exit 3").resolve().unwrap_err();
        assert!(failed.line().contains("exit status: 3") && !failed.line().contains("hunter2"), "{failed}");
        assert!(command("true").resolve().unwrap_err().line().contains("is empty"));
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_all_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("lock");
        std::fs::write(&lock, "").unwrap();
        let script = format!("exec 3<{0}; flock -n 3; (trap '' TERM; sleep 1000) & echo hunter2; wait", lock.display());
        let argv: Vec<String> = ["/bin/sh", "-c", &script].map(str::to_owned).into();
        let error = run(&argv, Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.kind(), Kind::TimedOut);
        assert!(error.line().contains("/bin/sh") && !error.line().contains("hunter2"), "{error}");
        // The lock is free as soon as the last of them is gone.
        let free = Command::new("flock").args(["-w", "60"]).arg(&lock).arg("true").status().unwrap();
        assert!(free.success());
    }
}
