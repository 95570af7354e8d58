//! Watching the files: whoever changes them in whatever way, somebody is told that they may have changed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// How long after the last event an editor is taken to have finished.
const QUIET: Duration = Duration::from_millis(300);
/// An editor that never finishes is not waited for longer than this.
const AT_MOST: Duration = Duration::from_secs(3);
/// What gives no event (a network file system, a folder above that was renamed) is found by looking this often.
const LOOK: Duration = Duration::from_secs(60);
/// More links than this on one way are a circle, as for the kernel.
const MOST_LINKS: usize = 40;

/// What was seen of a file.
#[derive(Debug)]
enum Seen {
    /// It is being written.
    Writing(PathBuf),
    /// Who wrote it has closed it.
    Written(PathBuf),
    /// Anything else: made, removed, renamed; or events were lost.
    Otherwise,
}

/// What the files look like from outside: enough to tell that one was changed.
type Signature = Vec<(PathBuf, [u64; 3], [i64; 4])>;

/// Watches the folder until nobody listens any more; `tell` is called whenever its files may not be what they were.
pub(super) async fn watch(dir: PathBuf, tell: impl Fn() -> bool + Send) {
    let (events, mut inbox) = unbounded_channel();
    let mut eye = Eye { dir: std::path::absolute(&dir).unwrap_or(dir), watcher: None, events };
    let mut seen = eye.look();
    // What changed after the files were read, and before they were watched.
    if !tell() {
        return;
    }
    let mut tick = interval_at(Instant::now() + LOOK, LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Two writes within one tick of the kernel's clock look alike, so that an event counts whatever the files look like.
        let told = tokio::select! {
            Some(event) = inbox.recv() => {
                settle(event, &mut inbox).await;
                true
            }
            _ = tick.tick() => false,
        };
        let now = eye.look();
        if !told && now != seen {
            tracing::debug!("a change of the files that gave no event was found by looking");
        }
        if told || now != seen {
            seen = now;
            if !tell() {
                return;
            }
        }
    }
}

/// Waits until no event came for a while, and longer where a file is still being written.
async fn settle(first: Seen, inbox: &mut UnboundedReceiver<Seen>) {
    let end = Instant::now() + AT_MOST;
    let (mut open, mut next) = (HashSet::new(), Some(first));
    while let Some(seen) = next {
        match seen {
            Seen::Writing(path) => drop(open.insert(path)),
            Seen::Written(path) => drop(open.remove(&path)),
            Seen::Otherwise => {}
        }
        let left = end.saturating_duration_since(Instant::now());
        let wait = if open.is_empty() { QUIET.min(left) } else { left };
        next = timeout(wait, inbox.recv()).await.ok().flatten();
    }
}

struct Eye {
    dir: PathBuf,
    watcher: Option<(RecommendedWatcher, Places)>,
    events: UnboundedSender<Seen>,
}

impl Eye {
    /// Makes sure that the next change is seen, then looks at the files.
    fn look(&mut self) -> Signature {
        // What is replaced while the watches are set may be missed by them, so that they are looked over again.
        for _ in 0..3 {
            let places = Places::of(&self.dir);
            if self.watcher.as_ref().is_some_and(|(_, on)| *on == places) {
                break;
            }
            self.watcher = self.open(&places).map(|watcher| (watcher, places));
        }
        signature(&self.dir)
    }

    fn open(&self, places: &Places) -> Option<RecommendedWatcher> {
        let (events, wanted) = (self.events.clone(), places.clone());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Some(seen) = wanted.sort_out(event) {
                // A loop that is gone has no use for it.
                let _ = events.send(seen);
            }
        })
        .ok()?;
        for folder in places.folders.keys() {
            // One that may not be watched is looked at now and then like all others.
            if let Err(e) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!("{} cannot be watched, it is looked at every minute: {e}", folder.display());
            }
        }
        Some(watcher)
    }
}

/// Where changes come from: the folder itself, and what leads to it and its files by way of links. A folder above is not watched
/// where no link stands in it: everybody opens files in `/etc`, and each time the watcher would wake up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Places {
    /// The folder, without links; absent where there is none.
    own: Option<PathBuf>,
    /// What is watched, and which folder that was then: it may be replaced.
    folders: BTreeMap<PathBuf, Option<(u64, u64)>>,
    /// What else than our own files means something: links, what they lead to, what is not there yet.
    names: BTreeSet<PathBuf>,
}

impl Places {
    fn of(dir: &Path) -> Self {
        let mut places = Self::default();
        let own = places.follow(dir);
        if own.is_dir() {
            for path in entries(dir).filter(|path| path.is_symlink()) {
                let target = places.follow(&path);
                places.names.insert(target);
            }
            places.own = Some(own);
        }
        let above = places.names.iter().filter_map(|name| name.parent()).map(Path::to_owned);
        let folders = above.chain(places.own.clone());
        places.folders = folders.map(|folder| (folder.clone(), identity(&folder))).collect();
        places
    }

    /// Where `path` leads to, or the first name on the way that is not there. Notes every link on the way.
    fn follow(&mut self, path: &Path) -> PathBuf {
        let mut todo: Vec<OsString> = names(path);
        let (mut at, mut links) = (PathBuf::from("/"), 0);
        while let Some(name) = todo.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            let here = at.join(&name);
            match std::fs::read_link(&here) {
                Ok(target) if links < MOST_LINKS => {
                    links += 1;
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    todo.extend(names(&target));
                    self.names.insert(here);
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    self.names.insert(here.clone());
                    return here;
                }
                _ => at = here,
            }
        }
        at
    }

    /// What an event means to us, if anything.
    fn sort_out(&self, event: notify::Result<notify::Event>) -> Option<Seen> {
        // An error may hide anything, as may events that were lost.
        let Ok(event) = event else { return Some(Seen::Otherwise) };
        let path = match event.paths.iter().find(|path| self.is_ours(path)) {
            Some(path) => path.clone(),
            None => return event.need_rescan().then_some(Seen::Otherwise),
        };
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => Some(Seen::Writing(path)),
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Seen::Written(path)),
            // Reading is no change, and we read the files ourselves.
            EventKind::Access(_) => None,
            _ => Some(Seen::Otherwise),
        }
    }

    fn is_ours(&self, path: &Path) -> bool {
        let within = path.parent().is_some_and(|parent| Some(parent) == self.own.as_deref());
        (within && is_file_of_ours(path)) || self.names.contains(path) || self.folders.contains_key(path)
    }
}

/// The names of a path, the first one last; a `.` is none.
fn names(path: &Path) -> Vec<OsString> {
    let all = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    all.rev().map(|part| part.as_os_str().to_owned()).collect()
}

fn is_file_of_ours(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|end| end == "toml")
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let all = std::fs::read_dir(dir).into_iter().flatten();
    all.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_file_of_ours(path))
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn signature(dir: &Path) -> Signature {
    let mut all: Signature = entries(dir)
        .map(|path| {
            // Through links: what they lead to is what is read. One that leads nowhere is an error of the files, and counts.
            let outside = |meta: Metadata| {
                let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
                ([meta.dev(), meta.ino(), meta.len()], times)
            };
            let (which, when) = std::fs::metadata(&path).map(outside).unwrap_or_default();
            (path, which, when)
        })
        .collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn settled(events: Vec<(u64, Seen)>) -> Duration {
        let (to, mut inbox) = unbounded_channel();
        let begun = Instant::now();
        tokio::spawn(async move {
            for (at, event) in events {
                tokio::time::sleep_until(begun + Duration::from_millis(at)).await;
                to.send(event).unwrap();
            }
            std::future::pending::<()>().await;
        });
        let first = inbox.recv().await.unwrap();
        settle(first, &mut inbox).await;
        begun.elapsed()
    }

    fn writing(name: &str) -> Seen {
        Seen::Writing(name.into())
    }

    fn written(name: &str) -> Seen {
        Seen::Written(name.into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_being_written_is_waited_for_but_not_for_ever() {
        let ms = Duration::from_millis;
        let half = vec![(0, writing("a")), (1000, writing("a")), (2000, written("a"))];
        assert!((ms(2300)..ms(2400)).contains(&settled(half).await));
        let other = vec![(0, writing("a")), (100, writing("b")), (200, written("b"))];
        assert!((ms(3000)..ms(3100)).contains(&settled(other).await));
        let renamed = vec![(0, Seen::Otherwise), (200, Seen::Otherwise), (2000, Seen::Otherwise)];
        assert!((ms(500)..ms(600)).contains(&settled(renamed).await));
        let endless = (0..40).map(|n| (n * 100, Seen::Otherwise)).collect();
        assert!((ms(3000)..ms(3100)).contains(&settled(endless).await));
    }

    #[test]
    fn every_link_on_the_way_is_watched_and_no_folder_above_without_one() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let at = |path: &str| root.join(path);
        let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, at(from)).unwrap();
        for folder in ["real/deep/etc/..1", "elsewhere", "kept"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        for file in ["real/deep/etc/own.toml", "real/deep/etc/..1/map.toml", "elsewhere/x"] {
            std::fs::write(at(file), "").unwrap();
        }
        link("real", "way");
        link("..1", "real/deep/etc/..data");
        link("..data/map.toml", "real/deep/etc/map.toml");
        link("../../../elsewhere/x", "real/deep/etc/far.toml");
        link("../../../kept/none", "real/deep/etc/none.toml");
        let places = Places::of(&at("way/deep/etc"));
        let folders: Vec<_> = places.folders.keys().cloned().collect();
        let expected = ["", "elsewhere", "kept", "real/deep/etc", "real/deep/etc/..1"].map(|path| match path {
            "" => root.clone(),
            path => at(path),
        });
        assert_eq!(folders, expected);
        let ours =
            ["way", "elsewhere/x", "kept/none", "real/deep/etc/new.toml", "real/deep/etc/..data", "real/deep/etc"];
        let others = ["other", "elsewhere/y", "real/deep/etc/.own.toml.swp", "real/deep/etc/README", "real/deep"];
        assert_eq!(ours.map(|path| places.is_ours(&at(path))), [true; 6]);
        assert_eq!(others.map(|path| places.is_ours(&at(path))), [false; 5]);
    }
}
