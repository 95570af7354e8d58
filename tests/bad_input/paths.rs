//! Paths that climb out: names in archives, links in archives, links at the destination.

use std::os::unix::fs::symlink;

use serde_json::Value;
use tar::{EntryType, Header};

use super::{all_restore, contents, says, with_a_backup};
use crate::support::bench::Bench;
use crate::support::fixture::{FilesFixture, Fixture, SqliteFixture, tree_fingerprint};
use crate::support::memory::sha256;

/// One entry, as raw as it gets.
fn entry(name: &str, kind: EntryType, target: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// Puts another archive in place of a backup's, with every sum right: who owns the destination can do that.
fn forge(bench: &Bench<FilesFixture>, id: &str, entries: &[Vec<u8>]) {
    let mut archive = entries.concat();
    archive.resize(archive.len() + 1024, 0);
    let file = bench.folder(id).join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let measured = serde_json::json!({ "bytes": archive.len(), "sha256": sha256(&archive) });
    manifest["artifacts"][0]["stored"] = measured.clone();
    manifest["artifacts"][0]["plain"] = measured;
    manifest["objects"][0]["count"] = entries.len().into();
    std::fs::write(file, serde_json::to_vec(&manifest).unwrap()).unwrap();
    std::fs::write(bench.artifact(id), archive).unwrap();
}

#[test]
fn an_archive_that_climbs_out_writes_nothing_outside() {
    let bench = Bench::<FilesFixture>::new();
    bench.edit("encryption = \"team\"", "encryption = \"none\"\ncompression = \"none\"");
    bench.fixture.wipe();
    std::fs::create_dir_all(&bench.fixture.tree).unwrap();
    std::fs::write(bench.fixture.tree.join("file"), "data").unwrap();
    bench.ok(&["backup", "shop"]);
    bench.ok(&["backup", "shop"]);
    let [sound, forged] = bench.listed().try_into().unwrap();
    std::fs::create_dir(bench.path("outside")).unwrap();
    std::fs::write(bench.path("outside/precious"), "precious").unwrap();
    let (outside, precious) = (bench.path("outside"), bench.path("outside/precious").display().to_string());
    let before = (tree_fingerprint(&outside), bench.fixture.fingerprint());
    let file = |name: &str| entry(name, EntryType::Regular, "", b"evil");
    let link = |name: &str, target: &str| entry(name, EntryType::Symlink, target, b"");
    for (archive, word) in [
        (vec![file("../outside/precious")], "unsafe name"),
        (vec![file("a/../../outside/precious")], "unsafe name"),
        (vec![file(&precious)], "unsafe name"),
        (vec![link("link", outside.to_str().unwrap()), file("link/precious")], "link"),
        (vec![link("link", "../outside"), file("link/precious")], "link"),
        (vec![link("link", &precious), entry("hard", EntryType::Link, "../outside/precious", b"")], "unsafe"),
    ] {
        forge(&bench, &forged, &archive);
        for args in [&["--to", "target"][..], &["--to", "target", "--overwrite", "--yes"]] {
            let said = bench.fails(1, &[&["restore", &forged], args].concat());
            assert!(said.contains(&format!("restore of {forged} failed")) && said.contains(word), "{word}: {said}");
            assert_eq!(bench.runs("restore")[0]["outcome"], "failed");
            assert!((tree_fingerprint(&outside), bench.fixture.fingerprint()) == before, "{said}");
        }
    }
    bench.ok(&["restore", &sound, "--yes"]);
    assert!(bench.fixture.fingerprint() == before.1);
}

#[test]
fn a_link_at_the_destination_is_not_taken_for_a_backup_and_nothing_behind_it_is_deleted() {
    let bench = with_a_backup::<SqliteFixture>();
    bench.ok(&["backup", "shop"]);
    let [first, second] = bench.listed().try_into().unwrap();
    let folder = bench.root().join("shop/backup");
    // A whole backup elsewhere that somebody linked in, by a name that could be ours.
    let elsewhere = bench.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("precious"), "precious").unwrap();
    let linked = "20200101T000000Z-full-aaaaaaaa";
    symlink(&elsewhere, folder.join(linked)).unwrap();
    // And within a backup, a file and a folder that lie elsewhere.
    symlink(elsewhere.join("precious"), bench.folder(&second).join("notes.txt")).unwrap();
    symlink(&elsewhere, bench.folder(&second).join("more")).unwrap();
    let before = contents(&elsewhere);

    let listing = bench.json(&["list"]);
    let known: Vec<&str> = listing["backups"].as_array().unwrap().iter().map(|b| b["id"].as_str().unwrap()).collect();
    assert_eq!(known, [first.as_str(), second.as_str()]);
    bench.ok(&["backup", "shop"]);
    let deleted = bench.run(&["delete", &second, "--yes"]);
    assert!(contents(&elsewhere) == before, "{}", String::from_utf8_lossy(&deleted.stderr));
    assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
    assert!(!bench.listed().contains(&second));
    bench.fails(1, &["delete", &format!("shop/{linked}"), "--yes"]);
    assert!(contents(&elsewhere) == before && folder.join(linked).exists());
    all_restore(&bench);
}

#[test]
fn a_manifest_that_is_a_link_to_a_secret_tells_nothing_of_it() {
    let bench = with_a_backup::<SqliteFixture>();
    bench.ok(&["backup", "shop"]);
    let [sound, spoilt] = bench.listed().try_into().unwrap();
    let manifest = bench.folder(&spoilt).join("manifest.json");
    std::fs::rename(&manifest, bench.path("manifest")).unwrap();
    for (target, secret) in [("key", "AGE-SECRET-KEY-1HUNTER2"), ("json", "{\"format\":1,\"hunter2\":\"swordfish\"}")] {
        std::fs::write(bench.path(target), secret).unwrap();
        symlink(bench.path(target), &manifest).unwrap();
        let said = bench.fails(1, &["show", &spoilt]);
        says(&said, &["the manifest of", &spoilt, "is damaged"]);
        assert!(!said.contains("HUNTER2") && !said.contains("swordfish"), "{said}");
        std::fs::remove_file(&manifest).unwrap();
    }
    std::fs::rename(bench.path("manifest"), &manifest).unwrap();
    bench.ok(&["show", &sound]);
    all_restore(&bench);
}
