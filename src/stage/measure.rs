//! Counting and hashing what passes, and proving that it is what it should be.

use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::Stage;
use crate::error::{Error, Result};
use crate::model::artifact::hex;
use crate::model::{Inlet, Measured, Outlet};

/// Counts and hashes (SHA-256, FIPS 180-4) what is taken out of an inlet. It works in the thread that takes the block, which then
/// has it in its processor's cache: a thread of its own for each hash cost a twentieth of a backup's processor time.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    seen: Arc<Mutex<(Sha256, u64)>>,
}

impl Meter {
    /// The inlet with a meter on it, which also tells `watch` the size of every block.
    pub fn on(inlet: Inlet, watch: impl Fn(usize) + Send + 'static) -> (Inlet, Self) {
        let meter = Self::default();
        let seen = Arc::clone(&meter.seen);
        let tapped = inlet.tapped(move |block| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.0.update(block);
            seen.1 += block.len() as u64;
            watch(block.len());
        });
        (tapped, meter)
    }

    /// What passed so far.
    pub fn read(&self) -> Measured {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Measured { bytes: seen.1, sha256: hex(seen.0.clone().finalize()) }
    }
}

/// Passes blocks on, and breaks the stream unless it is exactly what it should be.
pub struct Prove {
    expected: Measured,
    what: String,
    watch: Box<dyn Fn(usize) + Send>,
}

impl Prove {
    /// Proves that the stream is `expected`; `what` names it in the error. Tells `watch` the size of every block.
    pub fn new(expected: Measured, what: impl Into<String>, watch: impl Fn(usize) + Send + 'static) -> Self {
        Self { expected, what: what.into(), watch: Box::new(watch) }
    }
}

impl Stage for Prove {
    type Left = ();

    const NAME: &'static str = "prove";

    fn run(self, from: Inlet, mut to: Outlet) -> Result<()> {
        let (mut from, meter) = Meter::on(from, self.watch);
        while let Some(block) = from.next()? {
            to.send(block)?;
        }
        prove(&meter.read(), &self.expected, &self.what)?;
        to.end()
    }
}

/// Compares what was read with what should have been there.
///
/// # Errors
/// They differ; says in what.
fn prove(found: &Measured, expected: &Measured, what: &str) -> Result<()> {
    let damaged = |why: String| {
        Err(Error::failed(format!("{what} is damaged"))
            .because(why)
            .hint("restore from another backup or from a copy; `qbackd verify` tells which are sound"))
    };
    if found.bytes != expected.bytes {
        return damaged(format!("{} bytes where the manifest says {}", found.bytes, expected.bytes));
    }
    if found.sha256 != expected.sha256 {
        return damaged(format!("its SHA-256 is {} where the manifest says {}", found.sha256, expected.sha256));
    }
    Ok(())
}
