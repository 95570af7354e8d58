//! Keys that are wrong, missing, open to everybody, or no keys.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{all_restore, backup_fails, contents, says, with_a_backup};
use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, FilesFixture, Fixture, SqliteFixture};
use crate::support::keys::Keys;

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Everything that opens a backup refuses the wrong identity, and touches nothing.
fn wrong_identity<F: Fixture>(bench: &Bench<F>) {
    let other = Keys::new();
    let identity = other.identity_file().display().to_string();
    let before = (contents(&bench.path("data")), bench.fixture.fingerprint());
    for verb in [
        &["restore", "shop", "--yes"][..],
        &["restore", "shop", "--dry-run", "--verify"],
        &["verify", "shop", "--level", "decode"],
        &["download", "shop@latest", "-o", "out"],
    ] {
        let said = bench.fails(1, &[verb, &["--identity", &identity]].concat());
        says(&said, &[&bench.listed()[0], "none of the identities opens it", "--identity FILE"]);
        assert!((contents(&bench.path("data")), bench.fixture.fingerprint()) == before, "{verb:?} touched the data");
    }
    assert_eq!(crate::support::bench::names(&bench.path("out")), Vec::<String>::new());
    for kind in ["restore", "verify"] {
        assert_eq!(bench.runs(kind)[0]["outcome"], "failed", "{kind}");
    }
    all_restore(bench);
}

#[test]
fn a_wrong_identity_opens_no_database_and_replaces_none() {
    wrong_identity(&with_a_backup::<SqliteFixture>());
}

#[test]
fn a_wrong_identity_opens_no_tree_and_touches_none() {
    wrong_identity(&with_a_backup::<FilesFixture>());
}

#[test]
fn a_wrong_identity_starts_no_command_that_writes_in_place() {
    let bench = Bench::<CommandFixture>::new();
    let state = bench.fixture.state.display();
    let keys = format!("dump = [\"cat\", \"{state}\"]\nrestore = [\"sh\", \"-c\", \"cat > {state}\"]\n");
    bench.configure(&keys, "");
    bench.ok(&["backup", "shop"]);
    wrong_identity(&bench);
    bench.flip_a_bit(&bench.listed()[0]);
    bench.fails(1, &["restore", "shop", "--yes"]);
    assert_eq!(bench.fixture.fingerprint(), bench.before(), "a flipped bit is found before the command is started too");
}

#[test]
fn no_identity_at_all() {
    let bench = with_a_backup::<SqliteFixture>();
    let sound = bench.configuration();
    bench.edit(&format!("identity_files = [\"{}\"]", bench.keys.identity_file().display()), "");
    for verb in [
        &["restore", "shop", "--yes"][..],
        &["verify", "shop", "--level", "decode"],
        &["download", "shop@latest", "-o", "out"],
    ] {
        let said = bench.fails(2, verb);
        says(
            &said,
            &["is encrypted and no identity is given", &bench.keys.recipient(), "--identity FILE", "`identity_files`"],
        );
    }
    // To make backups and to compare checksums the host needs no key.
    bench.ok(&["backup", "shop"]);
    bench.ok(&["verify", "shop"]);
    bench.set_configuration(&sound);
    all_restore(&bench);
}

#[test]
fn a_file_that_is_no_identity_or_not_there() {
    let bench = with_a_backup::<SqliteFixture>();
    std::fs::write(bench.path("letter"), "Dear key,\n").unwrap();
    std::fs::write(bench.path("empty"), "").unwrap();
    for file in ["letter", "empty"] {
        mode(&bench.path(file), 0o600);
    }
    for (file, words) in [("letter", "is no identity file"), ("empty", "there is no key in it")] {
        let said = bench.fails(2, &["restore", "shop", "--yes", "--identity", file]);
        assert!(said.contains(file) && said.contains(words), "{said}");
    }
    let said = bench.fails(1, &["restore", "shop", "--yes", "--identity", "no-such-key"]);
    assert!(said.contains("no-such-key") && said.contains("No such file"), "{said}");
    all_restore(&bench);
}

#[test]
fn a_secret_file_that_everybody_can_read() {
    let bench = with_a_backup::<SqliteFixture>();
    let identity = bench.keys.identity_file();
    mode(&identity, 0o644);
    let said = bench.fails(78, &["restore", "shop", "--yes"]);
    says(&said, &["can be read by everybody", &format!("chmod o-rwx {}", identity.display())]);
    assert_eq!(bench.runs("restore")[0]["outcome"], "failed");
    mode(&identity, 0o640);
    all_restore(&bench);

    let sound = bench.configuration();
    std::fs::write(bench.path("passphrase"), "hunter2\n").unwrap();
    mode(&bench.path("passphrase"), 0o604);
    bench.edit(
        &format!("recipients = [\"{}\"]", bench.keys.recipient()),
        "passphrase = { file = \"$HERE/passphrase\" }",
    );
    let said = backup_fails(&bench, 78, &["passphrase can be read by everybody", "chmod o-rwx"]);
    assert!(!said.contains("hunter2"));
    bench.set_configuration(&sound);
    all_restore(&bench);
}

#[test]
fn recipients_that_are_not_there_or_none() {
    let bench = with_a_backup::<SqliteFixture>();
    let sound = bench.configuration();
    bench.edit(&format!("recipients = [\"{}\"]", bench.keys.recipient()), "recipients_file = \"$HERE/recipients.txt\"");
    let said = bench.fails(1, &["backup", "shop"]);
    assert!(said.contains("recipients.txt") && said.contains("No such file"), "{said}");
    std::fs::write(bench.path("recipients.txt"), "# nobody\n").unwrap();
    backup_fails(&bench, 78, &["no recipient to encrypt to", "qbackd keygen"]);
    std::fs::write(bench.path("recipients.txt"), format!("{}\nage1nonsense\n", bench.keys.recipient())).unwrap();
    let said = bench.fails(78, &["backup", "shop"]);
    assert!(
        said.contains("line 2 of") && said.contains("is no age recipient") && !said.contains("AGE-SECRET"),
        "{said}"
    );
    assert_eq!(bench.outcomes(), ["failed", "failed", "failed", "succeeded"]);
    std::fs::write(bench.path("recipients.txt"), format!("# us\n\n{}\n", bench.keys.recipient())).unwrap();
    bench.ok(&["backup", "shop"]);
    bench.set_configuration(&sound);
    all_restore(&bench);
}

#[test]
fn a_wrong_passphrase() {
    let bench = Bench::<CommandFixture>::new();
    std::fs::write(bench.path("passphrase"), "right\n").unwrap();
    std::fs::write(bench.path("wrong"), "wrong\n").unwrap();
    for file in ["passphrase", "wrong"] {
        mode(&bench.path(file), 0o600);
    }
    bench.edit(
        &format!("recipients = [\"{}\"]", bench.keys.recipient()),
        "passphrase = { file = \"$HERE/passphrase\" }",
    );
    bench.ok(&["backup", "shop"]);
    let said = bench.fails(1, &["restore", "shop", "--yes", "--passphrase-file", "wrong"]);
    assert!(said.contains("cannot read shop.dump.zst.age of shop/"), "{said}");
    assert!(!said.contains("right"));
    assert_eq!(bench.fixture.fingerprint(), bench.before());
    all_restore(&bench);
}
