//! The repository's format at a destination: round trips, damage, strangers, sweeping.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use qbackd::error::Kind;
use qbackd::model::manifest::{FORMAT, Manifest, Source};
use qbackd::model::{ArtifactSpec, BackupId, BackupRef, BackupType, FileName, Inlet, Method, Progress, SecretRef};
use qbackd::repository::{Draft, Packing, Plain, Repository};
use qbackd::stage::{CompressionOptions, EncryptionOptions, Identities, Recipients};
use qbackd::store::options::OptionValue;
use qbackd::store::{Access, DestinationOptions, Store, open};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::keys::Keys;

pub fn fs_store(root: &Path) -> Store {
    let options = DestinationOptions {
        service: "fs".into(),
        service_options: [("root".to_owned(), OptionValue::Text(root.to_str().unwrap().into()))].into(),
        min_free: "0%".parse().unwrap(),
        ..DestinationOptions::default()
    };
    open("local", &options, Access::Write).unwrap()
}

fn memory_store() -> Store {
    open("memory", &DestinationOptions { service: "memory".into(), ..DestinationOptions::default() }, Access::Write)
        .unwrap()
}

fn new_id() -> BackupRef {
    BackupRef { database: "shop".parse().unwrap(), id: BackupId::new(jiff::Timestamp::now(), BackupType::Full) }
}

pub fn packing(recipients: Option<Recipients>) -> Packing {
    Packing { compression: CompressionOptions::Zstd(3), workers: 2, recipients: recipients.map(Arc::new) }
}

fn name(text: &str) -> FileName {
    text.parse().unwrap()
}

/// Two MiB that compress a little.
fn content(seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(2 << 20);
    while bytes.len() < 2 << 20 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        bytes.extend_from_slice(format!("{:x} row of table {}\n", state >> 20, state >> 61).as_bytes());
    }
    bytes
}

async fn put(draft: &dyn Draft, name_: &str, bytes: &[u8]) {
    let mut outlet = draft.open(ArtifactSpec::new(name(name_))).await.unwrap();
    for block in bytes.chunks(300_000) {
        outlet.send_async(Bytes::copy_from_slice(block)).await.unwrap();
    }
    outlet.end_async().await.unwrap();
}

pub async fn publish(repository: &Plain, packing: Packing, files: &[(&str, &[u8])]) -> Manifest {
    let at = new_id();
    let recipients = packing.recipients.as_ref().map(|r| r.listed()).unwrap_or_default();
    let draft = repository.begin(&at, packing, None, &Progress::default()).await.unwrap();
    futures::future::join_all(files.iter().map(|(name, bytes)| put(&*draft, name, bytes))).await;
    let manifest = manifest_of(&at, draft.artifacts().await.unwrap(), recipients);
    draft.publish(&manifest, &CancellationToken::new()).await.unwrap();
    manifest
}

fn manifest_of(at: &BackupRef, artifacts: Vec<qbackd::model::Artifact>, recipients: Vec<String>) -> Manifest {
    Manifest {
        format: FORMAT,
        qbackd: "test".into(),
        id: at.id.clone(),
        database: at.database.clone(),
        engine: "command".into(),
        method: Method::Logical,
        host: "here".into(),
        source: Source::default(),
        tools: vec![],
        kind: BackupType::Full,
        parent: None,
        chain: at.id.clone(),
        started: at.id.started(),
        finished: jiff::Timestamp::now(),
        log: None,
        objects: vec![],
        artifacts,
        recipients,
        notes: vec![],
        initiated_by: "test".into(),
    }
}

async fn drain(mut inlet: Inlet) -> Result<Vec<u8>, qbackd::error::Error> {
    let mut all = Vec::new();
    while let Some(block) = inlet.next_async().await? {
        all.extend_from_slice(&block);
    }
    Ok(all)
}

async fn read(
    repository: &Plain,
    manifest: &Manifest,
    keys: &Arc<Identities>,
    artifact: &str,
) -> Result<Vec<u8>, qbackd::error::Error> {
    let reader = repository.read(vec![manifest.clone()], keys.clone(), &Progress::default());
    let inlet = reader.open(&manifest.id, &name(artifact)).await?;
    let bytes = drain(inlet).await;
    reader.verdict().await?;
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_read_back_from_fs_and_memory_with_every_kind_of_recipient() {
    let keys = Keys::new();
    let dir = TempDir::new().unwrap();
    for (n, store) in [fs_store(&dir.path().join("a")), memory_store()].into_iter().enumerate() {
        let repository = Plain::new(store);
        for (recipients, identities) in keys.all() {
            let (a, b) = (content(n as u64), content(99));
            let manifest = publish(&repository, packing(recipients), &[("a.dump", &a), ("b.tar", &b)]).await;
            assert_eq!(read(&repository, &manifest, &identities, "a.dump").await.unwrap(), a);
            assert_eq!(read(&repository, &manifest, &identities, "b.tar").await.unwrap(), b);
            assert!(manifest.stored_bytes() < manifest.plain_bytes());
        }
        let listing = repository.list(None).await.unwrap();
        assert_eq!(listing.backups.len(), keys.all().len());
        assert!(listing.damaged.is_empty() && listing.unfinished.is_empty() && listing.strangers.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_stops_half_way_leaves_nothing_and_closes_nothing() {
    let dir = TempDir::new().unwrap();
    let repository = Plain::new(fs_store(dir.path()));
    let at = new_id();
    let draft = repository.begin(&at, packing(None), None, &Progress::default()).await.unwrap();
    put(&*draft, "whole.dump", &content(1)).await;
    let mut outlet = draft.open(ArtifactSpec::new(name("half.dump"))).await.unwrap();
    outlet.send_async(Bytes::from(content(2))).await.unwrap();
    drop(outlet);
    assert!(draft.artifacts().await.unwrap_err().is_consequence(), "the cause is the engine's to tell");
    draft.discard().await;
    let left: Vec<_> = walkdir::WalkDir::new(dir.path().join("shop"))
        .into_iter()
        .flatten()
        .filter(|e| e.file_type().is_file())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(repository.list(None).await.unwrap().backups.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_anywhere_in_an_artifact_is_found_before_the_end_of_the_stream() {
    let keys = Keys::new();
    let dir = TempDir::new().unwrap();
    let repository = Plain::new(fs_store(dir.path()));
    for (recipients, identities) in keys.all().into_iter().take(2) {
        let manifest = publish(&repository, packing(recipients), &[("a.dump", &content(7))]).await;
        let file =
            dir.path().join("shop/backup").join(manifest.id.as_str()).join(manifest.artifacts[0].location.as_str());
        let sound = std::fs::read(&file).unwrap();
        for position in (0..16).map(|n| n * (sound.len() - 1) / 15) {
            let mut damaged = sound.clone();
            damaged[position] ^= 1;
            std::fs::write(&file, &damaged).unwrap();
            let error = read(&repository, &manifest, &identities, "a.dump").await.unwrap_err();
            assert!(!error.is_consequence(), "{error}");
            let stored = repository.stored(&manifest, &manifest.artifacts[0], &Progress::default()).await.unwrap();
            let error = stored.prove().await.unwrap_err();
            assert!(error.line().contains("SHA-256") && error.line().contains("a.dump.zst"), "{error}");
        }
        for (shorter, why) in [(sound.len() - 1, "bytes"), (0, "bytes")] {
            std::fs::write(&file, &sound[..shorter]).unwrap();
            let error = read(&repository, &manifest, &identities, "a.dump").await.unwrap_err();
            assert!(error.line().contains(why) && error.remedy().is_some(), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(read(&repository, &manifest, &identities, "a.dump").await.unwrap_err().line().contains("is missing"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_enough_is_no_error_but_one_that_met_damage_is() {
    let dir = TempDir::new().unwrap();
    let repository = Plain::new(fs_store(dir.path()));
    let manifest = publish(&repository, packing(None), &[("a.dump", &content(7))]).await;
    let reader = repository.read(vec![manifest.clone()], Arc::default(), &Progress::default());
    let mut inlet = reader.open(&manifest.id, &name("a.dump")).await.unwrap();
    assert!(inlet.next_async().await.unwrap().is_some());
    drop(inlet);
    reader.verdict().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_no_identity_opens_says_whose_it_is() {
    let keys = Keys::new();
    let dir = TempDir::new().unwrap();
    let repository = Plain::new(fs_store(dir.path()));
    let manifest = publish(&repository, packing(Some(keys.x25519())), &[("a.dump", &content(7))]).await;
    let none = read(&repository, &manifest, &Arc::default(), "a.dump").await.unwrap_err();
    assert_eq!(none.kind(), Kind::Usage);
    assert!(none.line().contains(&manifest.recipients[0]) && none.remedy().unwrap().contains("--identity"), "{none}");
    let wrong = read(&repository, &manifest, &Keys::new().x25519_identity(), "a.dump").await.unwrap_err();
    assert!(wrong.line().contains("none of the identities opens it"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_cut_edited_or_newer_is_damaged_and_hides_no_other() {
    let dir = TempDir::new().unwrap();
    let repository = Plain::new(fs_store(dir.path()));
    let manifest = publish(&repository, packing(None), &[("a.dump", b"rows")]).await;
    let sound = publish(&repository, packing(None), &[("a.dump", b"rows")]).await;
    let file = dir.path().join("shop/backup").join(manifest.id.as_str()).join("manifest.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let climbing = text.replace("a.dump.zst", "../../../etc/passwd");
    let absolute = text.replace("a.dump.zst", "/etc/passwd");
    let reserved = text.replace("a.dump.zst", "SHA256SUMS");
    let elsewhere = text.replace("\"shop\"", "\"blog\"");
    let unknown = text.replace("\"engine\"", "\"motor\": 1, \"engine\"");
    for bad in [&text[..text.len() / 2], "", "{}", "[]", &climbing, &absolute, &reserved, &elsewhere, &unknown] {
        std::fs::write(&file, bad).unwrap();
        let listing = repository.list(None).await.unwrap();
        assert_eq!(listing.backups, [sound.clone()], "for {bad}");
        assert_eq!(listing.damaged.len(), 1, "for {bad}");
        assert_eq!(listing.damaged[0].1.kind(), Kind::Failed, "for {bad}");
    }
    std::fs::write(&file, text.replace("\"format\": 1", "\"format\": 2, \"more\": {}")).unwrap();
    let newer = repository.manifest(&manifest.reference()).await.unwrap_err();
    assert_eq!((newer.kind(), newer.exit_code()), (Kind::Unavailable, 69));
    assert!(newer.remedy().unwrap().contains("newer qbackd"), "{newer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_of_a_newer_format_is_not_written() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("qbackd.json"), r#"{"format":2,"repository":"x","created":"2030-01-01T00:00:00Z"}"#)
        .unwrap();
    let repository = Plain::new(fs_store(dir.path()));
    let error = repository.begin(&new_id(), packing(None), None, &Progress::default()).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeping_takes_debris_and_leaves_backups_and_strangers() {
    let dir = TempDir::new().unwrap();
    let repository = Plain::new(fs_store(dir.path()));
    let manifest = publish(&repository, packing(None), &[("a.dump", b"rows")]).await;
    let dead = new_id();
    let folder = dir.path().join("shop/backup").join(dead.id.as_str());
    std::fs::create_dir_all(folder.join("a person's folder")).unwrap();
    std::fs::write(folder.join("a person's folder/note"), "mine").unwrap();
    for debris in ["a.dump.zst.age", "SHA256SUMS", ".manifest.json.k3f9x2ab"] {
        std::fs::write(folder.join(debris), "x").unwrap();
    }
    std::fs::write(dir.path().join("shop/backup/README"), "mine").unwrap();

    let listing = repository.list(None).await.unwrap();
    assert_eq!(listing.unfinished, [dead.clone()]);
    assert_eq!(listing.strangers, ["shop/backup/README"]);
    assert!(repository.sweep(&dead).await.unwrap());
    assert_eq!(std::fs::read_to_string(folder.join("a person's folder/note")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    assert!(repository.sweep(&manifest.reference()).await.unwrap_err().line().contains("is published"));
    assert_eq!(repository.list(None).await.unwrap().backups, [manifest.clone()]);

    repository.delete(&manifest.reference()).await.unwrap();
    assert!(!dir.path().join("shop/backup").join(manifest.id.as_str()).exists());
    assert_eq!(repository.delete(&manifest.reference()).await.unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn a_passphrase_reference_is_resolved_only_when_it_is_used() {
    let options =
        EncryptionOptions { passphrase: Some(SecretRef::Env("QBACKD_NO_SUCH_VARIABLE".into())), ..Default::default() };
    let error = Recipients::from_options(&options).unwrap_err();
    assert_eq!(error.kind(), Kind::Configuration);
    assert!(error.line().contains("QBACKD_NO_SUCH_VARIABLE"), "{error}");
}
