//! age (age-encryption.org/v1): binary files, encrypted to recipients or to a passphrase.

use std::io::{BufReader, Write};
use std::sync::Arc;

use age::DecryptError;

use super::zstd::{at_end, copy};
use super::{Identities, Recipients, Stage};
use crate::error::{Error, Kind, Result, from_io};
use crate::model::blocks::BLOCK;
use crate::model::{Inlet, Outlet};

/// Encrypts.
#[derive(Debug, Clone)]
pub struct Encrypt {
    /// To whom.
    pub to: Arc<Recipients>,
}

impl Stage for Encrypt {
    type Left = ();

    const NAME: &'static str = "age";

    fn run(self, mut from: Inlet, to: Outlet) -> Result<()> {
        let cannot = |e| from_io("cannot encrypt", e);
        let mut encrypted = self.to.encryptor()?.wrap_output(to).map_err(cannot)?;
        while let Some(block) = from.next()? {
            encrypted.write_all(&block).map_err(cannot)?;
        }
        encrypted.finish().map_err(cannot)?.end()
    }
}

/// Decrypts.
#[derive(Debug, Clone)]
pub struct Decrypt {
    /// With what.
    pub with: Arc<Identities>,
}

impl Stage for Decrypt {
    type Left = ();

    const NAME: &'static str = "unage";

    fn run(self, from: Inlet, mut to: Outlet) -> Result<()> {
        let mut stored = BufReader::with_capacity(BLOCK, from);
        let identities = self.with.load()?;
        let header = age::Decryptor::new_buffered(&mut stored).map_err(explain)?;
        let plain = header.decrypt(identities.iter().map(|identity| &**identity)).map_err(explain)?;
        copy(plain, &mut to).map_err(|e| from_io("cannot decrypt", e))?;
        at_end(stored)?;
        to.end()
    }
}

fn explain(error: DecryptError) -> Error {
    match error {
        DecryptError::NoMatchingKeys => Error::new(Kind::Failed, "none of the identities opens it")
            .hint("give the identity that belongs to one of the backup's recipients with --identity FILE"),
        DecryptError::Io(e) => from_io("cannot decrypt", e),
        DecryptError::KeyDecryptionFailed => Error::failed("the identity itself is encrypted and could not be opened")
            .hint("give its passphrase with --passphrase-file FILE"),
        other => Error::failed("cannot decrypt").because(other.to_string()),
    }
}
