//! Seed, back up, wipe, restore, compare.

use crate::support::bench::Bench;
use crate::support::fixture::Fixture;
use crate::support::keys::Keys;

on_every_engine!(
    what_is_backed_up_comes_back,
    it_comes_back_unencrypted_and_uncompressed,
    either_of_two_recipients_brings_it_back,
    a_passphrase_brings_it_back,
);

/// Backs up, and says how the stored file ends.
fn backed_up<F: Fixture>(bench: &Bench<F>) -> String {
    bench.ok(&["check"]);
    bench.ok(&["backup", "shop"]);
    let listed = bench.listed();
    assert_eq!(listed.len(), 1);
    assert_eq!(bench.outcomes(), ["succeeded"]);
    assert_eq!((bench.unpublished(), bench.scratch_left()), (vec![], vec![]));
    let name = bench.artifact(&listed[0]).file_name().unwrap().to_str().unwrap().to_owned();
    name.splitn(3, '.').nth(2).unwrap_or_default().to_owned()
}

fn what_is_backed_up_comes_back<F: Fixture>() {
    let bench = Bench::<F>::new();
    bench.edit("[policy.plain]", "[policy.plain]\ncompression = \"zstd:1\"");
    assert_eq!(backed_up(&bench), "zst.age");
    bench.restores_to_what_it_was();
    let restored = bench.runs("restore");
    assert_eq!((restored.len(), restored[0]["outcome"].as_str()), (1, Some("succeeded")));
}

fn it_comes_back_unencrypted_and_uncompressed<F: Fixture>() {
    let bench = Bench::<F>::new();
    bench.edit("encryption = \"team\"", "encryption = \"none\"\ncompression = \"none\"");
    assert_eq!(backed_up(&bench), "");
    bench.restores_to_what_it_was();
}

fn either_of_two_recipients_brings_it_back<F: Fixture>() {
    let (bench, other) = (Bench::<F>::new(), Keys::new());
    let one = bench.keys.recipient();
    bench.edit(&format!("[\"{one}\"]"), &format!("[\"{one}\", \"{}\"]", other.recipient()));
    bench.edit("[policy.plain]", "[policy.plain]\ncompression = \"zstd:19\"");
    assert_eq!(backed_up(&bench), "zst.age");
    let manifest = bench.json(&["show", "shop@latest"]);
    assert_eq!(manifest["recipients"], serde_json::json!([one, other.recipient()]));
    bench.restores_to_what_it_was();
    bench.fixture.wipe();
    let identity = other.identity_file();
    bench.ok(&["restore", "shop", "--yes", "--identity", identity.to_str().unwrap()]);
    assert_eq!(bench.fixture.fingerprint(), bench.before());
}

fn a_passphrase_brings_it_back<F: Fixture>() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::<F>::new();
    let file = bench.path("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    bench.edit(
        &format!("recipients = [\"{}\"]", bench.keys.recipient()),
        "passphrase = { file = \"$HERE/passphrase\" }",
    );
    bench.edit(&format!("identity_files = [\"{}\"]", bench.keys.identity_file().display()), "");
    assert_eq!(backed_up(&bench), "zst.age");
    assert_eq!(bench.json(&["show", "shop@latest"])["recipients"], serde_json::json!(["passphrase"]));
    bench.restores_to_what_it_was();
}
