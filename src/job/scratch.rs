//! Folders that go with the work they were made for, also when it is killed: by the run that finds a dead one
//! (`sweep.rs`), or by the next one that makes such a folder.

use std::fs::{DirBuilder, File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;

use crate::error::{Error, Result, from_io};
use crate::model::RunId;
use crate::model::stamp::{is_random_word, random_word};

/// What folders outside the state directory are for, as their names say.
const PURPOSES: [&str; 3] = ["restore", "verify", "state"];
/// How often somebody else may take a folder for one that is left over, between its making and its lock.
const TRIES: usize = 16;

/// A folder that goes with its run.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Tells others that it is in use. The kernel lets go of it however this process ends.
    _lock: Option<OwnedFd>,
}

impl Scratch {
    /// A folder of the caller's own for one of `PURPOSES`, below `$TMPDIR` or `/var/tmp`: restores and checks may be of any size, and
    /// run with the caller's rights. What dead ones of the same user left there is removed first, for it may be data in plain.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn anywhere(purpose: &str) -> Result<Self> {
        let base = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
        sweep(&base);
        for _ in 0..TRIES {
            let path = base.join(format!("qbackd-{purpose}-{}", random_word()));
            make(&path)?;
            match lock(&path) {
                Ok(lock) if is_still(&lock, &path) => return Ok(Self { path, _lock: Some(lock) }),
                // Who took it for a dead one in this instant removes it.
                Ok(_) | Err(Errno::WOULDBLOCK | Errno::NOENT) => {}
                // The file system has no locks: nobody can take it for a dead one.
                Err(_) => return Ok(Self { path, _lock: None }),
            }
        }
        Err(Error::failed(format!("cannot keep a scratch folder in {}", base.display()))
            .because("somebody removes each as soon as it is made"))
    }

    /// The folder of a run below the state directory; who finds the run dead removes it.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn of(state: &Path, run: &RunId) -> Result<Self> {
        let path = state.join("scratch").join(run.as_str());
        make(&path)?;
        Ok(Self { path, _lock: None })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn make(path: &Path) -> Result<()> {
    let parents = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    // Exclusively, so that nobody else can have put it there.
    let made = parents.and_then(|()| DirBuilder::new().mode(0o700).create(path));
    made.map_err(|e| from_io(format!("cannot make the scratch folder {}", path.display()), e))
}

/// Removes what work of this user left in `base` when it was killed. What cannot be removed stays for the next time.
fn sweep(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_name().to_str().is_some_and(is_our_name) || !path.symlink_metadata().is_ok_and(|m| is_ours(&m)) {
            continue;
        }
        let Some(_held) = lock(&path).ok().filter(|lock| is_still(lock, &path)) else { continue };
        match std::fs::remove_dir_all(&path) {
            Ok(()) => tracing::info!("removed {}, which work that was killed had left", path.display()),
            Err(e) => tracing::warn!("cannot remove {}, which work that was killed had left: {e}", path.display()),
        }
    }
}

/// `qbackd-restore-k3f9x2ab`
fn is_our_name(name: &str) -> bool {
    let rest = name.strip_prefix("qbackd-").and_then(|rest| rest.split_once('-'));
    rest.is_some_and(|(purpose, word)| PURPOSES.contains(&purpose) && is_random_word(word))
}

/// A folder of this user, that nobody else may enter.
fn is_ours(meta: &Metadata) -> bool {
    meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o077 == 0
}

/// The folder itself, never one that a link leads to, if nobody holds it.
fn lock(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, path, flags, Mode::empty())?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    Ok(folder)
}

/// Whether `path` is the folder that was locked: ours, and not removed since.
fn is_still(lock: &OwnedFd, path: &Path) -> bool {
    let locked = lock.try_clone().map(File::from).and_then(|folder| folder.metadata());
    let (Ok(locked), Ok(there)) = (locked, path.symlink_metadata()) else { return false };
    is_ours(&locked) && (locked.dev(), locked.ino()) == (there.dev(), there.ino())
}
