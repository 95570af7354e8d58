//! What bad input gets: an error that names the thing and the remedy, the documented exit code, a failed run in the history,
//! nothing published, nothing half left at the destination, and every earlier backup still restores.

mod busy;
mod configuration;
mod destination;
mod identities;
mod manifest;
mod names;
mod paths;
mod source;
mod tool;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::bench::Bench;
use crate::support::fixture::Fixture;

/// Every file below a folder with its content; of what is no file, that it is there.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap());
    let files = files.filter(|entry| !entry.file_type().is_dir());
    // To read a fifo is to wait for ever.
    let content = |entry: &walkdir::DirEntry| match entry.file_type().is_file() {
        true => std::fs::read(entry.path()).unwrap_or_default(),
        false => Vec::new(),
    };
    files.map(|entry| (entry.path().to_owned(), content(&entry))).collect()
}

/// A bench with one sound backup.
fn with_a_backup<F: Fixture>() -> Bench<F> {
    let bench = Bench::<F>::new();
    bench.ok(&["backup", "shop"]);
    bench
}

fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in\n{said}");
    }
    assert!(said.contains("\nhint: "), "no remedy in\n{said}");
}

/// A backup that must fail with `code` and these words, and leave nothing but a run in the history that ended as `outcome`.
fn backup_ends<F: Fixture>(bench: &Bench<F>, code: i32, outcome: &str, words: &[&str]) -> String {
    let (listed, there, runs) = (bench.listed(), contents(&bench.root()), bench.runs("backup").len());
    let said = bench.fails(code, &["backup", "shop"]);
    says(&said, words);
    let recorded = bench.runs("backup");
    assert_eq!(recorded.len(), runs + 1, "the run is not in the history: {said}");
    assert_eq!(recorded[0]["outcome"], outcome, "{said}");
    assert!(said.contains(recorded[0]["error"].as_str().unwrap()), "{said}\n{}", recorded[0]);
    assert!(said.contains(recorded[0]["hint"].as_str().unwrap()), "{said}\n{}", recorded[0]);
    assert_eq!((bench.unpublished(), bench.scratch_left()), (vec![], vec![]), "{said}");
    assert_eq!(bench.listed(), listed, "{said}");
    let left = contents(&bench.root());
    assert!(left == there, "{said}\nleft {:?}\nwhere there was {:?}", left.keys(), there.keys());
    said
}

fn backup_fails<F: Fixture>(bench: &Bench<F>, code: i32, words: &[&str]) -> String {
    backup_ends(bench, code, "failed", words)
}

/// Every backup that is listed brings the data back.
fn all_restore<F: Fixture>(bench: &Bench<F>) {
    let listed = bench.listed();
    assert!(!listed.is_empty());
    for id in listed {
        if bench.fixture.fingerprint() != "absent" {
            bench.fixture.wipe();
        }
        bench.ok(&["restore", &id, "--yes"]);
        assert_eq!(bench.fixture.fingerprint(), bench.before(), "{id}");
    }
}
