//! File systems of a test's own: a mount namespace, in which everybody is root.

use std::path::Path;
use std::process::{Command, Stdio};

use super::fixture::sh;

/// Set inside.
const INSIDE: &str = "QBACKD_TEST_MOUNTS";

/// Whether the test runs in a mount namespace of its own; if not, it is run once more in one, and must succeed there.
/// `test` is its full name.
pub fn of_our_own(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == test) {
        return true;
    }
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, test)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("the tests need `unshare`: {e}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{test} in a mount namespace (which the kernel must allow to ordinary users): {}\n{out}\n{err}",
        output.status
    );
    false
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An empty file system in memory at `at`, with these options of tmpfs(5). It is gone with the namespace.
pub fn tmpfs(at: &Path, options: &str) {
    std::fs::create_dir_all(at).unwrap();
    sh("mount", &["-t", "tmpfs", "-o", options, "tmpfs", utf8(at)]);
}

/// Makes a folder read-only, as a file system is after an error.
pub fn read_only(at: &Path) {
    sh("mount", &["--bind", utf8(at), utf8(at)]);
    sh("mount", &["-o", "remount,bind,ro", utf8(at)]);
}
