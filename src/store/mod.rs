//! Destinations: the one room that talks to OpenDAL.
//!
//! A [`Store`] knows bytes and places, nothing of backups. What it promises beyond OpenDAL: what [`Upload::close`] and
//! [`Store::put`] say is written is on the disk (file and directories synced) with the size the store itself reports, and
//! a small object is never seen half written.

mod errors;
mod layers;
mod local;
mod open;
pub mod options;
pub mod paths;
mod sandbox;
mod upload;

pub use local::Space;
pub use open::{SERVICES, open, open_folder, space};
pub use options::{Access, DestinationOptions};
pub use upload::Upload;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use opendal::Operator;
use tokio::task::JoinHandle;

use self::errors::{explain, explain_io};
use self::local::Local;
use crate::error::{Error, Kind, Result};
use crate::model::Size;
use crate::model::stamp::random_word;

/// An open destination. Clones share everything.
#[derive(Debug, Clone)]
pub struct Store {
    /// As the configuration calls it, or the folder or URL it was opened from.
    label: String,
    operator: Operator,
    local: Option<Local>,
    min_free: options::MinFree,
}

/// Whether an object may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// It must not; the store is asked to refuse, where it can.
    New,
    /// It is replaced.
    Replace,
}

impl Store {
    /// What the destination is called in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Begins to write an object that may be large. It is not visible as complete to anybody before its backup is published.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn upload(&self, path: &str) -> Result<Upload> {
        let writer = self.operator.writer(path).await.map_err(|e| explain(self, "write", path, e))?;
        Ok(Upload::new(self.clone(), path, writer))
    }

    /// Writes a small object whole and durably: on a file system by a temporary file, fsync, rename and fsync of the folders.
    ///
    /// # Errors
    /// It exists and must not, or the store refuses.
    pub async fn put(&self, path: &str, bytes: impl Into<Bytes>, create: Create) -> Result<()> {
        let bytes: Bytes = bytes.into();
        let failed = |e| explain(self, "write", path, e);
        let Some(local) = &self.local else {
            let conditional = create == Create::New && self.operator.info().capability().write_with_if_not_exists;
            let written = self.operator.write_with(path, bytes).if_not_exists(conditional).await;
            return written.map(drop).map_err(failed);
        };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let temporary = format!("{folder}/.{name}.{}", random_word());
        let temporary = temporary.trim_start_matches('/');
        let written = match self.operator.write(temporary, bytes).await {
            Ok(_) => local.rename(temporary, path, create).await,
            Err(e) => Err(failed(e)),
        };
        if written.is_err() {
            // The first error is the one to tell; debris in a backup's folder is swept with it.
            let _ = self.delete(temporary).await;
        }
        written?;
        self.sync(path).await
    }

    /// Begins to bring to the disk what was written of an object so far, where the store is a file system. What goes wrong with
    /// that is told again to the writer's own sync at the end.
    fn begin_sync(&self, path: &str) -> Option<JoinHandle<()>> {
        self.local.as_ref().map(|local| local.begin_sync(path))
    }

    /// Makes the names of an object and of the folders above it durable. Nothing to do where the store is no file system.
    ///
    /// # Errors
    /// The disk says no.
    pub async fn sync(&self, path: &str) -> Result<()> {
        match &self.local {
            Some(local) => local.sync_folders_of(path).await,
            None => Ok(()),
        }
    }

    /// Reads a small object whole; `None` if there is none.
    ///
    /// # Errors
    /// It is larger than `limit` bytes, or the store refuses.
    pub async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let read = async {
            let mut blocks = self.operator.reader(path).await?.into_bytes_stream(..).await?;
            let mut bytes = Vec::new();
            while let Some(block) = blocks.try_next().await? {
                bytes.extend_from_slice(&block);
                if bytes.len() as u64 > limit {
                    break;
                }
            }
            Ok::<_, std::io::Error>(bytes)
        };
        match read.await {
            Ok(bytes) if bytes.len() as u64 > limit => {
                Err(Error::failed(format!("{path} at {} is larger than {}", self.label, Size(limit))))
            }
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(explain_io(self, "read", path, e)),
        }
    }

    /// Streams an object from its beginning.
    ///
    /// # Errors
    /// It is not there, or the store refuses, now or in the middle.
    pub async fn read(&self, path: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        let failed = |e| explain(self, "read", path, e);
        let reader = self.operator.reader(path).await.map_err(failed)?;
        let stream = reader.into_bytes_stream(..).await.map_err(failed)?;
        let (store, path) = (self.clone(), path.to_owned());
        Ok(stream.map_err(move |e| explain_io(&store, "read", &path, e)).boxed())
    }

    /// The size of an object in bytes, as the store says; `None` if there is none.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn size(&self, path: &str) -> Result<Option<u64>> {
        match self.operator.stat(path).await {
            Ok(meta) => Ok(Some(meta.content_length())),
            Err(e) if e.kind() == opendal::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(explain(self, "look at", path, e)),
        }
    }

    /// What lies directly in a folder (`""` is the root): names, folders with a final `/`, in order. An absent folder is empty.
    ///
    /// # Errors
    /// The store refuses; a listing is whole or an error.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.entries(folder, false).await
    }

    /// Every object below a folder, relative to it, in order.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_all(&self, folder: &str) -> Result<Vec<String>> {
        self.entries(folder, true).await
    }

    async fn entries(&self, folder: &str, deep: bool) -> Result<Vec<String>> {
        if let Some(local) = &self.local {
            let mut names = local.list(folder, deep, format!("cannot list {folder} at {}", self.label)).await?;
            names.sort_unstable();
            return Ok(names);
        }
        let entries = match self.operator.list_with(folder).recursive(deep).await {
            Ok(entries) => entries,
            Err(e) if e.kind() == opendal::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(explain(self, "list", folder, e)),
        };
        let below = |path: &str| path.trim_start_matches('/').strip_prefix(folder).map(str::to_owned);
        let mut names: Vec<String> =
            entries.iter().filter_map(|e| below(e.path())).filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Deletes an object or an empty folder. That it is gone already is no error.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn delete(&self, path: &str) -> Result<()> {
        match &self.local {
            Some(local) => local.delete(path, format!("cannot delete {path} at {}", self.label)).await,
            None => self.operator.delete(path).await.map_err(|e| explain(self, "delete", path, e)),
        }
    }

    /// Free and total space, where the destination is a file system.
    ///
    /// # Errors
    /// The file system does not answer.
    pub fn space(&self) -> Result<Option<Space>> {
        self.local.as_ref().map(Local::space).transpose()
    }

    /// Refuses what cannot fit: `bytes` more must leave `min_free`.
    ///
    /// # Errors
    /// They would not; says by how much.
    pub fn has_room_for(&self, bytes: u64) -> Result<()> {
        let Some(space) = self.space()? else { return Ok(()) };
        let keep = self.min_free.of(space.total);
        if space.free >= bytes.saturating_add(keep) {
            return Ok(());
        }
        Err(Error::new(Kind::Failed, format!("{} has no room for this", self.label))
            .because(format!(
                "{} free, {} needed, {} kept free by `min_free`",
                Size(space.free),
                Size(bytes),
                Size(keep)
            ))
            .hint("free some space there, shorten `keep`, or lower `min_free`"))
    }
}
