//! The files of a backup in hand: decoded, as stored, as one tar, opened with the ordinary tools.

use std::path::{Path, PathBuf};

use crate::support::bench::{Bench, names};
use crate::support::by_hand::shell;
use crate::support::fixture::{FilesFixture, Fixture, SqliteFixture, sqlite3, tree_fingerprint};

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A bench with one backup.
fn with_a_backup<F: Fixture>() -> (Bench<F>, String) {
    let bench = Bench::<F>::new();
    bench.ok(&["backup", "shop"]);
    let id = bench.listed().remove(0);
    (bench, id)
}

fn sorted(folder: &Path) -> Vec<String> {
    let mut names = names(folder);
    names.sort();
    names
}

fn out(bench: &Bench<SqliteFixture>, name: &str) -> PathBuf {
    bench.path(name)
}

#[test]
fn decoded_it_is_what_the_engines_tools_read() {
    let (bench, id) = with_a_backup::<SqliteFixture>();
    let folder = out(&bench, "decoded");
    bench.ok(&["download", &id, "-o", utf8(&folder)]);
    shell(&folder, "sha256sum --strict -c SHA256SUMS");
    assert_eq!(sorted(&folder), ["SHA256SUMS", "manifest.json", "shop.db"]);
    let original = sqlite3(&bench.fixture.path, ".dump");
    assert_eq!(sqlite3(&folder.join("shop.db"), ".dump"), original);
    let said = bench.fails(1, &["download", &id, "-o", utf8(&folder)]);
    assert!(said.contains("shop.db exists already") && said.contains("empty folder"), "{said}");
    let all = shell(
        &bench.path(""),
        &format!(
            "'{}' --config etc download {id} > streamed.db; sqlite3 streamed.db .dump",
            env!("CARGO_BIN_EXE_qbackd")
        ),
    );
    assert_eq!(all, original);
}

#[test]
fn raw_it_opens_with_age_and_zstd_by_the_commands_it_prints() {
    let (bench, id) = with_a_backup::<SqliteFixture>();
    let folder = out(&bench, "raw");
    // Without any key.
    bench.edit(&format!("identity_files = [\"{}\"]", bench.keys.identity_file().display()), "");
    let said = bench.ok(&["download", &id, "--raw", "-o", utf8(&folder)]);
    shell(&folder, "sha256sum --strict -c SHA256SUMS");
    assert_eq!(sorted(&folder), ["SHA256SUMS", "manifest.json", "shop.db.zst.age"]);
    shell(&folder, &format!("cmp manifest.json '{}'", bench.folder(&id).join("manifest.json").display()));
    let command =
        said.lines().map(str::trim).find(|line| line.starts_with("age -d")).unwrap_or_else(|| panic!("{said}"));
    shell(&folder, &command.replace("IDENTITY", &format!("'{}'", bench.keys.identity_file().display())));
    assert_eq!(sqlite3(&folder.join("shop.db"), ".dump"), bench.before());
}

#[test]
fn as_one_tar_it_holds_the_same_with_checksums() {
    let (bench, id) = with_a_backup::<FilesFixture>();
    for (name, raw) in [("decoded", &[][..]), ("raw", &["--raw"])] {
        let (file, folder) = (bench.path(format!("{name}.tar")), bench.path(name));
        bench.ok(&[&["download", &id, "--tar", "-o", utf8(&file)], raw].concat());
        std::fs::create_dir(&folder).unwrap();
        shell(&folder, &format!("tar -xf '{}' && sha256sum --strict -c SHA256SUMS", file.display()));
        let said = bench.fails(1, &[&["download", &id, "--tar", "-o", utf8(&file)], raw].concat());
        assert!(said.contains("exists"), "{said}");
    }
    let (decoded, raw) = (bench.path("decoded"), bench.path("raw"));
    assert_eq!(sorted(&decoded), ["SHA256SUMS", "manifest.json", "shop.tar"]);
    assert_eq!(sorted(&raw), ["SHA256SUMS", "manifest.json", "shop.tar.zst.age"]);
    shell(
        &raw,
        &format!(
            "age -d -i '{}' shop.tar.zst.age | zstd -d | cmp - ../decoded/shop.tar",
            bench.keys.identity_file().display()
        ),
    );
    let out = bench.path("out");
    std::fs::create_dir(&out).unwrap();
    let part = bench.fixture.tree.join("with space");
    let below = utf8(&part).trim_start_matches('/');
    shell(&out, &format!("tar -xf ../decoded/shop.tar '{below}'"));
    assert_eq!(tree_fingerprint(&out.join(below)), tree_fingerprint(&part));
}

#[test]
fn a_damaged_backup_leaves_no_file_that_looks_whole() {
    let (bench, id) = with_a_backup::<SqliteFixture>();
    bench.flip_a_bit(&id);
    for (name, raw) in [("decoded", &[][..]), ("raw", &["--raw"])] {
        let folder = bench.path(name);
        let said = bench.fails(1, &[&["download", &id, "-o", utf8(&folder)], raw].concat());
        assert!(said.contains("shop.db.zst.age") && said.contains("hint:"), "{said}");
        assert_eq!(sorted(&folder), Vec::<String>::new());
    }
}
