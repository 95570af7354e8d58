//! Proving a stored backup: its checksums, its content, or by restoring it beside.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::context::Given;
use super::limits::unless_cancelled;
use super::recorded::{Account, record_refusal, recorded};
use super::restore::prove_stored;
use super::scratch::Scratch;
use super::{Context, Place, Wanted};
use crate::engine::{self, RestoreRequest};
use crate::error::{Error, Result};
use crate::history::{Ending, NewRun};
use crate::model::{Manifest, Outcome, Progress, RunKind, Size};
use crate::repository::{Plain, Repository, settled};

/// How much is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every stored byte is what the manifest says. Needs no key.
    Checksum,
    /// All of it is decrypted, decompressed and parsed by the engine's own tool.
    Decode,
    /// It is restored beside and checked there.
    Restore,
}

/// A backup that was proven.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// Which.
    pub backup: String,
    /// Where.
    pub at: String,
    /// How far.
    pub level: Level,
    /// One sentence a check.
    pub checks: Vec<String>,
}

impl Account for Proof {
    fn account(&self) -> Ending {
        Ending {
            backup: self.backup.rsplit_once('/').and_then(|(_, id)| id.parse().ok()),
            notes: self.checks.clone(),
            ..Ending::new(Outcome::Succeeded)
        }
    }
}

/// Proves one backup to `level`.
///
/// # Errors
/// It is not sound, or there is no key for the level.
pub async fn verify(
    context: &Context,
    from: Option<&Place>,
    wanted: &Wanted,
    level: Level,
    keys: &Given,
    progress: &Progress,
) -> Result<Proof> {
    let (repository, manifest, listing) = match context.find(from, wanted).await {
        Ok(found) => found,
        Err(e) => {
            record_refusal(context, RunKind::Verify, from, wanted, &e)?;
            return Err(e);
        }
    };
    let at = manifest.reference();
    let new = NewRun {
        id: context.run.clone(),
        kind: RunKind::Verify,
        database: at.database.clone(),
        destinations: vec![repository.label().to_owned()],
        backup: Some(at.id.clone()),
        initiated_by: context.initiated_by.clone(),
        due: None,
        attempt: None,
    };
    recorded(context, new, None, |_| async {
        let proven = async {
            let chain = listing.chain(&manifest)?;
            let work = prove(context, &repository, chain, level, keys, progress);
            let checks = unless_cancelled(&context.cancel, work).await?;
            Ok(Proof { backup: at.to_string(), at: repository.label().to_owned(), level, checks })
        };
        proven.await.map_err(|e: Error| e.during(format!("{at} is not proven")))
    })
    .await
}

async fn prove(
    context: &Context,
    repository: &Plain,
    chain: Vec<Manifest>,
    level: Level,
    keys: &Given,
    progress: &Progress,
) -> Result<Vec<String>> {
    let stored: u64 = chain.iter().map(Manifest::stored_bytes).sum();
    let files: usize = chain.iter().map(|m| m.artifacts.len()).sum();
    if level == Level::Checksum {
        progress.phase("checking the stored files");
        prove_stored(repository, &chain, progress).await?;
        return Ok(vec![format!("stored files: {files}, {}: sizes and SHA-256 as in the manifest", Size(stored))]);
    }
    let Some(manifest) = chain.last().cloned() else { return Err(Error::failed("there is nothing to prove")) };
    let engine = context.engine_for(&manifest)?;
    let scratch = Scratch::anywhere("verify")?;
    let stop = CancellationToken::new();
    let work = engine::Run {
        database: manifest.database.clone(),
        scratch: scratch.path(),
        cancel: stop.clone(),
        progress: progress.clone(),
    };
    let reader = repository.read(chain, context.identities(keys)?, progress);
    progress.expect(manifest.plain_bytes());
    progress.phase("reading all of it");
    let checks = match level {
        Level::Restore => {
            let target = scratch.path().join("restored");
            let request = RestoreRequest { to: Some(target.display().to_string()), ..RestoreRequest::default() };
            engine.restore(reader.source(), &request, &work).await.map(|restored| restored.checks)
        }
        _ => engine.parse(reader.source(), &work).await.map(|parsed| parsed.checks),
    };
    let checks = settled(checks, reader.verdict().await)?;
    let mut all = vec![format!(
        "stored files: {files}, {}: sizes and SHA-256 as in the manifest, before and after decoding",
        Size(stored)
    )];
    all.extend(checks);
    Ok(all)
}
