//! Counting and hashing what passes, and proving that it is what it should be.

use sha2::{Digest, Sha256};

use super::Stage;
use crate::error::{Error, Result};
use crate::model::artifact::hex;
use crate::model::{Inlet, Measured, Outlet};

/// Passes blocks on unchanged; leaves their number of bytes and SHA-256 (FIPS 180-4).
pub struct Measure {
    expected: Option<(Measured, String)>,
    watch: Box<dyn Fn(usize) + Send>,
}

impl Measure {
    /// Measures, and tells `watch` the size of every block.
    pub fn new(watch: impl Fn(usize) + Send + 'static) -> Self {
        Self { expected: None, watch: Box::new(watch) }
    }

    /// Measures, and breaks the stream unless it is exactly `expected`. `what` names it in the error.
    pub fn proving(expected: Measured, what: impl Into<String>, watch: impl Fn(usize) + Send + 'static) -> Self {
        Self { expected: Some((expected, what.into())), watch: Box::new(watch) }
    }
}

impl Stage for Measure {
    type Left = Measured;

    const NAME: &'static str = "measure";

    fn run(self, mut from: Inlet, mut to: Outlet) -> Result<Measured> {
        let mut hash = Sha256::new();
        let mut bytes = 0u64;
        while let Some(block) = from.next()? {
            hash.update(&block);
            bytes += block.len() as u64;
            (self.watch)(block.len());
            to.send(block)?;
        }
        let found = Measured { bytes, sha256: hex(hash.finalize()) };
        if let Some((expected, what)) = &self.expected {
            prove(&found, expected, what)?;
        }
        to.end()?;
        Ok(found)
    }
}

/// Compares what was read with what should have been there.
///
/// # Errors
/// They differ; says in what.
pub fn prove(found: &Measured, expected: &Measured, what: &str) -> Result<()> {
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
