//! Who is at the other end of the socket, as the kernel tells, and what they may do (DESIGN section 9).

use std::fmt;
use std::sync::Arc;

use tokio::net::unix::UCred;

use crate::config::Plan;
use crate::config::options::StatusFor;
use crate::error::{Error, Kind, Result};
use crate::model::Name;

/// Members of this group may do everything.
pub const ADMINS: &str = "qbackd";

/// Somebody who asks, at the time of one request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user of the process, as it was when it connected.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its process, where the kernel tells.
    pub pid: Option<i32>,
    /// The name of the user, if it has one.
    pub user: Option<String>,
    /// The names of the groups of the user, and of the process's own group.
    pub groups: Vec<String>,
    plan: Arc<Plan>,
}

impl Caller {
    /// Looks the user and its groups up, now. This may ask a directory service: it blocks.
    pub fn look_up(peer: &UCred, plan: Arc<Plan>) -> Self {
        if peer.uid() == 0 {
            // Root must be served when no directory of users answers.
            let (user, groups) = (Some("root".to_owned()), Vec::new());
            return Self { uid: 0, gid: peer.gid(), pid: peer.pid(), user, groups, plan };
        }
        let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
        let user = uzers::get_user_by_uid(peer.uid());
        let mut groups = Vec::new();
        if let Some(user) = &user {
            let known = uzers::get_user_groups(user.name(), user.primary_group_id()).unwrap_or_default();
            groups.extend(known.iter().map(|group| text(group.name())));
        }
        groups.extend(uzers::get_group_by_gid(peer.gid()).map(|group| text(group.name())));
        let user = user.map(|user| text(user.name()));
        Self { uid: peer.uid(), gid: peer.gid(), pid: peer.pid(), user, groups, plan }
    }

    /// Whether they may do everything.
    pub fn is_admin(&self) -> bool {
        self.uid == 0 || self.is_in(ADMINS)
    }

    /// Whether they may act on this database. One that the configuration does not name belongs to no group.
    ///
    /// # Errors
    /// They may not; the hint names the group that may.
    pub fn may(&self, database: &Name) -> Result<()> {
        let owner = self.owner(database);
        if self.is_admin() || owner.is_some_and(|group| self.is_in(group)) {
            return Ok(());
        }
        let hint = match owner {
            Some(group) => format!("members of the groups `{group}` and `{ADMINS}` may, and root"),
            None => {
                format!("members of the group `{ADMINS}` may, and root; `owner` in its policy can name another group")
            }
        };
        Err(Error::new(Kind::NotPermitted, format!("{self} may not act on {database}")).hint(hint))
    }

    /// Whether they may do what concerns all databases or the daemon itself.
    ///
    /// # Errors
    /// They may not.
    pub fn may_all(&self, what: &str) -> Result<()> {
        if self.is_admin() {
            return Ok(());
        }
        Err(Error::new(Kind::NotPermitted, format!("{self} may not {what}"))
            .hint(format!("members of the group `{ADMINS}` may, and root")))
    }

    /// Whether they may act on any database at all: who may not learns nothing of what there is.
    ///
    /// # Errors
    /// They may not.
    pub fn may_any(&self, what: &str) -> Result<()> {
        match self.own().next() {
            Some(_) => Ok(()),
            None => self.may_all(what),
        }
    }

    /// The databases that they may act on.
    pub fn own(&self) -> impl Iterator<Item = &Name> {
        self.plan.databases.keys().filter(|name| self.may(name).is_ok())
    }

    /// Whether they may see the status of this database.
    pub fn sees(&self, database: &Name) -> bool {
        self.plan.daemon.options.status == StatusFor::All || self.may(database).is_ok()
    }

    /// Whether they may see the status of these databases, or (none named) of any.
    ///
    /// # Errors
    /// They may not.
    pub fn may_see(&self, databases: &[Name]) -> Result<()> {
        if self.plan.daemon.options.status == StatusFor::All || self.is_admin() {
            return Ok(());
        }
        databases.iter().try_for_each(|name| self.may(name))?;
        if databases.is_empty() && self.own().next().is_none() {
            return Err(Error::new(Kind::NotPermitted, format!("{self} may not see the status"))
                .because("`[daemon] status` is \"owners\"")
                .hint(format!("members of the group `{ADMINS}` may, and of the `owner` of a database")));
        }
        Ok(())
    }

    fn owner(&self, database: &Name) -> Option<&str> {
        self.plan.databases.get(database)?.policy.owner.as_deref()
    }

    fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|known| known == group)
    }
}

/// `alice (uid 1000)`: how the history and the journal name who asked.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "{user} (uid {})", self.uid),
            None => write!(f, "uid {}", self.uid),
        }
    }
}
