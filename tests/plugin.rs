//! Recipients of age plugins: a real plugin process wraps the key, unwraps it for a restore, and for the real age.

use std::path::PathBuf;
use std::process::Command;

use crate::support::bench::Bench;
use crate::support::by_hand::only_backup;
use crate::support::fixture::{CommandFixture, Fixture};

const RECIPIENT: &str = "age1toy1w93xzcmtvsjfq3mh";
const IDENTITY: &str = "AGE-PLUGIN-TOY-1W93XZCMTVSK45RNX";

/// `PATH` with the folder of the toy plugin before it.
fn path() -> String {
    let plugin = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plugin");
    format!("{}:{}", plugin.display(), std::env::var("PATH").unwrap())
}

/// A bench that encrypts to the plugin's recipient.
fn bench() -> Bench<CommandFixture> {
    let bench = Bench::<CommandFixture>::new();
    let config = bench.path("etc/qbackd.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace(&bench.keys.recipient(), RECIPIENT);
    std::fs::write(&config, text).unwrap();
    std::fs::write(bench.keys.identity_file(), format!("{IDENTITY}\n")).unwrap();
    bench
}

#[test]
fn a_backup_to_a_plugins_recipient_comes_back_through_the_plugin_and_by_hand() {
    let bench = bench();
    let before = bench.fixture.fingerprint();
    let made = bench.command(&["backup", "shop"]).env("PATH", path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let folder = only_backup(&bench.root(), "shop");
    let age = Command::new("age")
        .args(["-d", "-i"])
        .arg(bench.keys.identity_file())
        .arg(folder.join("shop.dump.zst.age"))
        .env("PATH", path())
        .output()
        .unwrap();
    assert!(age.status.success(), "{}", String::from_utf8_lossy(&age.stderr));
    assert!(age.stdout.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]), "age gave no zstd frame");

    bench.fixture.wipe();
    let back = bench.command(&["restore", "shop", "--yes"]).env("PATH", path()).output().unwrap();
    assert!(back.status.success(), "{}", String::from_utf8_lossy(&back.stderr));
    assert_eq!(bench.fixture.fingerprint(), before);
}

#[test]
fn a_plugin_that_is_not_installed_is_named_before_anything_is_written() {
    let bench = bench();
    let error = bench.fails(78, &["backup", "shop"]);
    assert!(error.contains("age-plugin-toy is not in PATH"), "{error}");
    assert_eq!(bench.unpublished(), Vec::<String>::new());
    assert_eq!(bench.outcomes(), ["failed"]);
}
