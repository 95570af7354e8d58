//! What programs read: the fields of each document, all of them, so that none goes unnoticed.

use serde_json::Value;

use crate::support::bench::Bench;
use crate::support::fixture::{Fixture, SqliteFixture};

fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect()
}

const BACKUP: [&str; 13] = [
    "database",
    "destination",
    "engine",
    "finished",
    "id",
    "initiated_by",
    "notes",
    "parent",
    "plain_bytes",
    "recipients",
    "started",
    "stored_bytes",
    "type",
];

#[test]
fn every_document_has_the_fields_that_scripts_rely_on() {
    let bench = Bench::<SqliteFixture>::new();
    let made = bench.json(&["backup", "shop"]);
    assert_eq!(fields(&made), ["backups", "failed"]);
    assert_eq!(fields(&made["backups"][0]), BACKUP);

    let listing = bench.json(&["list", "shop"]);
    assert_eq!(fields(&listing), ["backups", "damaged", "strangers", "unfinished"]);
    assert_eq!(listing["backups"], made["backups"], "a backup looks the same from every verb");

    let shown = bench.json(&["show", "shop@latest"]);
    assert_eq!(
        fields(&shown),
        [
            "artifacts",
            "chain",
            "database",
            "engine",
            "finished",
            "format",
            "host",
            "id",
            "initiated_by",
            "method",
            "notes",
            "objects",
            "qbackd",
            "recipients",
            "source",
            "started",
            "tools",
            "type",
        ]
    );
    let stored = std::fs::read(bench.folder(&bench.listed()[0]).join("manifest.json")).unwrap();
    assert_eq!(shown, serde_json::from_slice::<Value>(&stored).unwrap(), "it is the manifest");
    assert_eq!(fields(&shown["artifacts"][0]), ["compression", "encryption", "location", "name", "plain", "stored"]);

    let plan = bench.json(&["restore", "shop", "--dry-run"]);
    assert_eq!(
        fields(&plan),
        ["backup", "from", "holds", "plain_bytes", "plan", "started", "stored_bytes", "verified"]
    );
    assert_eq!(fields(&plan["plan"]), ["atomic", "needs", "notes", "replaces", "sessions", "steps", "target"]);
    let done = bench.json(&["restore", "shop", "--yes"]);
    assert_eq!(
        fields(&done),
        ["backup", "checks", "from", "objects", "plain_bytes", "stored_bytes", "target", "warnings"]
    );
    assert_eq!(fields(&bench.json(&["verify", "shop"])), ["at", "backup", "checks", "level"]);
    let downloaded = bench.json(&["download", "shop@latest", "-o", "out"]);
    assert_eq!(fields(&downloaded), ["backup", "files"]);
    assert_eq!(fields(&downloaded["files"][0]), ["bytes", "path", "sha256"]);

    let history = bench.json(&["history"]);
    assert_eq!(
        fields(&history["runs"][0]),
        [
            "attempt",
            "backup",
            "database",
            "destinations",
            "due",
            "ended",
            "error",
            "hint",
            "id",
            "initiated_by",
            "kind",
            "notes",
            "outcome",
            "phases",
            "plain_bytes",
            "rows",
            "started",
            "stored_bytes",
            "tables",
        ]
    );
    let kinds: Vec<&str> =
        history["runs"].as_array().unwrap().iter().map(|run| run["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["verify", "restore", "backup"], "a download changes nothing and proves nothing");

    let deleted = bench.json(&["delete", "shop@latest", "--yes"]);
    assert_eq!(fields(&deleted), ["deleted", "stored_bytes"]);
}

#[test]
fn a_failed_backup_is_told_in_the_document_beside_the_others() {
    let bench = Bench::<SqliteFixture>::new();
    let text = bench.configuration();
    bench.set_configuration(&format!(
        "{text}\n[database.gone]\nurl = \"sqlite:$HERE/data/gone.db\"\npolicy = \"plain\"\n"
    ));
    let output = bench.run(&["--json", "backup", "--all"]);
    assert_eq!(output.status.code(), Some(69));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["backups"][0]["database"], "shop");
    assert_eq!(fields(&document["failed"][0]), ["database", "error", "hint"]);
    assert_eq!(document["failed"][0]["database"], "gone");
    assert!(document["failed"][0]["error"].as_str().unwrap().contains("gone.db"), "{document}");
    assert_eq!(bench.fixture.fingerprint(), bench.before());
}
