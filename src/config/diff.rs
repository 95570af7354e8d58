//! What is different between two plans: what a reload changes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::plan::{AT_RESTART, Database, Plan, Policy};
use crate::model::Name;

/// The difference of two plans, in the terms of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// What is new: `database shop`.
    pub added: Vec<String>,
    /// What is gone.
    pub removed: Vec<String>,
    /// What is different.
    pub changed: Vec<Change>,
}

/// One thing that is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What: `database shop`.
    pub what: String,
    /// The keys that differ, where they are known one by one.
    pub keys: Vec<String>,
}

impl Diff {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A line for each difference.
    pub fn lines(&self) -> Vec<String> {
        let added = self.added.iter().map(|what| format!("added {what}"));
        let removed = self.removed.iter().map(|what| format!("removed {what}"));
        let changed = self.changed.iter().map(|change| format!("changed {change}"));
        added.chain(removed).chain(changed).collect()
    }

    fn change(&mut self, what: impl Into<String>, keys: Vec<&'static str>) {
        self.changed.push(Change { what: what.into(), keys: keys.into_iter().map(str::to_owned).collect() });
    }

    /// Compares the tables of one kind. `compare` tells the keys that differ, `None` if nothing does.
    fn tables<T>(
        &mut self,
        kind: &str,
        old: &BTreeMap<Name, T>,
        new: &BTreeMap<Name, T>,
        compare: impl Fn(&T, &T) -> Option<Vec<&'static str>>,
    ) {
        let named = |name: &Name| format!("{kind} {name}");
        self.added.extend(new.keys().filter(|name| !old.contains_key(*name)).map(named));
        self.removed.extend(old.keys().filter(|name| !new.contains_key(*name)).map(named));
        for (name, was) in old {
            if let Some(keys) = new.get(name).and_then(|is| compare(was, is)) {
                self.change(named(name), keys);
            }
        }
    }
}

const DAEMON: &str = "[daemon]";

/// What one line of the journal has room for.
const MOST: usize = 5;

impl fmt::Display for Diff {
    /// All of it on one line: `added database blog; changed database shop (full, keep)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed: Vec<String> = self.changed.iter().map(ToString::to_string).collect();
        let mut first = true;
        for (verb, list) in [("added", &self.added), ("removed", &self.removed), ("changed", &changed)] {
            if list.is_empty() {
                continue;
            }
            let more = match list.len().saturating_sub(MOST) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let shown: Vec<&str> = list.iter().take(MOST).map(String::as_str).collect();
            write!(f, "{}{verb} {}{more}", if first { "" } else { "; " }, shown.join(", "))?;
            first = false;
        }
        if first { f.write_str("nothing changed") } else { Ok(()) }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.keys.is_empty() {
            return Ok(());
        }
        let later = |key: &String| self.what == DAEMON && AT_RESTART.contains(&key.as_str());
        let (later, now): (Vec<&String>, Vec<&String>) = self.keys.iter().partition(|key| later(key));
        let mut shown: Vec<String> = now.into_iter().cloned().collect();
        shown.extend(later.into_iter().map(|key| format!("{key} at the next restart")));
        write!(f, " ({})", shown.join(", "))
    }
}

/// The names of the fields in which two values differ.
macro_rules! differing {
    ($old:expr, $new:expr; $($field:ident),+ $(,)?) => {{
        let mut keys: Vec<&'static str> = Vec::new();
        $(if $old.$field != $new.$field { keys.push(stringify!($field)); })+
        keys
    }};
}

/// What loading `new` in place of `old` changes.
pub fn diff(old: &Plan, new: &Plan) -> Diff {
    let mut diff = Diff::default();
    let some = |keys: Vec<&'static str>| (!keys.is_empty()).then_some(keys);
    let unlike = |differ: bool| differ.then(Vec::new);
    let daemon = differing!(old.daemon.options, new.daemon.options;
        state_dir, control_socket, max_parallel, timezone, listen, history_keep, shutdown_grace, status, detach_after);
    if !daemon.is_empty() {
        diff.change(DAEMON, daemon);
    }
    if old.signing != new.signing {
        diff.change("[signing]", Vec::new());
    }
    diff.tables("destination", &old.destinations, &new.destinations, |a, b| {
        unlike(a.options != b.options || a.keep != b.keep)
    });
    diff.tables("encryption", &old.encryptions, &new.encryptions, |a, b| unlike(a.options != b.options));
    diff.tables("notify", &old.notify, &new.notify, |a, b| unlike(a.how != b.how));
    diff.tables("database", &old.databases, &new.databases, |a, b| some(database(a, b)));
    diff
}

/// The keys in which two databases differ, their policies' among them.
fn database(old: &Database, new: &Database) -> Vec<&'static str> {
    let mut keys = Vec::new();
    if old.engine.name != new.engine.name {
        keys.push("engine");
    }
    keys.extend(differing!(old.source, new.source;
        url, password, method, jobs, files, exclude, dump, restore, lock_timeout, tools_dir, dump_args));
    keys.extend(differing!(old.options, new.options;
        tls, replicas, max_lag, chain_max, databases, include_tables, exclude_tables, nice, ionice, check_sql));
    keys.extend(policy(&old.policy, &new.policy));
    keys
}

/// The keys in which two policies differ. What a destination or an encryption says is its own matter, here only which one it is.
fn policy(old: &Policy, new: &Policy) -> Vec<&'static str> {
    let mut keys = differing!(old, new;
        full, incremental, drill, pitr, max_loss, compression, keep, timeout, stall_timeout, retry, randomized_delay, persistent,
        not_between, pause_after, stale_after, notify, owner, hooks, stop_units, enabled);
    let places = |policy: &Policy| -> Vec<Name> { policy.destinations.iter().map(|d| d.name.clone()).collect() };
    if places(old) != places(new) {
        keys.push("destinations");
    }
    let key = |policy: &Policy| policy.encryption.as_ref().map(|encryption| encryption.name.clone());
    if key(old) != key(new) {
        keys.push("encryption");
    }
    keys
}
