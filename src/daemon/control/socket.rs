//! The socket itself: made where the configuration says, or handed over by systemd. There is never more than one daemon behind it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use tokio::net::{UnixListener, UnixStream};

use crate::error::{Error, Explain, Kind, Result, from_io};

/// Everybody may connect; what they may do is asked at each request.
const MODE: u32 = 0o666;
const DIR_MODE: u32 = 0o755;

/// A socket that listens. One that was made here is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    made: Option<Made>,
}

/// The file of a socket that was made here. Another daemon may have put its own in the same place since.
#[derive(Debug)]
struct Made {
    path: PathBuf,
    file: (u64, u64),
}

impl Socket {
    /// Takes over what systemd handed over ([`handed_over`]), or makes the socket at `path`.
    ///
    /// # Errors
    /// A daemon answers at `path`, something else lies there, or it cannot be made.
    pub async fn open(handed: Option<Handed>, path: &Path) -> Result<Self> {
        let Some(Handed(listener)) = handed else { return Self::bind(path).await };
        let what = || "cannot use the socket that systemd handed over";
        let address = listener.local_addr().explain(what)?;
        if address.as_pathname() != Some(path) {
            tracing::warn!(
                "systemd listens at {address:?}, but `control_socket` is {}: the verbs ask there",
                path.display()
            );
        }
        listener.set_nonblocking(true).explain(what)?;
        Ok(Self { listener: UnixListener::from_std(listener).explain(what)?, made: None })
    }

    /// Makes the socket at `path`, and its folder (not the folders above) if it is not there. What a dead daemon left is replaced.
    ///
    /// # Errors
    /// As [`Socket::open`].
    pub async fn bind(path: &Path) -> Result<Self> {
        let what = || format!("cannot listen on the control socket {}", path.display());
        if let Some(dir) = path.parent() {
            match fs::DirBuilder::new().mode(DIR_MODE).create(dir) {
                // The umask takes bits away that others need to reach the socket.
                Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(DIR_MODE)).explain(what)?,
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(from_io(format!("cannot make the folder {}", dir.display()), e).during(what())),
            }
        }
        clear(path).await.map_err(|e| e.during(what()))?;
        let listener = UnixListener::bind(path).explain(what)?;
        let meta = fs::symlink_metadata(path).explain(what)?;
        let made = Some(Made { path: path.to_owned(), file: (meta.dev(), meta.ino()) });
        let socket = Self { listener, made };
        fs::set_permissions(path, fs::Permissions::from_mode(MODE)).explain(what)?;
        Ok(socket)
    }
}

/// A socket that systemd listens on for us.
#[derive(Debug)]
pub struct Handed(StdListener);

/// The socket of the unit's socket unit, if it has one (`LISTEN_FDS`). To be called once, before the process has a second thread:
/// it takes the variables out of the environment.
///
/// # Errors
/// What was handed over is not one Unix socket.
pub fn handed_over() -> Result<Option<Handed>> {
    let what = "cannot use the socket that systemd handed over";
    let hint = "the socket unit needs exactly one `ListenStream=`, with the path of `control_socket`";
    let mut handed = ListenFd::from_env();
    if handed.len() > 1 {
        return Err(Error::new(Kind::Configuration, what).because("there are several").hint(hint));
    }
    let listener =
        handed.take_unix_listener(0).map_err(|e| Error::new(Kind::Configuration, what).because(e).hint(hint))?;
    Ok(listener.map(Handed))
}

/// Removes the socket of a daemon that is gone.
async fn clear(path: &Path) -> Result<()> {
    let there = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.explain(|| format!("cannot look at {}", path.display()))?,
    };
    if !there.file_type().is_socket() {
        return Err(Error::failed("something that is no socket lies there")
            .hint(format!("move {} away, or name another `control_socket`", path.display())));
    }
    match UnixStream::connect(path).await {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => match fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(from_io("cannot remove the socket of a dead daemon", e)),
            _ => Ok(()),
        },
        // It went away by itself.
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        // Connected, or too many others wait to be: somebody listens.
        _ => Err(Error::new(Kind::TryAgain, "another daemon listens there")
            .hint("`systemctl status qbackd` shows it; two daemons need a `control_socket` and a `state_dir` each")),
    }
}

impl Socket {
    /// Removes the file of a socket that was made here, so that nobody new comes.
    pub(super) fn remove(&self) {
        let Some(made) = &self.made else { return };
        let ours = fs::symlink_metadata(&made.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == made.file);
        if ours && let Err(e) = fs::remove_file(&made.path) {
            tracing::warn!("cannot remove the control socket {}: {e}", made.path.display());
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.remove();
    }
}
