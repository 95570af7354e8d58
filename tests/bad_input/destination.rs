//! Destinations that are full, read-only, not mounted, too small, or not ours.

use std::os::unix::fs::PermissionsExt;

use super::{all_restore, backup_fails, contents, says, with_a_backup};
use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, SqliteFixture};
use crate::support::mounts;

#[test]
fn one_that_fills_up_in_the_middle_of_an_artifact() {
    if !mounts::of_our_own("bad_input::destination::one_that_fills_up_in_the_middle_of_an_artifact") {
        return;
    }
    let bench = Bench::<CommandFixture>::new();
    mounts::tmpfs(&bench.root(), "size=4m,mode=0700");
    bench.ok(&["backup", "shop"]);
    let state = bench.fixture.state.display().to_string();
    let sound = bench.configuration();
    bench.edit(&format!("dump = [\"cat\", \"{state}\"]"), "dump = [\"head\", \"-c\", \"9000000\", \"/dev/urandom\"]");
    backup_fails(
        &bench,
        1,
        &["cannot write shop/backup/", "shop.dump.zst.age at local", "o space left", "free some space"],
    );
    bench.set_configuration(&sound);
    all_restore(&bench);
}

/// Blocks of the file system's that the small files of a run need one after the other.
#[test]
fn one_that_fills_up_at_any_other_moment() {
    if !mounts::of_our_own("bad_input::destination::one_that_fills_up_at_any_other_moment") {
        return;
    }
    let bench = Bench::<CommandFixture>::new();
    mounts::tmpfs(&bench.root(), "size=256k,mode=0700");
    std::fs::write(&bench.fixture.state, "a row").unwrap();
    for room in 0..64 {
        std::fs::write(bench.root().join("ballast"), vec![1u8; (64 - room) * 4096]).unwrap();
        let output = bench.run(&["backup", "shop"]);
        let left: Vec<String> = contents(&bench.root())
            .into_keys()
            .map(|path| path.strip_prefix(bench.root()).unwrap().display().to_string())
            .filter(|name| name != "ballast")
            .collect();
        if output.status.success() {
            assert!(room >= 4, "it was full only {room} times");
            assert_eq!(left.len(), 5, "{left:?}");
            assert_eq!(bench.listed().len(), 1);
            bench.ok(&["verify", "shop", "--level", "decode"]);
            return;
        }
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        says(&said, &["backup of shop failed", "o space left", "free some space"]);
        assert_eq!(bench.outcomes()[0], "failed");
        // What is there before any backup is whole or not there at all.
        assert!(
            left.iter().all(|name| ["RECOVERY.txt", "qbackd.json"].contains(&name.as_str())),
            "{left:?} after {said}"
        );
        assert!(bench.listed().is_empty() && bench.unpublished().is_empty());
        std::fs::remove_file(bench.root().join("ballast")).unwrap();
    }
    panic!("no room was room enough");
}

#[test]
fn one_that_is_mounted_read_only() {
    if !mounts::of_our_own("bad_input::destination::one_that_is_mounted_read_only") {
        return;
    }
    let bench = with_a_backup::<SqliteFixture>();
    mounts::read_only(&bench.root());
    backup_fails(&bench, 1, &["at local", "ead-only file system", "mounted read-only"]);
    let id = bench.listed().remove(0);
    let said = bench.fails(1, &["delete", &id, "--yes"]);
    says(&said, &["cannot delete", &id, "ead-only file system"]);
    assert_eq!(bench.runs("delete")[0]["outcome"], "failed");
    all_restore(&bench);
}

#[test]
fn one_that_the_user_may_not_write() {
    let mut bench = Bench::<SqliteFixture>::new();
    bench.give_up_root();
    bench.ok(&["backup", "shop"]);
    let mode =
        |mode| std::fs::set_permissions(bench.root().join("shop/backup"), PermissionsExt::from_mode(mode)).unwrap();
    mode(0o555);
    backup_fails(&bench, 77, &["cannot write shop/backup/", "at local", "ermission denied"]);
    mode(0o755);
    bench.ok(&["backup", "shop"]);
    all_restore(&bench);
}

#[test]
fn one_that_is_not_mounted_with_require_mount() {
    let bench = with_a_backup::<SqliteFixture>();
    let root = format!("root = \"{}\"", bench.root().display());
    // On the root file system, wherever the tests lie.
    let nowhere = "/qbackd-is-not-mounted/here";
    bench.edit(&root, &format!("root = \"{nowhere}\"\nrequire_mount = true"));
    let said = bench.fails(1, &["backup", "shop"]);
    says(&said, &["cannot open local", "nothing is mounted", nowhere, "`require_mount`"]);
    assert!(!std::path::Path::new("/qbackd-is-not-mounted").exists(), "it was made up");
    assert_eq!(bench.outcomes(), ["failed", "succeeded"]);
    let said = bench.fails(1, &["list"]);
    says(&said, &["nothing is mounted"]);
    bench.edit(&format!("root = \"{nowhere}\"\nrequire_mount = true"), &root);
    all_restore(&bench);
}

#[test]
fn one_that_is_mounted_with_require_mount_is_used() {
    if !mounts::of_our_own("bad_input::destination::one_that_is_mounted_with_require_mount_is_used") {
        return;
    }
    let bench = Bench::<SqliteFixture>::new();
    bench.edit("min_free = \"0%\"", "min_free = \"0%\"\nrequire_mount = true");
    mounts::tmpfs(&bench.root(), "size=16m,mode=0700");
    bench.ok(&["backup", "shop"]);
    all_restore(&bench);
}

#[test]
fn one_without_min_free() {
    let bench = with_a_backup::<SqliteFixture>();
    bench.edit("min_free = \"0%\"", "min_free = \"1000000 TiB\"");
    backup_fails(&bench, 1, &["local has no room", "kept free by `min_free`", "lower `min_free`"]);
    // Reading needs no space.
    all_restore(&bench);
}

#[test]
fn one_with_less_room_than_the_last_backup_took() {
    if !mounts::of_our_own("bad_input::destination::one_with_less_room_than_the_last_backup_took") {
        return;
    }
    let bench = Bench::<SqliteFixture>::new();
    mounts::tmpfs(&bench.root(), "size=16m,mode=0700");
    bench.ok(&["backup", "shop"]);
    let space = rustix::fs::statvfs(bench.root()).unwrap();
    let ballast = space.f_bavail * space.f_frsize - 256 * 1024;
    std::fs::write(bench.root().join("ballast"), vec![1u8; ballast as usize]).unwrap();
    backup_fails(&bench, 1, &["local has no room", "needed", "free some space"]);
    all_restore(&bench);
}

#[test]
fn one_that_is_a_file() {
    let bench = with_a_backup::<SqliteFixture>();
    std::fs::write(bench.path("file"), "").unwrap();
    let root = format!("root = \"{}\"", bench.root().display());
    bench.edit(&root, "root = \"$HERE/file\"");
    let said = bench.fails(1, &["backup", "shop"]);
    says(&said, &["cannot open local", "/file is no folder"]);
    assert_eq!(bench.outcomes(), ["failed", "succeeded"]);
    bench.edit("root = \"$HERE/file\"", &root);
    all_restore(&bench);
}

#[test]
fn one_of_a_newer_format_is_read_as_far_as_possible_and_never_written() {
    let bench = with_a_backup::<SqliteFixture>();
    let header = bench.root().join("qbackd.json");
    let text = std::fs::read_to_string(&header).unwrap();
    std::fs::write(&header, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    backup_fails(&bench, 69, &["local is in format 2", "knows formats up to 1", "install a newer qbackd"]);
    let id = bench.listed().remove(0);
    let said = bench.fails(69, &["delete", &id, "--yes"]);
    says(&said, &["local is in format 2", "install a newer qbackd"]);
    assert_eq!(bench.listed(), [id]);
    all_restore(&bench);
}

#[test]
fn one_whose_header_is_damaged() {
    let bench = with_a_backup::<SqliteFixture>();
    let header = bench.root().join("qbackd.json");
    for text in ["", "{", "{\"format\": 1}", "[]"] {
        std::fs::write(&header, text).unwrap();
        backup_fails(&bench, 1, &["the qbackd.json of local is damaged", "move it away"]);
    }
    std::fs::rename(&header, bench.path("moved-away")).unwrap();
    bench.ok(&["backup", "shop"]);
    all_restore(&bench);
}
