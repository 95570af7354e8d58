//! Runs as the daemon knows them: one that waits, one that is going on, one that ended.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::agenda::Due;
use super::control::desk::{Stage, Watch};
use crate::config::{Database, Plan};
use crate::control;
use crate::error::Result;
use crate::history::Ending;
use crate::job::backup::Made;
use crate::job::restore;
use crate::model::{Event, Name, Notice, Outcome, Progress, RunId, RunKind};

/// What waits for its turn.
pub(super) enum Ticket {
    /// A database whose time has come; what exactly is due is asked of its agenda when its turn comes.
    Scheduled(Name),
    /// A run that somebody asked for.
    Asked(Wanted),
    /// The daily application of the rules of retention.
    Prune(Name),
}

impl Ticket {
    pub(super) fn database(&self) -> &Name {
        match self {
            Self::Scheduled(name) | Self::Prune(name) => name,
            Self::Asked(wanted) => &wanted.database.name,
        }
    }

    /// The database, if its time has come.
    pub(super) fn scheduled(&self) -> Option<&Name> {
        match self {
            Self::Scheduled(name) => Some(name),
            Self::Asked(_) | Self::Prune(_) => None,
        }
    }
}

/// A run that somebody asked for. It is made as the configuration was when it was asked for.
pub(super) struct Wanted {
    /// The id that it is to have.
    pub(super) run: RunId,
    pub(super) database: Arc<Database>,
    pub(super) plan: Arc<Plan>,
    pub(super) errand: Errand,
    /// Who asked.
    pub(super) by: String,
    pub(super) told: Told,
}

/// What is to be done.
pub(super) enum Errand {
    /// A backup.
    Backup {
        /// Another destination than the policy's first.
        to: Option<Name>,
        /// What it is for, if it is by schedule.
        due: Option<Due>,
    },
    /// A restore into the database's own place.
    Restore(Box<restore::Errand>),
    /// Retention.
    Prune,
}

impl Errand {
    pub(super) fn what(&self) -> What {
        match self {
            Self::Backup { due, .. } => What::Backup(*due),
            Self::Restore(_) => What::Restore,
            Self::Prune => What::Prune,
        }
    }
}

/// What is told to those who watch a run.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) progress: Progress,
    pub(super) stage: watch::Sender<Stage>,
}

impl Told {
    /// Of a run that waits.
    pub(super) fn new(run: RunId) -> Self {
        let progress = Progress::default();
        progress.quiet_phase("waiting for its turn");
        Self { progress, stage: watch::Sender::new(Stage { run: Some(run), attempt: 1, ended: None }) }
    }

    /// For somebody who watches the run of `database`.
    pub(super) fn watch(&self, database: &Name) -> Watch {
        Watch { database: database.clone(), progress: self.progress.clone(), state: self.stage.subscribe() }
    }
}

/// What a run is.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// A backup; by schedule, if it was due.
    Backup(Option<Due>),
    /// A restore.
    Restore,
    /// Retention.
    Prune,
}

impl What {
    pub(super) fn kind(self) -> RunKind {
        match self {
            Self::Backup(_) => RunKind::Backup,
            Self::Restore => RunKind::Restore,
            Self::Prune => RunKind::Prune,
        }
    }
}

/// What a run that succeeded left.
pub(super) enum Done {
    Made(Box<Made>),
    Restored(Box<restore::Done>),
    Pruned,
}

/// A run that is going on.
pub(super) struct Running {
    pub(super) what: What,
    pub(super) run: RunId,
    pub(super) since: Timestamp,
    pub(super) told: Told,
    pub(super) cancel: CancellationToken,
    /// Who cancelled it.
    pub(super) cancelled: Option<String>,
    pub(super) database: Arc<Database>,
    pub(super) plan: Arc<Plan>,
}

/// A run that ended.
pub(super) struct Ended {
    pub(super) database: Name,
    pub(super) result: Result<Done>,
    /// What people are to be told of it.
    pub(super) notices: Vec<Notice>,
}

impl Running {
    /// How much is done, where it can be told.
    pub(super) fn percent(&self) -> Option<u8> {
        let at = self.told.progress.snapshot();
        let done = at.plain.saturating_mul(100).checked_div(at.expected)?;
        u8::try_from(done.min(99)).ok()
    }

    /// For the status.
    pub(super) fn shown(&self) -> control::status::Running {
        let kind = self.what.kind();
        let phase = Some(self.told.progress.snapshot().phase).filter(|phase| !phase.is_empty());
        control::status::Running { run: self.run.clone(), kind, started: self.since, phase, percent: self.percent() }
    }
}

/// How a run ended, for those who watch it.
pub(super) fn how(result: &Result<Done>, plan: &Plan, notices: &[Notice]) -> control::Ended {
    let mut ended = match result {
        Ok(_) => control::Ended::new(Outcome::Succeeded),
        Err(e) => control::Ended { error: Some(e.into()), ..control::Ended::new(Ending::of(e).outcome) },
    };
    match result {
        Ok(Done::Made(made)) => ended.made = Some(Box::new(told(made, plan))),
        // Texts and numbers always have a JSON form.
        Ok(Done::Restored(done)) => ended.restored = serde_json::to_value(done).ok(),
        Ok(Done::Pruned) | Err(_) => {}
    }
    let matter = notices.iter().filter(|notice| matches!(notice.event, Event::Paused | Event::SuspiciousSize));
    ended.warnings.extend(matter.map(|notice| notice.text.clone()));
    ended
}

/// A backup that was made, as it travels.
pub(super) fn told(made: &Made, plan: &Plan) -> control::Made {
    let destination = made.destination.to_string();
    control::Made { manifest: made.manifest.clone(), called: plan.called(&destination), destination }
}
