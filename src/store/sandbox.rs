//! What to do when systemd, and not the file system, refuses a write: the sandbox of a unit shows folders read-only that are not.

use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::error::{Error, from_io};

/// The failure to write at `path`. Inside of a unit that may not write there the hint is the command that lets it.
pub(super) fn refused(what: impl Into<String>, error: std::io::Error, path: &Path, root: &Path) -> Error {
    let may_be_it = matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied);
    let failure = from_io(what, error);
    // systemd gives every run of a unit an id (systemd.exec(5)).
    if !may_be_it || std::env::var_os("INVOCATION_ID").is_none() || !shown_read_only(path) {
        return failure;
    }
    failure.hint(drop_in(root, root.exists()))
}

/// Whether what is at `path`, or what is there of it, is on a mount that is read-only although its file system is not.
fn shown_read_only(path: &Path) -> bool {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let Ok(stat) = statx(CWD, there, AtFlags::empty(), StatxFlags::MNT_ID) else { return false };
    std::fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| only_the_mount(&mounts, stat.stx_mnt_id))
}

/// The same of the mount `id`, by the lines of proc_pid_mountinfo(5):
/// `36 35 98:0 /mnt1 /mnt2 ro,noatime master:1 - ext3 /dev/root rw`
fn only_the_mount(mounts: &str, id: u64) -> bool {
    let read_only = |options: Option<&str>| options.is_some_and(|options| options.split(',').any(|word| word == "ro"));
    let line = mounts.lines().find(|line| line.split(' ').next().is_some_and(|first| first == id.to_string()));
    let Some((mount, file_system)) = line.and_then(|line| line.split_once(" - ")) else { return false };
    read_only(mount.split(' ').nth(5)) && !read_only(file_system.split(' ').nth(2))
}

/// The command that lets the unit write below `root`, to be typed by root.
fn drop_in(root: &Path, exists: bool) -> String {
    let name = root.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@,".contains(c);
    if !name.chars().all(plain) {
        return format!("the unit may not write there: add ReadWritePaths= with {name} to it (systemctl edit qbackd)");
    }
    let make = if exists { String::new() } else { format!("install -d -o qbackd -g qbackd -m 0750 {name} && ") };
    let file = name.trim_matches('/').replace(['/', ':', '@', ','], "-");
    format!(
        "the unit may not write there; as root: {make}mkdir -p /etc/systemd/system/qbackd.service.d && \
         printf '[Service]\\nReadWritePaths=-{name}\\n' >/etc/systemd/system/qbackd.service.d/{file}.conf && \
         systemctl daemon-reload && systemctl restart qbackd"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_that_is_read_only_over_a_writable_file_system_is_the_unit() {
        let mounts = "35 1 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      36 35 8:2 / /mnt ro,relatime shared:2 - ext4 /dev/sda2 ro,errors=remount-ro\n\
                      37 35 8:1 /srv /srv rw,relatime - ext4 /dev/sda1 rw\n";
        assert_eq!([35, 36, 37, 3].map(|id| only_the_mount(mounts, id)), [true, false, false, false]);
    }

    #[test]
    fn a_path_that_a_shell_would_take_apart_is_in_no_command() {
        let hint = drop_in(Path::new("/srv/a b; rm"), true);
        assert!(!hint.contains("printf") && hint.contains("/srv/a b; rm"), "{hint}");
    }
}
