//! The plain format: ordinary files that `age`, `zstd` and the engine's own tool open.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};

use super::draft::PlainDraft;
use super::reading::{Reading, fetch};
use super::sweep::remove_unpublished;
use super::{Draft, Listing, Packing, Reader, Repository, Stored, header, recovery};
use crate::error::{Error, Kind, Result};
use crate::model::manifest::MAX_LEN;
use crate::model::{Artifact, BackupRef, Manifest, Name, Progress, Step};
use crate::stage::Identities;
use crate::store::{Store, paths};

/// Manifests read at the same time.
const PARALLEL: usize = 16;

/// A destination in the plain format.
pub struct Plain {
    store: Store,
}

impl Plain {
    /// The format over a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    async fn databases(&self) -> Result<Vec<Name>> {
        let entries = self.store.list("").await?;
        Ok(entries.iter().filter_map(|entry| entry.strip_suffix('/')?.parse().ok()).collect())
    }
}

#[async_trait]
impl Repository for Plain {
    fn label(&self) -> &str {
        self.store.label()
    }

    async fn begin(
        &self,
        at: &BackupRef,
        packing: Packing,
        estimate: Option<u64>,
        progress: &Progress,
    ) -> Result<Box<dyn Draft>> {
        self.store.has_room_for(estimate.unwrap_or(0))?;
        header::ensure(&self.store).await?;
        recovery::ensure(&self.store).await?;
        Step::Prepared.reached();
        Ok(Box::new(PlainDraft::new(self.store.clone(), at.clone(), packing, progress.clone())))
    }

    async fn list(&self, database: Option<&Name>) -> Result<Listing> {
        let databases = match database {
            Some(name) => vec![name.clone()],
            None => self.databases().await?,
        };
        let mut listing = Listing::default();
        let mut found = Vec::new();
        for database in databases {
            let folder = paths::backups(&database);
            for entry in self.store.list(&folder).await? {
                match paths::backup_id(&entry) {
                    Some(id) => found.push(BackupRef { database: database.clone(), id }),
                    None => listing.strangers.push(format!("{folder}{entry}")),
                }
            }
        }
        let read = |at: BackupRef| async move {
            let json = self.store.get(&paths::manifest(&at), MAX_LEN).await?;
            Ok::<_, Error>((json.map(|json| Manifest::parse(&json, &at)), at))
        };
        let manifests: Vec<_> = stream::iter(found).map(read).buffered(PARALLEL).try_collect().await?;
        for (manifest, at) in manifests {
            match manifest {
                Some(Ok(manifest)) => listing.backups.push(manifest),
                Some(Err(error)) => listing.damaged.push((at, error)),
                None => listing.unfinished.push(at),
            }
        }
        listing.backups.sort_by(|a, b| a.when().cmp(&b.when()));
        Ok(listing)
    }

    async fn manifest(&self, at: &BackupRef) -> Result<Manifest> {
        match self.store.get(&paths::manifest(at), MAX_LEN).await? {
            Some(json) => Manifest::parse(&json, at),
            None => Err(Error::new(Kind::NotFound, format!("there is no backup {at} at {}", self.label()))
                .hint(format!("`qbackd list {}` shows what there is", at.database))),
        }
    }

    fn read(&self, chain: Vec<Manifest>, keys: Arc<Identities>, progress: &Progress) -> Box<dyn Reader> {
        Box::new(Reading::new(self.store.clone(), chain, keys, progress.clone()))
    }

    async fn stored(&self, of: &Manifest, artifact: &Artifact, progress: &Progress) -> Result<Stored> {
        fetch(&self.store, &of.reference(), artifact, progress).await
    }

    async fn sweep(&self, at: &BackupRef) -> Result<bool> {
        remove_unpublished(&self.store, at).await
    }

    async fn delete(&self, at: &BackupRef) -> Result<()> {
        header::known(&self.store).await?;
        let manifest = paths::manifest(at);
        if self.store.size(&manifest).await?.is_none() {
            return Err(Error::new(Kind::NotFound, format!("there is no backup {at} at {}", self.label())));
        }
        self.store.delete(&manifest).await?;
        self.store.sync(&manifest).await?;
        remove_unpublished(&self.store, at).await.map(drop)
    }
}
