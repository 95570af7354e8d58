//! Root working alone becomes the owner of `state_dir` first, so that nothing is left behind that the daemon cannot open.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Explain, Kind, Result, from_io};

/// Set for the program that was started again, so that it does not start itself for ever.
const GUARD: &str = "QBACKD_BECAME_OWNER";
/// This very program, whatever its path is and whoever may walk there (proc(5)).
const MYSELF: &str = "/proc/self/exe";

/// For verbs that write a destination (backup, delete). If root runs this and `state_dir` belongs to somebody else, the
/// program starts again as that user, with the same arguments; then this does not return. Otherwise nothing happens.
///
/// # Errors
/// The folder cannot be looked at, or the program cannot be started again.
pub fn become_owner(state_dir: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (uid, gid) = match std::fs::metadata(state_dir) {
        Ok(meta) => (meta.uid(), meta.gid()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).explain(|| format!("cannot look at the state directory {}", state_dir.display())),
    };
    if uid == 0 {
        return Ok(());
    }
    let what = format!("cannot become the owner of {} (user {uid})", state_dir.display());
    if std::env::var_os(GUARD).is_some() {
        return Err(Error::new(Kind::NotPermitted, what).because("starting the program as that user left it root"));
    }
    let mut again = Command::new(MYSELF);
    let mut args = std::env::args_os();
    again.arg0(args.next().unwrap_or_else(|| "qbackd".into())).args(args);
    // Root's home is closed to that user; tools that look for their files there must not trip over it.
    again.env(GUARD, uid.to_string()).env("HOME", state_dir).env_remove("XDG_RUNTIME_DIR");
    // It also drops the groups of root: std calls setgroups for a child whose user changes.
    let error = again.uid(uid).gid(gid).exec();
    Err(from_io(what, error))
}
