//! What the control server asks of the daemon: one method a request. The server has read the request and asked whether the
//! caller may make it; the desk does it.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::Caller;
use crate::config::Plan;
use crate::control::wire::{Backup, Changed, Delete, Document, Ended, Pause, Prune, Reload, Restore, Started};
use crate::control::{self, History, Status};
use crate::error::{Error, Kind, Result};
use crate::history::{Action, Line, Run};
use crate::model::{Name, Progress, RunId};

/// A run, what somebody did, or a line of a run.
pub type Entry = control::Entry<Run, Action, Line>;

/// What the loop of the daemon does for callers.
///
/// The server has checked that the caller may act on every database that a request names, and, where it names none and so means
/// all, that they may do everything. Where a request has the id of a run or of a backup, the desk finds the database and asks
/// [`Caller::may`]; so it does for each run of the history of all.
///
/// The server drops the future of a request when the caller goes away: what was asked for is done all the same.
#[async_trait]
pub trait Desk: Send + Sync + 'static {
    /// The configuration that runs now; owners and `status` are read from it.
    fn plan(&self) -> Arc<Plan>;

    /// The folder that it was read from.
    fn config(&self) -> Option<PathBuf> {
        None
    }

    /// Accepts runs, one for each database, or (an error) none of them. Busy or pending: [`Kind::TryAgain`].
    async fn backup(&self, ask: Backup, by: &Caller) -> Result<Started>;

    /// The pending or running run of a database (`shop`), else its last one; or a run by the beginning of its id.
    async fn watch(&self, what: &str, by: &Caller) -> Result<Watch>;

    /// Asks the pending or running run of a database to stop. There is none: [`Kind::NotFound`].
    async fn cancel(&self, database: &Name, by: &Caller) -> Result<Watch>;

    /// Pauses a database: no run starts by itself until [`Desk::resume`].
    async fn pause(&self, database: &Name, ask: Pause, by: &Caller) -> Result<Changed>;

    /// Ends a pause.
    async fn resume(&self, database: &Name, by: &Caller) -> Result<Changed>;

    /// Forgets the failures of a database, and the pause they led to.
    async fn reset_failed(&self, database: &Name, by: &Caller) -> Result<Changed>;

    /// Loads the files and takes them over, if they are right.
    async fn reload(&self, by: &Caller) -> Result<Reload>;

    /// Loads the files and tells what a reload would change.
    async fn diff(&self) -> Result<Reload>;

    /// The status of these databases; none: of all. The server leaves out those that the caller may not see.
    async fn status(&self, names: &[Name]) -> Result<Status>;

    /// Runs of the history and what people did among them, oldest first, and what is added to them. The stream ends when the receiver is dropped.
    async fn history(&self, ask: History, by: &Caller) -> Result<mpsc::Receiver<Result<Entry>>>;

    /// Applies retention, or explains it; as `qbackd prune --json` prints it.
    async fn prune(&self, ask: Prune, by: &Caller) -> Result<Document>;

    /// Deletes a backup, or tells what would go; as `qbackd delete --json` prints it.
    async fn delete(&self, ask: Delete, by: &Caller) -> Result<Document>;

    /// Restores a database into its own server, which gives a handle; or tells the plan.
    async fn restore(&self, ask: Restore, by: &Caller) -> Result<Document> {
        let _ = by;
        Err(Error::new(Kind::Unavailable, format!("cannot restore {} through the daemon: that is not built", ask.what))
            .hint("run `qbackd restore` as a user who can read the secrets of the configuration"))
    }
}

/// A run to watch. The server looks at `progress` as often as anybody needs, so a run costs nothing where nobody watches.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The database.
    pub database: Name,
    /// Counters and phase; `queued` and the like while it waits.
    pub progress: Progress,
    /// What changes seldom.
    pub state: watch::Receiver<Stage>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its id.
    pub run: Option<RunId>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How it ended.
    pub ended: Option<Ended>,
}

impl Watch {
    /// A run that ended before anybody looked: one of the history.
    pub fn ended(database: Name, run: RunId, how: Ended) -> Self {
        let stage = Stage { run: Some(run), attempt: 1, ended: Some(how) };
        // The value stays readable when the sender is gone.
        let (_, state) = watch::channel(stage);
        Self { database, progress: Progress::default(), state }
    }
}
