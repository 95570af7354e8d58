//! A large object on its way to a destination.

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::Store;
use super::errors::explain;
use crate::error::{Error, Result};

/// So many bytes are left to the page cache before the disk is told to begin, so that the last sync has little to wait for, and a
/// large backup does not fill the memory of the machine with pages that are not written.
const SYNC_EVERY: u64 = 32 * 1024 * 1024;

/// An object being written. It must end by [`Upload::close`] or [`Upload::abort`]; one that is only dropped leaves debris.
pub struct Upload {
    store: Store,
    path: String,
    writer: opendal::Writer,
    bytes: u64,
    /// Bytes since the last time the disk was told to begin, and that work if it is not done.
    unsynced: u64,
    syncing: Option<JoinHandle<()>>,
}

impl Upload {
    pub(super) fn new(store: Store, path: &str, writer: opendal::Writer) -> Self {
        Self { store, path: path.to_owned(), writer, bytes: 0, unsynced: 0, syncing: None }
    }

    /// Writes one block.
    ///
    /// # Errors
    /// The store refuses. A failed write is never repeated: the writer's state is unknown. Abort.
    pub async fn write(&mut self, block: Bytes) -> Result<()> {
        self.bytes += block.len() as u64;
        self.unsynced += block.len() as u64;
        self.writer.write(block).await.map_err(|e| explain(&self.store, "write", &self.path, e))?;
        if self.unsynced >= SYNC_EVERY && self.syncing.as_ref().is_none_or(JoinHandle::is_finished) {
            self.syncing = self.store.begin_sync(&self.path);
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Finishes the object: all of it is durable, and the store itself says that it has the size that was written.
    ///
    /// # Errors
    /// The store refuses, or reports another size. What is there then is debris.
    pub async fn close(mut self) -> Result<u64> {
        let closed = self.writer.close().await;
        // A close that timed out and was repeated says that nothing is there, although all is: the size decides.
        let size = self.store.size(&self.path).await;
        match (closed, size) {
            (_, Ok(Some(size))) if size == self.bytes => Ok(size),
            (Err(e), _) => Err(explain(&self.store, "finish", &self.path, e)),
            (Ok(_), Err(e)) => Err(e),
            (Ok(_), Ok(size)) => Err(Error::failed(format!("cannot finish {} at {}", self.path, self.store.label()))
                .because(format!(
                    "{} bytes were written and the store has {}",
                    self.bytes,
                    size.map_or("none".into(), |s| s.to_string())
                ))),
        }
    }

    /// Gives up: what was written is removed. Best effort; what stays is debris that a later sweep removes.
    pub async fn abort(mut self) {
        if self.writer.abort().await.is_err() {
            let _ = self.store.delete(&self.path).await;
        }
    }
}
