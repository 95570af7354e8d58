//! Root working alone where the state directory is somebody else's: all of it is that user's afterwards, or the daemon could not open it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::bench::Bench;
use crate::support::fixture::{SqliteFixture, is_root, sh};

/// A user and a group without names.
const OWNER: (u32, u32) = (4_242, 4_343);

/// Who owns what lies in a folder, and the folder.
fn owners(folder: &Path) -> BTreeSet<(u32, u32)> {
    let owner = |entry: walkdir::DirEntry| entry.metadata().map(|meta| (meta.uid(), meta.gid())).unwrap();
    walkdir::WalkDir::new(folder).into_iter().map(|entry| owner(entry.unwrap())).collect()
}

#[test]
fn what_root_backs_up_deletes_and_prunes_alone_belongs_to_the_owner_of_the_state_directory() {
    assert!(is_root(), "several users are needed: run the tests as root");
    let bench = Bench::<SqliteFixture>::new();
    let keys = bench.keys.identity_file();
    let (here, keys) = (bench.path(""), keys.parent().unwrap());
    let owner = format!("{}:{}", OWNER.0, OWNER.1);
    sh("chown", &["-R", &owner, here.to_str().unwrap(), keys.to_str().unwrap()]);
    let all_theirs = |after: &str| {
        for folder in [bench.path("state"), bench.root(), bench.path("data")] {
            assert_eq!(owners(&folder), [OWNER].into(), "{} after {after}", folder.display());
        }
    };
    for _ in 0..4 {
        bench.ok(&["backup", "shop"]);
        all_theirs("a backup");
    }
    let ids = bench.listed();
    all_theirs("looking at it");
    bench.ok(&["delete", &ids[0], "--yes"]);
    all_theirs("a deletion");
    bench.ok(&["pause", "shop"]);
    bench.ok(&["resume", "shop"]);
    all_theirs("a pause");
    bench.edit("encryption = \"team\"\n", "encryption = \"team\"\nkeep = { last = 1 }\n");
    bench.ok(&["prune", "--yes"]);
    all_theirs("pruning");
    assert_eq!(bench.listed(), [ids[3].clone()]);
    // What only reads stays who it is, and can leave things behind all the same.
    bench.ok(&["verify", "shop"]);
    bench.ok(&["restore", "shop", "--to", bench.path("beside.db").to_str().unwrap()]);
    bench.runs("verify");
    all_theirs("verifying and restoring");
    assert_eq!(bench.path("beside.db").metadata().unwrap().uid(), 0, "a restore is done by whoever calls");
}
