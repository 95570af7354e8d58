//! Manifests that were cut short, edited by hand, or written by a newer qbackd.

use super::{all_restore, says};
use crate::support::bench::Bench;
use crate::support::fixture::{Fixture, SqliteFixture};

/// Two backups, and the manifest of the newer one changed.
struct Spoilt {
    bench: Bench<SqliteFixture>,
    sound: String,
    spoilt: String,
    text: String,
}

impl Spoilt {
    fn new() -> Self {
        let bench = Bench::<SqliteFixture>::new();
        bench.ok(&["backup", "shop"]);
        bench.ok(&["backup", "shop"]);
        let [sound, spoilt] = bench.listed().try_into().unwrap();
        let text = std::fs::read_to_string(bench.folder(&spoilt).join("manifest.json")).unwrap();
        Self { bench, sound, spoilt, text }
    }

    fn write(&self, text: &str) {
        std::fs::write(self.bench.folder(&self.spoilt).join("manifest.json"), text).unwrap();
    }

    /// Every verb that needs it says what is wrong, exits with `code`; the sound one is listed and restores.
    fn is_refused(&self, code: i32, words: &[&str]) {
        let bench = &self.bench;
        let output = bench.run(&["list"]);
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success() && out.contains(&self.sound) && !out.contains(&self.spoilt), "{out}{err}");
        assert!(words.iter().all(|word| err.contains(word)), "{err}");
        let listing = bench.json(&["list"]);
        assert_eq!(listing["damaged"][0]["id"], self.spoilt.as_str());

        let before = bench.fixture.fingerprint();
        for verb in [&["show"][..], &["verify"], &["restore", "--yes"], &["download", "-o", "out"]] {
            let said = bench.fails(code, &[verb, &[&self.spoilt]].concat());
            says(&said, words);
            assert!(said.contains(&self.spoilt), "{said}");
        }
        // What is damaged may go if somebody says so; what a newer qbackd made is sound to that one.
        let (delete_ends, agreed): (i32, &[&str]) = if code == 1 { (2, &[]) } else { (code, &["--yes"]) };
        let said = bench.fails(delete_ends, &[&["delete", &self.spoilt], agreed].concat());
        says(&said, words);
        for verb in ["restore", "verify"] {
            assert_eq!(bench.runs(verb)[0]["outcome"], "failed", "{verb}");
            // It is the newest; that an older one is sound is no reason to take that unasked.
            let said = bench.fails(code, &[verb, "shop"]);
            says(&said, words);
            assert!(said.contains(&format!("the newest sound one is {}", self.sound)), "{said}");
        }
        assert_eq!(bench.fixture.fingerprint(), before);
        assert!(bench.folder(&self.spoilt).join("manifest.json").exists(), "what is damaged is kept");
        bench.ok(&["restore", &self.sound, "--yes"]);
        assert_eq!(bench.fixture.fingerprint(), bench.before());
    }
}

#[test]
fn one_that_was_cut_short() {
    let backup = Spoilt::new();
    for length in [0, backup.text.len() / 2, backup.text.len() - 3] {
        backup.write(&backup.text[..length]);
        backup.is_refused(1, &["the manifest of", "is damaged", "EOF"]);
    }
    // A new backup is made all the same.
    backup.bench.ok(&["backup", "shop"]);
    backup.bench.fixture.wipe();
    backup.write(&backup.text);
    all_restore(&backup.bench);
}

#[test]
fn one_that_was_edited_by_hand() {
    let backup = Spoilt::new();
    let id = backup.spoilt.strip_prefix("shop/").unwrap();
    let edits: [(&str, String, &str); 6] = [
        ("\"database\": \"shop\"", "\"database\": \"blog\"".into(), "it says that it is blog/"),
        ("\"type\": \"full\"", "\"type\": \"incremental\"".into(), "its type"),
        ("\"compression\": \"zstd\"", "\"compression\": \"rot13\"".into(), "rot13"),
        ("\"qbackd\":", "\"favourite\": 1, \"qbackd\":".into(), "unknown field `favourite`"),
        ("\"encryption\": \"age\"", "\"encryption\": 1".into(), "at line"),
        (id, "20200101T000000Z-full-aaaaaaaa".into(), "20200101T000000Z-full-aaaaaaaa"),
    ];
    for (from, to, word) in edits {
        assert!(backup.text.contains(from), "{from} is not in\n{}", backup.text);
        backup.write(&backup.text.replace(from, &to));
        backup.is_refused(1, &["is damaged", word]);
    }
}

#[test]
fn one_whose_sizes_or_sums_were_edited_is_not_believed() {
    let backup = Spoilt::new();
    let manifest: serde_json::Value = serde_json::from_str(&backup.text).unwrap();
    let artifact = &manifest["artifacts"][0];
    for part in ["stored", "plain"] {
        let sum = artifact[part]["sha256"].as_str().unwrap();
        let bytes = artifact[part]["bytes"].as_u64().unwrap();
        for (from, to) in
            [(sum.to_owned(), "0".repeat(64)), (format!("\"bytes\": {bytes}"), format!("\"bytes\": {}", bytes + 1))]
        {
            backup.write(&backup.text.replacen(&from, &to, 1));
            let before = backup.bench.fixture.fingerprint();
            let said = backup.bench.fails(1, &["restore", &backup.spoilt, "--yes"]);
            says(&said, &["restore of shop/", "shop.db.zst.age"]);
            assert_eq!(backup.bench.fixture.fingerprint(), before);
            assert_eq!(backup.bench.runs("restore")[0]["outcome"], "failed");
            backup.bench.fails(1, &["verify", &backup.spoilt, "--level", "decode"]);
        }
    }
    backup.write(&backup.text);
    all_restore(&backup.bench);
}

#[test]
fn one_of_a_newer_format() {
    let backup = Spoilt::new();
    backup.write(&backup.text.replace("\"format\": 1", "\"format\": 2, \"secrets_of_the_future\": {}"));
    backup.is_refused(69, &["is in format 2", "reads formats up to 1"]);
    let said = backup.bench.fails(69, &["restore", &backup.spoilt]);
    says(&said, &["install a newer qbackd", "RECOVERY.txt"]);
}

#[test]
fn one_that_makes_an_artifact_climb_out() {
    let backup = Spoilt::new();
    std::fs::write(backup.bench.path("precious"), "precious").unwrap();
    let outside = backup.bench.path("precious").display().to_string();
    for location in
        ["../../../../precious", &outside, "..", ".", "", "a/b", "-rf", ".hidden", "SHA256SUMS", "manifest.json"]
    {
        for key in ["location", "name"] {
            let own = if key == "location" { "shop.db.zst.age" } else { "shop.db" };
            let from = format!("\"{key}\": \"{own}\"");
            assert!(backup.text.contains(&from), "{}", backup.text);
            if key == "name" && ["SHA256SUMS", "manifest.json"].contains(&location) {
                continue;
            }
            backup.write(&backup.text.replace(&from, &format!("\"{key}\": \"{location}\"")));
            let said = backup.bench.fails(1, &["restore", &backup.spoilt, "--yes"]);
            says(&said, &["the manifest of", &backup.spoilt, "is damaged"]);
            backup.bench.fails(1, &["download", &backup.spoilt, "-o", "out"]);
        }
    }
    assert_eq!(std::fs::read_to_string(backup.bench.path("precious")).unwrap(), "precious");
    assert!(!backup.bench.path("out").exists());
    backup.write(&backup.text);
    all_restore(&backup.bench);
}

#[test]
fn an_artifact_that_is_missing_or_shorter() {
    let backup = Spoilt::new();
    let file = backup.bench.artifact(&backup.spoilt);
    let sound = std::fs::read(&file).unwrap();
    let before = backup.bench.fixture.fingerprint();
    for (bytes, word) in [(Some(sound.len() / 2), "is damaged"), (Some(0), "is damaged"), (None, "is missing")] {
        match bytes {
            Some(length) => std::fs::write(&file, &sound[..length]).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        for verb in [&["restore", "shop", "--yes"][..], &["verify", "shop"]] {
            let said = backup.bench.fails(1, verb);
            says(&said, &["shop.db.zst.age", word, "restore from another backup"]);
        }
        assert_eq!(backup.bench.fixture.fingerprint(), before);
    }
    std::fs::write(&file, &sound).unwrap();
    all_restore(&backup.bench);
}
