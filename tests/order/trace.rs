//! What strace(1) wrote, as what was done to which file, in the order in which the calls ended.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A call that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Bytes were written to a file.
    Write(PathBuf),
    /// A file or folder was synced.
    Sync(PathBuf),
    /// A name was changed.
    Rename(PathBuf, PathBuf),
    /// A name was removed.
    Unlink(PathBuf),
    /// A file was opened to be made or cut to nothing.
    Create(PathBuf),
}

/// All of them.
#[derive(Debug)]
pub struct Trace {
    /// In the order in which the calls ended.
    pub acts: Vec<Act>,
    /// How many acts had ended when each began: a sync that began before a write had ended may not have seen it.
    pub seen: Vec<usize>,
}

impl Trace {
    /// Reads the output of `strace --follow-forks --decode-fds=path`.
    ///
    /// A call during which another thread made one stands on two lines, `… <unfinished ...>` and `<... name resumed>…`; the two
    /// are joined, and count when the call ended.
    pub fn parse(text: &str) -> Self {
        let mut begun: HashMap<&str, (String, usize)> = HashMap::new();
        let (mut acts, mut seen) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let Some((pid, rest)) = line.trim_start().split_once(' ') else { continue };
            let rest = rest.trim_start();
            if let Some(head) = rest.strip_suffix("<unfinished ...>") {
                begun.insert(pid, (head.trim_end().to_owned(), acts.len()));
                continue;
            }
            let (call, when) = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
                Some((name, tail)) => {
                    let (head, when) =
                        begun.remove(pid).unwrap_or_else(|| panic!("{name} of {pid} was resumed and never begun"));
                    (format!("{head}{tail}"), when)
                }
                None => (rest.to_owned(), acts.len()),
            };
            if let Some(act) = act(&call) {
                acts.push(act);
                seen.push(when);
            }
        }
        Self { acts, seen }
    }

    /// Where the first act after `from` is that `is` describes.
    pub fn first(&self, from: usize, is: impl Fn(&Act) -> bool) -> Option<usize> {
        (from..self.acts.len()).find(|n| is(&self.acts[*n]))
    }

    /// Where the last such act before `until` is.
    pub fn last(&self, until: usize, is: impl Fn(&Act) -> bool) -> Option<usize> {
        (0..until).rev().find(|n| is(&self.acts[*n]))
    }
}

/// What a call did, if it succeeded and did anything to a file.
fn act(call: &str) -> Option<Act> {
    let (name, rest) = call.split_once('(')?;
    let (_, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let paths = quoted(rest);
    let path = |n: usize| paths.get(n).map(PathBuf::from);
    match name {
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" => Some(Act::Write(descriptor(rest)?)),
        "fsync" | "fdatasync" => Some(Act::Sync(descriptor(rest)?)),
        "rename" | "renameat" | "renameat2" => Some(Act::Rename(path(0)?, path(1)?)),
        "unlink" | "unlinkat" | "rmdir" => Some(Act::Unlink(path(0)?)),
        "openat" if rest.contains("O_CREAT") || rest.contains("O_TRUNC") => Some(Act::Create(path(0)?)),
        _ => None,
    }
}

/// The path of the descriptor that is the first argument: `9</srv/a>`.
fn descriptor(rest: &str) -> Option<PathBuf> {
    let (number, after) = rest.split_once('<')?;
    let (path, _) = after.split_once('>')?;
    number.bytes().all(|b| b.is_ascii_digit()).then(|| Path::new(path.trim_end_matches("(deleted)")).to_owned())
}

/// The texts in quotes, which in our paths hold no quote.
fn quoted(rest: &str) -> Vec<String> {
    rest.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}
