//! Work that blocks for long (SQLite, walks over trees) on threads of its own, stopped and awaited like everything else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Explain, Result};

/// How often a library is told to interrupt while its thread has not come back yet: a call may just begin when the first
/// interruption arrives, and miss it.
const AGAIN: Duration = Duration::from_millis(100);

type Hook = Box<dyn Fn() + Send>;

/// What tells a thread to stop.
#[derive(Clone)]
pub struct Stop {
    token: CancellationToken,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl Stop {
    /// Returns early out of work that should stop.
    ///
    /// # Errors
    /// [`Kind::Interrupted`](crate::error::Kind::Interrupted) once the run was cancelled or forgotten.
    pub fn check(&self) -> Result<()> {
        if self.token.is_cancelled() { Err(Error::interrupted()) } else { Ok(()) }
    }

    /// Calls `interrupt` when the work should stop, from another thread; for a library that blocks.
    pub fn interrupts(&self, interrupt: impl Fn() + Send + 'static) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(interrupt));
    }

    fn now(&self) {
        self.token.cancel();
        if let Some(interrupt) = &*self.hook.lock().unwrap_or_else(PoisonError::into_inner) {
            interrupt();
        }
    }
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.now();
    }
}

/// Runs `work` on a thread called `name` (at most 15 bytes show) and waits for it, after a cancellation too, so that
/// nothing is left at work behind the caller's back. A caller that is itself dropped still stops the thread.
///
/// # Errors
/// What `work` returns; [`Kind::Interrupted`](crate::error::Kind::Interrupted) for any failure after `cancel` fired.
pub async fn on_thread<T: Send + 'static>(
    name: &str,
    cancel: &CancellationToken,
    work: impl FnOnce(&Stop) -> Result<T> + Send + 'static,
) -> Result<T> {
    let stop = Stop { token: cancel.child_token(), hook: Arc::default() };
    let (sender, mut result) = oneshot::channel();
    let told = stop.clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Nobody listens any more if the caller was dropped.
            let _ = sender.send(work(&told));
        })
        .explain(|| "cannot start a thread")?;
    let guard = StopOnDrop(stop);
    let result = loop {
        tokio::select! {
            result = &mut result => break result,
            () = interrupted(cancel) => guard.0.now(),
        }
    };
    match result {
        Ok(Err(_)) if cancel.is_cancelled() => Err(Error::interrupted()),
        Ok(result) => result,
        Err(_) => Err(Error::failed(format!("the thread `{name}` broke down"))
            .hint("this is a defect of qbackd; its panic is in the journal")),
    }
}

async fn interrupted(cancel: &CancellationToken) {
    if cancel.is_cancelled() {
        tokio::time::sleep(AGAIN).await;
    }
    cancel.cancelled().await;
}
