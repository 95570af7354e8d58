//! Commands of the user around a run: `before_backup`, `after_backup`, `on_failure`, `before_restore`, `after_restore`.
//!
//! Each is given to `/bin/sh -c` and told about the run in variables (qbackd.toml(5) lists them). What it prints becomes lines
//! of the run. A hook before the work can refuse it; one that fails after it changes nothing any more: that is a warning.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::recorded::beside;
use crate::config::{Database, options};
use crate::engine::process::{Ran, Tool};
use crate::error::{Error, Kind, Result};
use crate::history::{Ending, Level};
use crate::model::{BackupRef, Manifest, Outcome, Progress, RunId, RunKind, Timespan};
use crate::store::paths;

/// How many lines of one hook are kept.
const LINES: usize = 1000;

/// How long after a cancel a hook may go on that puts things back in order. Somebody waits then; at a shutdown that is the service
/// manager, which is asked for what [`cleaning`](super::limits::cleaning) adds up.
pub(super) const AFTER_CANCEL: Duration = Duration::from_secs(7);

/// What a run tells all of its hooks.
pub(super) struct About<'a> {
    /// The run.
    pub(super) run: &'a RunId,
    /// What it does.
    pub(super) kind: RunKind,
    /// The backup it makes or brings back.
    pub(super) backup: &'a BackupRef,
    /// Where to or from.
    pub(super) destination: &'a str,
    /// What its watchers see.
    pub(super) progress: &'a Progress,
}

/// The hooks of one run.
pub(super) struct Hooks<'a> {
    context: &'a Context,
    commands: options::Hooks,
    run: RunId,
    progress: Progress,
    variables: Vec<(&'static str, String)>,
    begun: Timestamp,
}

impl<'a> Hooks<'a> {
    /// The hooks of `database` for this run. Without one there are none: data that is brought to another place than its
    /// database's own is no business of that database.
    pub(super) fn new(context: &'a Context, database: Option<&Database>, about: &About<'_>) -> Self {
        let commands = database.map(|database| database.policy.hooks.clone()).unwrap_or_default();
        let engine = database.map_or("", |database| database.engine.name);
        let (name, destination) = (about.backup.database.to_string(), about.destination.to_owned());
        let mut variables = vec![
            ("QBACKD_RUN", about.run.to_string()),
            ("QBACKD_KIND", about.kind.to_string()),
            ("QBACKD_DATABASE", name.clone()),
            ("QBACKD_ENGINE", engine.to_owned()),
            ("QBACKD_BACKUP", about.backup.to_string()),
            ("QBACKD_TYPE", about.backup.id.kind().to_string()),
            ("QBACKD_DESTINATION", destination.clone()),
            ("QBACKD_ATTEMPT", context.scheduled.map_or(1, |scheduled| scheduled.attempt).to_string()),
            ("QBACKD_INITIATED_BY", context.initiated_by.clone()),
            ("QBACKD_HOST", context.host.clone()),
        ];
        // The names that hooks written for Databasement read.
        let [id, server, named, kind, volume] = match about.kind {
            RunKind::Restore => [
                "RESTORE_SERVER_ID",
                "RESTORE_SERVER_NAME",
                "RESTORE_DATABASE_NAME",
                "RESTORE_DATABASE_TYPE",
                "RESTORE_VOLUME_NAME",
            ],
            _ => [
                "BACKUP_SERVER_ID",
                "BACKUP_SERVER_NAME",
                "BACKUP_DATABASE_NAME",
                "BACKUP_DATABASE_TYPE",
                "BACKUP_VOLUME_NAME",
            ],
        };
        variables.extend([(id, name.clone()), (server, name.clone()), (named, name), (volume, destination)]);
        variables.push((kind, engine.to_owned()));
        let (run, progress) = (about.run.clone(), about.progress.clone());
        Self { context, commands, run, progress, variables, begun: context.clock.now() }
    }

    /// Adds what the hooks of a restore are told of the backup it brings back.
    pub(super) fn restoring(mut self, manifest: &Manifest) -> Self {
        self.variables.push(("RESTORE_SOURCE_DATABASE", manifest.database.to_string()));
        self.variables.extend(artifact(manifest).map(|(path, ..)| ("RESTORE_SNAPSHOT_FILENAME", path)));
        self
    }

    /// Asks the hook before a backup.
    ///
    /// # Errors
    /// [`Kind::Vetoed`] if it ends with another exit status than 0; that it cannot be run, hangs or is killed.
    pub(super) async fn before_backup(&self) -> Result<()> {
        self.ask("before_backup", self.commands.before_backup.as_deref()).await
    }

    /// Asks the hook before a restore.
    ///
    /// # Errors
    /// As [`Hooks::before_backup`].
    pub(super) async fn before_restore(&self) -> Result<()> {
        self.ask("before_restore", self.commands.before_restore.as_deref()).await
    }

    /// Tells the hook after a backup what was made.
    pub(super) async fn after_backup(&self, made: &Manifest, ending: &Ending) {
        let mut more = self.figures(ending);
        if let Some((path, bytes, checksum)) = artifact(made) {
            more.extend([("BACKUP_FILENAME", path), ("BACKUP_FILE_SIZE", bytes), ("BACKUP_CHECKSUM", checksum)]);
        }
        self.tell("after_backup", self.commands.after_backup.as_deref(), more).await;
    }

    /// Tells the hook after a restore.
    pub(super) async fn after_restore(&self, ending: &Ending) {
        self.tell("after_restore", self.commands.after_restore.as_deref(), self.figures(ending)).await;
    }

    /// Tells the hook for failures what went wrong. A veto is none: whoever refused knows why.
    pub(super) async fn on_failure(&self, error: &Error) {
        let ending = Ending::of(error);
        if ending.outcome == Outcome::Vetoed {
            return;
        }
        let mut more = self.figures(&ending);
        more.push(("QBACKD_ERROR", ending.error.unwrap_or_default()));
        more.push(("QBACKD_HINT", ending.hint.unwrap_or_default()));
        self.tell("on_failure", self.commands.on_failure.as_deref(), more).await;
    }

    /// What is known at the end of a run.
    fn figures(&self, ending: &Ending) -> Vec<(&'static str, String)> {
        let seconds = self.context.clock.now().duration_since(self.begun).as_secs().max(0);
        let known = [
            ("QBACKD_PLAIN_BYTES", ending.plain_bytes),
            ("QBACKD_STORED_BYTES", ending.stored_bytes),
            ("QBACKD_TABLES", ending.tables),
            ("QBACKD_ROWS", ending.rows),
        ];
        let mut figures =
            vec![("QBACKD_OUTCOME", ending.outcome.to_string()), ("QBACKD_DURATION", seconds.to_string())];
        figures.extend(known.into_iter().filter_map(|(name, number)| Some((name, number?.to_string()))));
        figures
    }

    async fn ask(&self, hook: &'static str, command: Option<&str>) -> Result<()> {
        let Some(command) = command else { return Ok(()) };
        let ran = self.run(hook, command, Vec::new(), &self.context.cancel).await?;
        if ran.refused() {
            return Err(Error::new(Kind::Vetoed, format!("the hook `{hook}` refused"))
                .because(ran.how())
                .hint(format!("what it printed is in `qbackd history {}`", self.run)));
        }
        succeeded(hook, &ran)
    }

    async fn tell(&self, hook: &'static str, command: Option<&str>, more: Vec<(&'static str, String)>) {
        let Some(command) = command else { return };
        if let Err(e) = self.put_back(hook, command, more).await.and_then(|ran| succeeded(hook, &ran)) {
            beside(self.context, &self.run, Level::Warning, &e);
        }
    }

    /// Runs a hook after the work. What it puts back in order must be put back after a cancel as well, but not for ever.
    async fn put_back(&self, hook: &'static str, command: &str, more: Vec<(&'static str, String)>) -> Result<Ran> {
        let (stop, cancel) = (CancellationToken::new(), &self.context.cancel);
        let mut ran = pin!(self.run(hook, command, more, &stop));
        tokio::select! {
            ran = &mut ran => return ran,
            () = async { cancel.cancelled().await; sleep(AFTER_CANCEL).await } => stop.cancel(),
        }
        ran.await.map_err(|e| match e.kind() {
            Kind::Interrupted => {
                let limit = Timespan(AFTER_CANCEL);
                Error::new(Kind::TimedOut, format!("`{hook}` was not done {limit} after the cancel of its run"))
                    .hint("it was killed with all it had started")
            }
            _ => e,
        })
    }

    async fn run(
        &self,
        hook: &'static str,
        command: &str,
        more: Vec<(&'static str, String)>,
        cancel: &CancellationToken,
    ) -> Result<Ran> {
        let mut tool = Tool::new("/bin/sh").args(["-c", command]).called(hook).env("QBACKD_HOOK", hook);
        for (name, value) in self.variables.iter().cloned().chain(more) {
            // No variable can hold a NUL, and nobody expects several lines in one of these.
            tool = tool.env(name, value.replace(|c: char| c.is_control(), " "));
        }
        let (history, run, said) = (Arc::clone(&self.context.history), self.run.clone(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&said);
        let listener = move |line: String| {
            if counted.fetch_add(1, Relaxed) < LINES {
                history.line(&run, Level::Info, format!("{hook}: {line}"));
            }
        };
        self.progress.quiet_phase(format!("running {hook}"));
        let limit = self.commands.timeout;
        let ran = tool.work(limit.0, listener, cancel).await;
        if let Some(more) = said.load(Relaxed).checked_sub(LINES).filter(|more| *more > 0) {
            self.context.history.line(&self.run, Level::Warning, format!("{hook}: {more} more lines are left out"));
        }
        ran.map_err(|e| match e.kind() {
            Kind::TimedOut => {
                e.hint("raise `hooks.timeout` if it needs that long; it was killed with all it had started")
            }
            _ => e,
        })
    }
}

fn succeeded(hook: &str, ran: &Ran) -> Result<()> {
    match ran.status.success() {
        true => Ok(()),
        false => Err(Error::failed(format!("the hook `{hook}` failed")).because(ran.how())),
    }
}

/// Path below the root of the destination, size and SHA-256 of a backup's first artifact, as stored.
fn artifact(manifest: &Manifest) -> Option<(String, String, String)> {
    let artifact = manifest.artifacts.first()?;
    let path = paths::artifact(&manifest.reference(), &artifact.location);
    Some((path, artifact.stored.bytes.to_string(), artifact.stored.sha256.clone()))
}
