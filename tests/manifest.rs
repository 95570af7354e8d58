//! Whatever lies at a destination, it is read without a panic, and no path that comes of it leads outside.

use std::path::{Component, Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use qbackd::model::{BackupRef, Manifest};
use qbackd::repository::{Plain, Repository};
use qbackd::store::paths;
use serde_json::Value;
use tempfile::TempDir;

use crate::destination::fs_store;

/// A manifest with everything in it.
const VALID: &str = r#"{
  "format": 1, "qbackd": "0.1.0", "id": "20261120T020000Z-full-k3f9x2ab", "database": "shop", "engine": "postgresql",
  "method": "logical", "host": "db1",
  "source": { "address": "postgresql://db1/shop", "role": "primary", "version": "PostgreSQL 17.2", "identity": "742" },
  "tools": [{ "name": "pg_dump", "version": "17.2" }],
  "type": "full", "chain": "20261120T020000Z-full-k3f9x2ab",
  "started": "2026-11-20T02:00:00Z", "finished": "2026-11-20T02:05:00.5Z",
  "objects": [{ "kind": "table", "name": "orders", "count": 12402, "bytes": 8192 }],
  "artifacts": [
    {
      "name": "shop.dump", "location": "shop.dump.zst.age",
      "plain": { "bytes": 12, "sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
      "stored": { "bytes": 34, "sha256": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" },
      "compression": "zstd", "encryption": "age"
    },
    {
      "name": "files.tar", "location": "files.tar", "for_children": true,
      "plain": { "bytes": 1, "sha256": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" },
      "stored": { "bytes": 1, "sha256": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" },
      "compression": "none", "encryption": "none"
    }
  ],
  "recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
  "notes": ["a note"], "initiated_by": "schedule"
}"#;

fn at() -> BackupRef {
    BackupRef { database: "shop".parse().unwrap(), id: "20261120T020000Z-full-k3f9x2ab".parse().unwrap() }
}

/// Names that want to be somewhere else.
fn climbing() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        ".",
        "..",
        "../x",
        "../../../etc/passwd",
        "/etc/passwd",
        "a/../../b",
        "a/b",
        "a\\b",
        "~",
        "-rf",
        ".hidden",
        "a\0b",
        "manifest.json",
        "SHA256SUMS",
        "pin",
        "manifest.json.sig",
        "con",
        "a b",
        "é",
        "a\nb",
        "%2e%2e%2f",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "[./a\\-]{0,9}", any::<String>(), "[A-Za-z0-9._-]{1,200}"]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        climbing().prop_map(Value::from),
        climbing().prop_map(|text| serde_json::json!([text])),
        climbing().prop_map(|text| serde_json::json!({ text: 1 })),
    ]
}

/// The pointers (RFC 6901) of everything in a document.
fn places(value: &Value, here: &str, into: &mut Vec<String>) {
    into.push(here.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                places(value, &format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), into);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| places(value, &format!("{here}/{n}"), into))
        }
        _ => {}
    }
}

/// The valid manifest with some values replaced.
fn edited() -> impl Strategy<Value = Vec<u8>> {
    vec((any::<Index>(), any_value()), 1..4).prop_map(|edits| {
        let mut document: Value = serde_json::from_str(VALID).unwrap();
        for (index, value) in edits {
            let mut all = Vec::new();
            places(&document, "", &mut all);
            *document.pointer_mut(&all[index.index(all.len())]).unwrap() = value;
        }
        serde_json::to_vec(&document).unwrap()
    })
}

/// The valid manifest with only the names of its files replaced, so that nothing else keeps it from being accepted.
fn renamed() -> impl Strategy<Value = Vec<u8>> {
    (climbing(), climbing(), climbing()).prop_map(|(name, location, other)| {
        let mut document: Value = serde_json::from_str(VALID).unwrap();
        document["artifacts"][0]["name"] = name.into();
        document["artifacts"][0]["location"] = location.into();
        document["artifacts"][1]["location"] = other.into();
        serde_json::to_vec(&document).unwrap()
    })
}

/// The valid manifest with bytes changed, or cut short.
fn bent() -> impl Strategy<Value = Vec<u8>> {
    (vec((any::<Index>(), any::<u8>()), 0..6), any::<Index>()).prop_map(|(changes, end)| {
        let mut bytes = VALID.as_bytes().to_vec();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - end.index(bytes.len()) / 4);
        bytes
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..600), edited(), renamed(), bent()]
}

/// What must be true of a manifest that was accepted.
fn is_safe(manifest: &Manifest, at: &BackupRef) {
    assert_eq!(&manifest.reference(), at);
    let folder = PathBuf::from("/root").join(paths::backup(at));
    for artifact in &manifest.artifacts {
        for name in [&artifact.name, &artifact.location] {
            let mut components = Path::new(name.as_str()).components();
            assert!(matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none(), "{name:?}");
            assert!(!name.as_str().starts_with(['.', '-']), "{name:?}");
        }
        let path = PathBuf::from("/root").join(paths::artifact(at, &artifact.location));
        assert_eq!(path.parent(), Some(folder.as_path()));
        assert!(![paths::manifest(at), paths::sums(at)].contains(&paths::artifact(at, &artifact.location)));
    }
    let again = Manifest::parse(&manifest.to_json().unwrap(), at).unwrap();
    assert_eq!(&again, manifest);
}

#[test]
fn the_manifest_that_the_others_are_made_of_is_accepted() {
    is_safe(&Manifest::parse(VALID.as_bytes(), &at()).unwrap(), &at());
}

proptest! {
    #[test]
    fn reading_a_manifest_never_panics_and_accepts_no_path_outside(bytes in bytes()) {
        match Manifest::parse(&bytes, &at()) {
            Ok(manifest) => is_safe(&manifest, &at()),
            Err(error) => prop_assert!(error.line().contains("shop/20261120T020000Z-full-k3f9x2ab") && error.remedy().is_some()),
        }
    }
}

/// A name that a file or folder can have, ours or not.
fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "shop",
            "backup",
            "20261120T020000Z-full-k3f9x2ab",
            "20261120T020000Z-half-k3f9x2ab",
            "manifest.json",
            "log"
        ])
        .prop_map(str::to_owned),
        "[^/\0]{1,20}",
    ]
    .prop_filter("a component", |name| name != "." && name != ".." && name.len() <= 100)
}

/// Files, and links to somewhere else, that somebody left at a destination.
fn left() -> impl Strategy<Value = Vec<(Vec<String>, Vec<u8>, bool)>> {
    let ours = Just(["shop", "backup", "20261120T020000Z-full-k3f9x2ab", "manifest.json"].map(str::to_owned).to_vec());
    vec((prop_oneof![ours, vec(component(), 1..6)], bytes(), any::<bool>()), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]
    #[test]
    fn listing_a_destination_never_panics_whatever_lies_there(left in left()) {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(dir.path().join("outside"), "precious").unwrap();
        for (names, content, link) in left {
            let path: PathBuf = std::iter::once(root.clone()).chain(names.iter().map(PathBuf::from)).collect();
            // What is a file already can hold nothing.
            if std::fs::create_dir_all(path.parent().unwrap()).is_err() || path.symlink_metadata().is_ok() {
                continue;
            }
            if link {
                std::os::unix::fs::symlink("../../../../outside", path).unwrap();
            } else {
                std::fs::write(path, content).unwrap();
            }
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let repository = Plain::new(fs_store(&root));
            let listing = repository.list(None).await.unwrap();
            for manifest in &listing.backups {
                is_safe(manifest, &manifest.reference());
            }
            for (at, error) in &listing.damaged {
                assert!(error.line().contains(&at.to_string()), "{error}");
            }
            for at in &listing.unfinished {
                repository.sweep(at).await.unwrap();
            }
        });
        prop_assert_eq!(std::fs::read_to_string(dir.path().join("outside")).unwrap(), "precious");
    }
}
