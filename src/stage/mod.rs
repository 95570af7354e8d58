//! Stages of the pipeline: zstd, age, and the proof that a stream is what it should be. One shape, each in a thread of its own.
//! Counting and hashing are no stage of their own: a [`Meter`] does them in the thread that takes a block.
//!
//! Stages are strung together by [`spawn`]: the inlet of one is what the one before hands on. A stage ends its outlet only
//! after its own inlet ended properly and its own work is finished; so a stream that breaks anywhere is broken everywhere
//! behind that point, and nothing is ever closed over half of it.

pub mod age;
pub mod keys;
pub mod measure;
pub mod options;
pub mod zstd;

pub use age::{Decrypt, Encrypt};
pub use keys::{Identities, Recipients};
pub use measure::{Meter, Prove};
pub use options::{CompressionOptions, EncryptionOptions};
pub use zstd::{Compress, Decompress};

use tokio::sync::oneshot;

use crate::error::{DEFECT, Error, Result};
use crate::model::{Inlet, Outlet, pipe};

/// One part of a pipeline.
pub trait Stage: Send + 'static {
    /// What the stage leaves when the stream ended well.
    type Left: Send + 'static;

    /// The name of its thread, at most 15 bytes (pthread_setname_np(3)).
    const NAME: &'static str;

    /// Takes the whole of `from`, hands on what it makes of it, ends `to`.
    ///
    /// # Errors
    /// Its own failure, or a consequence of somebody else's.
    fn run(self, from: Inlet, to: Outlet) -> Result<Self::Left>;
}

/// A stage at work.
#[derive(Debug)]
pub struct Running<T> {
    left: oneshot::Receiver<Result<T>>,
    name: &'static str,
}

/// Starts a stage behind `from`.
///
/// # Errors
/// The system has no thread left.
pub fn spawn<S: Stage>(stage: S, from: Inlet) -> Result<(Inlet, Running<S::Left>)> {
    let (outlet, inlet) = pipe();
    let (tell, left) = oneshot::channel();
    std::thread::Builder::new()
        .name(S::NAME.into())
        .spawn(move || {
            // Nobody listens any more if the run was cancelled; then the result does not matter.
            let _ = tell.send(stage.run(from, outlet));
        })
        .map_err(|e| Error::failed(format!("cannot start the {} stage", S::NAME)).because(e))?;
    Ok((inlet, Running { left, name: S::NAME }))
}

impl<T> Running<T> {
    /// What the stage left.
    ///
    /// # Errors
    /// The stage's own.
    pub async fn left(self) -> Result<T> {
        match self.left.await {
            Ok(result) => result,
            Err(_) => Err(Error::failed(format!("the {} stage panicked", self.name)).hint(DEFECT)),
        }
    }
}
