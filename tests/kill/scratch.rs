//! What a restore, a verify or a rehearsal that is killed leaves in plain, the next one removes: its own, nothing of anybody else, and
//! nothing that is in use.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::bench::{Bench, names};
use crate::support::daemon::until;
use crate::support::fixture::{CommandFixture, Fixture, SqliteFixture, is_root};

/// The scratch folders in the bench's `$TMPDIR`.
fn left<F: Fixture>(bench: &Bench<F>) -> Vec<PathBuf> {
    let ours = |name: &String| name.starts_with("qbackd-");
    names(&bench.path("")).into_iter().filter(ours).map(|name| bench.path(name)).collect()
}

/// Data that restores into a folder of its choice, and then waits to be let go.
fn hanging() -> Bench<CommandFixture> {
    let bench = Bench::<CommandFixture>::with_keys(
        "dump = ['echo', 'precious']\n\
         restore = ['sh', '-c', 'cat > \"$QBACKD_RESTORE_TO\"; while [ -d $HERE/data ] && ! [ -e $HERE/go ]; do sleep 0.1; done']\n",
    );
    bench.ok(&["backup", "shop"]);
    bench
}

/// A verify that has restored the data and goes no further; its process, and where the data is.
fn verifying(bench: &Bench<CommandFixture>) -> (std::process::Child, PathBuf) {
    let known = left(bench);
    let mut verb = bench.command(&["verify", "shop", "--level", "restore"]);
    let verb = verb.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let folder = until("the data is restored", || {
        let new = left(bench).into_iter().find(|folder| !known.contains(folder))?;
        (std::fs::read_to_string(new.join("restored")).ok()? == "precious\n").then_some(new)
    });
    (verb, folder)
}

#[test]
fn what_a_killed_verify_had_restored_goes_with_the_next_and_a_living_one_keeps_its_own() {
    let bench = hanging();
    let (mut dead, dead_folder) = verifying(&bench);
    dead.kill().unwrap();
    assert_eq!(dead.wait().unwrap().signal(), Some(9));
    assert_eq!(std::fs::read_to_string(dead_folder.join("restored")).unwrap(), "precious\n", "a test of nothing");

    let (mut alive, folder) = verifying(&bench);
    assert!(!dead_folder.exists(), "decrypted data is still there");
    bench.ok(&["verify", "shop", "--level", "decode"]);
    assert_eq!(std::fs::read_to_string(folder.join("restored")).unwrap(), "precious\n", "it was in use");
    std::fs::write(bench.path("go"), "").unwrap();
    assert!(alive.wait().unwrap().success());
    assert_eq!(left(&bench), Vec::<PathBuf>::new());
}

/// Runs a verb until it has written so much of the decrypted database that the kernel kills it for it.
fn dies_writing(bench: &Bench<SqliteFixture>, args: &[&str]) {
    let verb = bench.command(args);
    let mut dying = Command::new("prlimit");
    dying.args(["--fsize=1000000", "--core=0", "--"]).arg(verb.get_program()).args(verb.get_args());
    dying.env("TMPDIR", bench.path("")).current_dir(bench.path("")).stdin(Stdio::null());
    let died = dying.output().unwrap();
    assert!(died.status.signal().is_some(), "{died:?}");
}

fn holds_a_database(file: &Path) {
    assert!(std::fs::read(file).unwrap().starts_with(b"SQLite format 3\0"), "a test of nothing");
}

#[test]
fn what_a_rehearsal_had_decrypted_when_it_died_goes_with_the_next_restore() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    dies_writing(&bench, &["restore", "shop", "--dry-run", "--verify"]);
    let folders = left(&bench);
    let [folder] = &folders[..] else { panic!("a test of nothing: {folders:?}") };
    holds_a_database(&folder.join("shop.db"));
    let out = bench.path("beside.db");
    bench.ok(&["restore", "shop", "--to", out.to_str().unwrap()]);
    assert_eq!(left(&bench), Vec::<PathBuf>::new(), "decrypted data is still there");
}

#[test]
fn what_a_restore_had_written_beside_its_target_when_it_died_goes_with_the_next_to_the_same() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    std::fs::create_dir(bench.path("out")).unwrap();
    let (target, other) = (bench.path("out/app.db"), bench.path("out/.other.db.qbackd-abcdefgh"));
    std::fs::write(&other, "precious").unwrap();
    dies_writing(&bench, &["restore", "shop", "--to", target.to_str().unwrap()]);
    let ours = |name: &String| name.starts_with(".app.db.qbackd-");
    let half: Vec<String> = names(&bench.path("out")).into_iter().filter(ours).collect();
    assert_eq!(half.len(), 1, "a test of nothing");
    let half = bench.path("out").join(&half[0]);
    holds_a_database(&half);
    // Somebody looks at it: it may be at work.
    let open = std::fs::File::open(&half).unwrap();
    bench.ok(&["restore", "shop", "--to", target.to_str().unwrap()]);
    assert!(half.exists());
    drop(open);
    bench.ok(&["restore", "shop", "--to", target.to_str().unwrap(), "--overwrite", "--yes"]);
    let mut there = names(&bench.path("out"));
    there.sort();
    assert_eq!(there, [".other.db.qbackd-abcdefgh", "app.db"]);
}

#[test]
fn what_only_looks_like_it_or_is_somebody_elses_stays() {
    let bench = Bench::<CommandFixture>::new();
    bench.ok(&["backup", "shop"]);
    let folder = |name: &str| {
        let path = bench.path(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        std::fs::write(path.join("file"), "precious").unwrap();
        path
    };
    let ours = folder("qbackd-verify-abcdefgh");
    let mut others = vec![
        folder("qbackd-notes-abcdefgh"),
        folder("qbackd-verify-ABCDEFGH"),
        folder("qbackd-verify-abcdefgh2"),
        folder("elsewhere"),
    ];
    // Open to others: qbackd does not make them so.
    others.push(folder("qbackd-restore-abcdefgh"));
    std::fs::set_permissions(&others[4], Permissions::from_mode(0o755)).unwrap();
    if is_root() {
        others.push(folder("qbackd-restore-bcdefghj"));
        chown(&others[5], Some(4242), Some(4242)).unwrap();
    }
    let link = bench.path("qbackd-restore-cdefghjk");
    symlink(bench.path("elsewhere"), &link).unwrap();
    let file = bench.path("qbackd-restore-defghjkm");
    std::fs::write(&file, "precious").unwrap();

    bench.ok(&["verify", "shop", "--level", "decode"]);
    assert!(!ours.exists());
    for other in others {
        assert_eq!(std::fs::read_to_string(other.join("file")).unwrap(), "precious", "{}", other.display());
    }
    assert!(link.is_symlink() && file.is_file());
}
