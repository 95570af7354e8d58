//! `RECOVERY.txt`: how a stranger gets the data back with ordinary tools.

use crate::engine::registry::kinds;
use crate::error::Result;
use crate::store::{Create, Store, paths};

const MAX_LEN: u64 = 1024 * 1024;

const HEAD: &str = "\
HOW TO GET THE DATA BACK WITHOUT QBACKD

Each folder NAME/backup/ID/ that holds a manifest.json is a complete backup of the database NAME, taken at the UTC time its ID
begins with. A folder without a manifest.json is not complete; leave it alone.

You need age (https://age-encryption.org), zstd, and the database's own tools. You also need the IDENTITY: the secret key that
belongs to one of the recipients in the manifest. It is not stored here. Whoever ran these backups was asked to keep it
elsewhere: a password manager, a safe, a second machine.

1. Check that the files are whole:

     cd NAME/backup/ID && sha256sum -c SHA256SUMS

2. Open an artifact. Its name says what was done to it, read from the end:

     SOMETHING.zst.age    age -d -i IDENTITY SOMETHING.zst.age | zstd -d > SOMETHING
     SOMETHING.age        age -d -i IDENTITY SOMETHING.age > SOMETHING
     SOMETHING.zst        zstd -d SOMETHING.zst
     SOMETHING            nothing was done to it

   Where the manifest's recipients say `passphrase`, leave out `-i IDENTITY`; age asks for the passphrase.

3. Give SOMETHING to the tool of its engine, which is named in the manifest:
";

/// Writes the text where it is absent or of another version of qbackd.
///
/// # Errors
/// The store refuses.
pub(super) async fn ensure(store: &Store) -> Result<()> {
    let text = text();
    match store.get(paths::RECOVERY, MAX_LEN).await? {
        Some(there) if there == text.as_bytes() => Ok(()),
        _ => store.put(paths::RECOVERY, text, Create::Replace).await,
    }
}

fn text() -> String {
    let mut text = HEAD.to_owned();
    for kind in kinds().iter().filter(|kind| kind.open.is_some()) {
        text.push_str(&format!("\n   {}\n", kind.name));
        for line in kind.recovery.lines() {
            text.push_str(&format!("     {line}\n"));
        }
    }
    text
}
