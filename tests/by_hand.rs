//! Published folders opened with the ordinary tools: age, zstd, tar, sqlite3, sha256sum.
//!
//! Nothing of qbackd takes part in the opening; the commands are the ones that RECOVERY.txt at the destination gives.

use std::path::Path;

use qbackd::model::Secret;
use qbackd::repository::Plain;
use qbackd::stage::{EncryptionOptions, Recipients};
use tempfile::TempDir;

use crate::destination::{fs_store, packing, publish};
use crate::support::bench::Bench;
use crate::support::by_hand::{Opener, check_sums, engine_commands, only_backup, open, shell};
use crate::support::fixture::{FilesFixture, tree_fingerprint};
use crate::support::keys::Keys;

/// Publishes `files` and gives back the folder of the backup.
async fn published(root: &Path, recipients: Option<Recipients>, files: &[(&str, &[u8])]) -> std::path::PathBuf {
    publish(&Plain::new(fs_store(root)), packing(recipients), files).await;
    only_backup(root, "shop")
}

/// A line of 40 bytes, many times over, none the same.
fn dump() -> Vec<u8> {
    (0..60_000u64)
        .flat_map(|i| format!("{i:08} row {:020x}\n", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_encryption_opens_by_the_commands_of_recovery_txt() {
    let keys = Keys::new();
    let identity = keys.identity_file();
    let ssh = identity.with_file_name("ssh.key");
    let ssh_recipient = std::fs::read_to_string(ssh.with_extension("key.pub")).unwrap().trim().to_owned();
    let ssh_recipients = Recipients::from_options(&EncryptionOptions {
        recipients: vec![ssh_recipient],
        ..EncryptionOptions::default()
    });
    let ways = [
        (None, Opener::Nothing, ["a.dump.zst", "b.tar.zst"]),
        (Some(keys.x25519()), Opener::Identity(&identity), ["a.dump.zst.age", "b.tar.zst.age"]),
        (Some(ssh_recipients.unwrap()), Opener::Identity(&ssh), ["a.dump.zst.age", "b.tar.zst.age"]),
        (
            Some(Recipients::Passphrase(Secret::new("correct horse"))),
            Opener::Passphrase("correct horse"),
            ["a.dump.zst.age", "b.tar.zst.age"],
        ),
    ];
    for (recipients, opener, names) in ways {
        let root = TempDir::new().unwrap();
        let content = dump();
        let backup = published(root.path(), recipients, &[("a.dump", &content), ("b.tar", b"small")]).await;
        assert_eq!(check_sums(&backup), names);
        assert!(std::fs::read(open(root.path(), &backup, names[0], &opener)).unwrap() == content);
        assert_eq!(std::fs::read(open(root.path(), &backup, names[1], &opener)).unwrap(), b"small");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found_by_sha256sum_age_and_zstd_alike() {
    let (root, keys) = (TempDir::new().unwrap(), Keys::new());
    let content = dump();
    let backup = published(root.path(), Some(keys.x25519()), &[("a.dump", &content)]).await;
    let file = backup.join("a.dump.zst.age");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let identity = keys.identity_file();
    let fails = |line: &str| shell(&backup, &format!("! ( {line} ) 2>&1"));
    assert!(fails("sha256sum -c SHA256SUMS").contains("a.dump.zst.age: FAILED"));
    fails(&format!("age -d -i '{}' a.dump.zst.age > /dev/null", identity.display()));
    fails(&format!("age -d -i '{}' a.dump.zst.age | zstd -d > /dev/null", identity.display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_and_a_tree_come_out_as_they_went_in() {
    let (root, work, keys) = (TempDir::new().unwrap(), TempDir::new().unwrap(), Keys::new());
    shell(
        work.path(),
        "sqlite3 shop.db \"CREATE TABLE t(id INTEGER PRIMARY KEY, note); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT \
         i+1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, randomblob(50) FROM n;\"
         mkdir -p tree/deep && seq 100000 > tree/deep/numbers && ln -s deep/numbers tree/link && touch -d 2020-02-02 tree/deep
         tar -cf tree.tar tree",
    );
    let files = ["shop.db", "tree.tar"].map(|name| (name, std::fs::read(work.path().join(name)).unwrap()));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let backup = published(root.path(), Some(keys.x25519()), &files).await;

    let identity = keys.identity_file();
    let opener = Opener::Identity(&identity);
    let database = open(root.path(), &backup, "shop.db.zst.age", &opener);
    let rows = "PRAGMA integrity_check; SELECT id, hex(note) FROM t ORDER BY id;";
    let read = |path: &Path| shell(path.parent().unwrap(), &format!("sqlite3 '{}' '{rows}'", path.display()));
    assert!(read(&database).starts_with("ok\n"));
    assert_eq!(read(&database), read(&work.path().join("shop.db")));

    let archive = open(root.path(), &backup, "tree.tar.zst.age", &opener);
    let out = TempDir::new().unwrap();
    shell(out.path(), &format!("tar -xf '{}'", archive.display()));
    shell(out.path(), &format!("diff -r --no-dereference tree '{}/tree'", work.path().display()));
    assert_eq!(shell(out.path(), "date -u -r tree/deep +%F; readlink tree/link"), "2020-02-02\ndeep/numbers\n");
}

/// All of RECOVERY.txt, from the first step to the last: what a stranger does with a disk and a key.
#[test]
fn a_tree_comes_back_whole_by_the_lines_of_recovery_txt_alone() {
    let bench = Bench::<FilesFixture>::new();
    bench.ok(&["backup", "shop"]);
    let backup = only_backup(&bench.root(), "shop");
    let recovery = std::fs::read_to_string(bench.root().join("RECOVERY.txt")).unwrap();
    let id = backup.file_name().unwrap().to_str().unwrap();
    let first = recovery.lines().find(|line| line.contains("sha256sum -c")).unwrap();
    shell(&bench.root(), &first.replace("NAME", "shop").replace("ID", id));

    let identity = bench.keys.identity_file();
    let archive = open(&bench.root(), &backup, "shop.tar.zst.age", &Opener::Identity(&identity));
    assert_eq!(archive, backup.join("shop.tar"));
    let commands = engine_commands(&recovery, "files", "tar ");
    shell(&backup, &commands.replace("NAME", "shop"));
    let restored = backup.join("restored").join(bench.fixture.tree.strip_prefix("/").unwrap());
    assert_eq!(tree_fingerprint(&restored), bench.before());
}
