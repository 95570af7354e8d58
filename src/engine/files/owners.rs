//! Names of users and groups, from `/etc/passwd` and `/etc/group`: an archive carries names besides numbers, because the same
//! service may have another number on the next machine. Accounts of a directory service travel by number.

use std::collections::HashMap;

/// Names and numbers of this machine.
#[derive(Debug, Default)]
pub(super) struct Owners {
    users: Names,
    groups: Names,
}

#[derive(Debug, Default)]
struct Names {
    by_id: HashMap<u32, String>,
    by_name: HashMap<String, u32>,
}

impl Names {
    fn read(file: &str) -> Self {
        let mut names = Self::default();
        // Without the file there are only numbers.
        for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(Ok(id))) = (fields.next(), fields.nth(1).map(str::parse::<u32>)) {
                names.by_id.entry(id).or_insert_with(|| name.to_owned());
                names.by_name.entry(name.to_owned()).or_insert(id);
            }
        }
        names
    }
}

impl Owners {
    /// Those of this machine, as of now.
    pub(super) fn here() -> Self {
        Self { users: Names::read("/etc/passwd"), groups: Names::read("/etc/group") }
    }

    /// The name of a user; empty if there is none.
    pub(super) fn user(&self, uid: u32) -> &str {
        self.users.by_id.get(&uid).map_or("", String::as_str)
    }

    /// The name of a group; empty if there is none.
    pub(super) fn group(&self, gid: u32) -> &str {
        self.groups.by_id.get(&gid).map_or("", String::as_str)
    }

    /// The number a user has here: by name if it is known here, else the one it had.
    pub(super) fn uid(&self, name: &str, was: u32) -> u32 {
        self.users.by_name.get(name).copied().unwrap_or(was)
    }

    /// The number a group has here.
    pub(super) fn gid(&self, name: &str, was: u32) -> u32 {
        self.groups.by_name.get(name).copied().unwrap_or(was)
    }
}
