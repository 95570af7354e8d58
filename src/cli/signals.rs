//! Ctrl-C and SIGTERM: the first asks the work to stop, the second ends the program.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output;
use crate::error::{Error, Kind, Result, from_io};

/// The number of the signal that asked to stop; 0: none did.
static ASKED: AtomicU8 = AtomicU8::new(0);

const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;

/// Runs `work` to its end. The token it gets is cancelled by the first Ctrl-C or SIGTERM.
///
/// # Errors
/// What the work returns, or that it cannot be started.
pub fn block_on<T, W: Future<Output = Result<T>>>(work: impl FnOnce(CancellationToken) -> W) -> Result<T> {
    run(work, "stopping; once more to stop at once")
}

/// The same for work that ends at once when it is asked to, since it only looks.
///
/// # Errors
/// As [`block_on`].
pub(super) fn block_on_looking<T, W: Future<Output = Result<T>>>(
    work: impl FnOnce(CancellationToken) -> W,
) -> Result<T> {
    run(work, "")
}

fn run<T, W: Future<Output = Result<T>>>(work: impl FnOnce(CancellationToken) -> W, said: &'static str) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| from_io("cannot start the threads of the program", e))?;
    let done = runtime.block_on(async {
        let cancel = CancellationToken::new();
        let listen = |kind| signal(kind).map_err(|e| from_io("cannot listen for signals", e));
        let (interrupt, terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        tokio::spawn(obey(interrupt, terminate, cancel.clone(), said));
        work(cancel).await
    });
    // What still blocks a thread has nothing to add to the result.
    runtime.shutdown_background();
    done
}

async fn obey(mut interrupt: Signal, mut terminate: Signal, cancel: CancellationToken, said: &str) {
    loop {
        let number = tokio::select! {
            Some(()) = interrupt.recv() => SIGINT,
            Some(()) = terminate.recv() => SIGTERM,
            else => return,
        };
        if ASKED.swap(number, Relaxed) != 0 {
            #[expect(clippy::exit, clippy::disallowed_methods, reason = "it is the way out when cleaning up hangs")]
            std::process::exit(i32::from(128 + number));
        }
        cancel.cancel();
        if !said.is_empty() {
            output::tell(said);
        }
    }
}

/// The exit code for an error; work that was interrupted ends as the signal would have ended it.
pub(super) fn exit_code(error: &Error) -> u8 {
    match (error.kind(), ASKED.load(Relaxed)) {
        (Kind::Interrupted, number) if number != 0 => 128 + number,
        _ => error.exit_code(),
    }
}
