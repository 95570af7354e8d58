//! Watching the files: whoever changes them in whatever way, somebody is told that they may have changed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// How long after the last event an editor is taken to have finished.
const QUIET: Duration = Duration::from_millis(300);
/// An editor that never finishes is not waited for longer than this.
const AT_MOST: Duration = Duration::from_secs(3);
/// What gives no event (a write through a symbolic link, a network file system) is found by looking this often.
const LOOK: Duration = Duration::from_secs(60);

/// What the files look like from outside: enough to tell that one was changed.
type Signature = Vec<(PathBuf, u64, u64, i64, i64, u64)>;

/// Watches the folder until nobody listens any more; `tell` is called at the beginning,
/// and whenever its files are not what they were.
pub(super) async fn watch(dir: PathBuf, tell: impl Fn() -> bool + Send) {
    let (events, mut inbox) = unbounded_channel();
    let mut eye = Eye { dir, watcher: None, events };
    let mut seen = eye.look();
    // What was read before may be older than what is watched from now on.
    if !tell() {
        return;
    }
    let mut tick = interval_at(Instant::now() + LOOK, LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = inbox.recv() => {
                if event.is_none() {
                    return;
                }
                settle(&mut inbox).await;
            }
            _ = tick.tick() => {}
        }
        let now = eye.look();
        if now != seen {
            seen = now;
            if !tell() {
                return;
            }
        }
    }
}

/// Waits until no event came for a while.
async fn settle(inbox: &mut UnboundedReceiver<()>) {
    let begun = Instant::now();
    while begun.elapsed() < AT_MOST && matches!(timeout(QUIET, inbox.recv()).await, Ok(Some(()))) {}
}

struct Eye {
    dir: PathBuf,
    /// The watcher and the folder it was set on, which may have been replaced since.
    watcher: Option<(RecommendedWatcher, Option<(u64, u64)>)>,
    events: UnboundedSender<()>,
}

impl Eye {
    /// Looks at the files, and makes sure that the next change is seen.
    fn look(&mut self) -> Signature {
        let folder = std::fs::metadata(&self.dir).ok().map(|meta| (meta.dev(), meta.ino()));
        if self.watcher.as_ref().is_none_or(|(_, on)| *on != folder) {
            self.watcher = self.open().map(|watcher| (watcher, folder));
        }
        signature(&self.dir)
    }

    /// A watcher on the folder and on the one above it, where the folder itself may be replaced.
    fn open(&self) -> Option<RecommendedWatcher> {
        let events = self.events.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change, and we read the files ourselves. An error may hide anything.
            if !matches!(event, Ok(notify::Event { kind: EventKind::Access(_), .. })) {
                let _ = events.send(());
            }
        })
        .ok()?;
        let above = self.dir.parent().filter(|above| !above.as_os_str().is_empty());
        // A folder that is not there cannot be watched; the one above tells when it comes.
        for path in [Some(self.dir.as_path()), above].into_iter().flatten() {
            let _ = watcher.watch(path, RecursiveMode::NonRecursive);
        }
        Some(watcher)
    }
}

fn signature(dir: &Path) -> Signature {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let named = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let mut all: Signature = named
        .filter_map(|path| {
            // Through links: what they lead to is what is read.
            let meta: Metadata = std::fs::metadata(&path).ok()?;
            Some((path, meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len()))
        })
        .collect();
    all.sort();
    all
}
