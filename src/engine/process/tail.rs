//! The last lines of a child's stderr.

use std::io::PipeReader;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::lines::{LONGEST, Lines, Listener, clean};
use crate::error::{Explain, Result};

/// How much of a child's stderr is kept, in bytes.
const TAIL: usize = 16 * 1024;
/// How long the last words on stderr are awaited once the child has ended: a process it left behind may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What a child says, read all the time so that the child never blocks on it.
pub(super) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Tail {
    pub(super) fn follow(pipe: PipeReader, listener: Option<Listener>) -> Result<Self> {
        let mut pipe = pipe::Receiver::from_owned_fd(pipe.into()).explain(|| "cannot watch a pipe")?;
        let kept = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&kept);
        let reader = tokio::spawn(async move {
            let mut lines = listener.map(Lines::new);
            let mut piece = vec![0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut piece).await {
                if let Some(lines) = &mut lines {
                    lines.push(&piece[..count]);
                }
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&piece[..count]);
                // Twice the length before it is cut: the cut moves the rest.
                if kept.len() > 2 * TAIL {
                    let cut = kept.len() - TAIL;
                    kept.drain(..cut);
                }
            }
        });
        Ok(Self { kept, reader })
    }

    /// What the child said last, on one line, without control characters; waits for the end of the pipe, but not for long.
    pub(super) async fn last_words(&mut self) -> Option<String> {
        let lines = self.lines().await;
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// The last line the child said, in the same way.
    pub(super) async fn last_line(&mut self) -> Option<String> {
        let mut last = self.lines().await.pop()?;
        last.truncate(last.floor_char_boundary(LONGEST));
        Some(last)
    }

    async fn lines(&mut self) -> Vec<String> {
        let _ = timeout(LAST_WORDS, &mut self.reader).await;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept[kept.len().saturating_sub(TAIL)..]);
        text.lines().map(clean).filter(|line| !line.is_empty()).collect()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
