//! What must come before what.

use std::path::{Path, PathBuf};

use super::trace::{Act, Trace};

fn text(path: &Path) -> String {
    path.display().to_string().replace("//", "/")
}

fn is(act: &Path, path: &Path) -> bool {
    text(act) == text(path)
}

/// The folders whose entries must be on the disk for `folder` to be found: itself and all above it up to the root.
fn up_to<'a>(root: &'a Path, folder: &'a Path) -> impl Iterator<Item = &'a Path> {
    folder.ancestors().take_while(move |above| above.starts_with(root))
}

/// Where `path` was synced between the acts `from` and `until`: by a call that began when `from` had ended, and that had
/// ended when `until` began.
fn synced(trace: &Trace, from: usize, until: usize, path: &Path) -> Result<usize, String> {
    let covers = |at: usize| matches!(&trace.acts[at], Act::Sync(synced) if is(synced, path)) && trace.seen[at] > from;
    let until = trace.seen.get(until).copied().unwrap_or(until);
    (from..until).find(|at| covers(*at)).ok_or_else(|| format!("{} was not synced in time", text(path)))
}

/// Where a name in `folder` came to be by a rename; and that what was renamed was written whole and synced before.
fn appeared(trace: &Trace, folder: &Path, name: &str) -> Result<usize, String> {
    let target = folder.join(name);
    let renamed = |act: &Act| matches!(act, Act::Rename(_, to) if is(to, &target));
    let at = trace.first(0, renamed).ok_or_else(|| format!("nothing was renamed to {}", text(&target)))?;
    let Act::Rename(temporary, _) = &trace.acts[at] else { return Err("that was no rename".into()) };
    let hidden = temporary.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&format!(".{name}.")));
    if !hidden || !temporary.parent().is_some_and(|parent| is(parent, folder)) {
        return Err(format!("{} came from {}, which is no temporary name beside it", text(&target), text(temporary)));
    }
    let written = trace
        .last(trace.acts.len(), |act| matches!(act, Act::Write(path) if is(path, temporary)))
        .ok_or_else(|| format!("{} was never written", text(temporary)))?;
    synced(trace, written, at, temporary)?;
    let directly = |act: &Act| matches!(act, Act::Write(path) | Act::Create(path) if is(path, &target));
    match trace.first(0, directly) {
        Some(_) => Err(format!("{} was written in place", text(&target))),
        None => Ok(at),
    }
}

/// A backup was published in `folder` below `root` as it must be.
pub fn published(trace: &Trace, root: &Path, folder: &Path, artifacts: &[PathBuf]) -> Result<(), String> {
    let sums = appeared(trace, folder, "SHA256SUMS")?;
    let manifest = appeared(trace, folder, "manifest.json")?;
    let mut all = 0;
    for artifact in artifacts {
        let wrote = |act: &Act| matches!(act, Act::Write(path) if is(path, artifact));
        let written =
            trace.last(trace.acts.len(), wrote).ok_or_else(|| format!("{} was never written", text(artifact)))?;
        all = all.max(synced(trace, written, sums, artifact)?);
    }
    // The names of the artifacts, and of every folder above them, before anything vouches for them.
    for above in up_to(root, folder) {
        synced(trace, all, sums, above)?;
    }
    // The sums before the manifest, the manifest before the end.
    synced(trace, sums, manifest, folder)?;
    synced(trace, manifest, trace.acts.len(), folder).map(drop)
}

/// A destination at `root` was begun as it must be, before anything of the backup in `folder` was: `qbackd.json`, then `RECOVERY.txt`,
/// each durable before the next begins.
pub fn begun(trace: &Trace, root: &Path, folder: &Path) -> Result<(), String> {
    let header = appeared(trace, root, "qbackd.json")?;
    let recovery = appeared(trace, root, "RECOVERY.txt")?;
    let temporary = |act: &Act| match act {
        Act::Create(path) | Act::Write(path) => {
            path.parent().is_some_and(|parent| is(parent, root)) && text(path).contains("/.RECOVERY.txt.")
        }
        _ => false,
    };
    let begins = trace.first(0, temporary).ok_or("RECOVERY.txt was never written")?;
    synced(trace, header, begins, root)?;
    let of_the_backup = |act: &Act| matches!(act, Act::Create(path) | Act::Write(path) if path.starts_with(folder));
    let first = trace.first(0, of_the_backup).ok_or("nothing of the backup was written")?;
    synced(trace, recovery, first, root).map(drop)
}

/// A backup was deleted from `folder` as it must be.
pub fn deleted(trace: &Trace, folder: &Path, artifacts: &[PathBuf]) -> Result<(), String> {
    let gone = |path: &Path| {
        let unlinked = |act: &Act| matches!(act, Act::Unlink(name) if is(name, path));
        trace.first(0, unlinked).ok_or_else(|| format!("{} was not deleted", text(path)))
    };
    let manifest = gone(&folder.join("manifest.json"))?;
    let mut first = trace.acts.len();
    for artifact in artifacts {
        first = first.min(gone(artifact)?);
    }
    if first < manifest {
        return Err("data was deleted while the backup existed".into());
    }
    synced(trace, manifest, first, folder).map(drop)
}
