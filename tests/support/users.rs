//! Several users with groups of their own: in a mount namespace whose `/etc/passwd` and `/etc/group` know them.

use std::process::{Command, Stdio};

/// Set inside the namespace.
const INSIDE: &str = "QBACKD_TEST_USERS";

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\n\
                      ada:x:4243:4243::/:/bin/sh\n\
                      alice:x:4242:4242::/:/bin/sh\n\
                      eve:x:4244:4244::/:/bin/sh\n";
pub const GROUP: &str = "root:x:0:\n\
                     qbackd:x:4300:ada\n\
                     shopkeepers:x:4301:alice\n\
                     eve:x:4244:\n";

/// Root.
pub const ROOT: &[&str] = &[];
/// In the group qbackd, by the file of groups; her process has none of its groups.
pub const ADA: &[&str] = &["--reuid=4243", "--regid=4243", "--clear-groups"];
/// In the owner group of shop.
pub const ALICE: &[&str] = &["--reuid=4242", "--regid=4242", "--clear-groups"];
/// In no group that matters.
pub const EVE: &[&str] = &["--reuid=4244", "--regid=4244", "--clear-groups"];
/// A user without a name, whose process has the owner group of shop as its own.
pub const NOBODY: &[&str] = &["--reuid=4245", "--regid=4301", "--clear-groups"];

/// Whether those users are known here; if not, `test` (its whole path) is run once more where they are, and must succeed there.
pub fn among_users(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    assert!(rustix::process::geteuid().is_root(), "several users are needed: run the tests as root");
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (passwd, group) = (file("passwd", PASSWD), file("group", GROUP));
    let mounts = "mount --bind \"$1\" /etc/passwd && mount --bind \"$2\" /etc/group && shift 2 && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "--", "sh", "-c", mounts, "sh", &passwd, &group])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "yes")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
    false
}
