//! What every job works with, and how it gets its engine, its repository and its keys from the plan.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::scratch::Scratch;
use crate::config::{Database, Destination, Plan};
use crate::engine::{Engine, SourceOptions, registry};
use crate::error::{Error, Kind, Result};
use crate::history::{History, StateDir};
use crate::model::{Clock, Manifest, Name, Notice, RunId, Secret, SecretRef};
use crate::repository::{Packing, Plain};
use crate::stage::{Identities, Recipients};
use crate::store::{self, Access};

/// Threads that compress, at most. Four keep a run at 73 MiB of memory, six at 95; the bound is 100.
const MOST_WORKERS: usize = 4;

/// What every job works with.
#[derive(Clone)]
pub struct Context {
    /// What the files say.
    pub plan: Arc<Plan>,
    /// Where the record of runs lies.
    pub state: Arc<StateDir>,
    /// The record of runs.
    pub history: Arc<History>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// This machine's name.
    pub host: String,
    /// Who asked: `schedule`, or a user and a verb.
    pub initiated_by: String,
    /// The id the run is to have; a new one otherwise.
    pub run: Option<RunId>,
    /// What a run by schedule is for; none for one by hand.
    pub scheduled: Option<Scheduled>,
    /// Hears what people are to be told of; nobody else does where there is no daemon.
    pub notices: Option<UnboundedSender<Notice>>,
    /// Fires when the work must stop.
    pub cancel: CancellationToken,
}

/// What a run by schedule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduled {
    /// The instant of the calendar.
    pub due: Timestamp,
    /// Which attempt at it this is, from 1.
    pub attempt: u32,
}

/// Identities and a passphrase as a person gave them, besides those of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--identity`
    pub identities: Vec<PathBuf>,
    /// From `--passphrase-file`.
    pub passphrase: Option<Secret>,
}

impl Context {
    /// The database with this name.
    ///
    /// # Errors
    /// The configuration has none.
    pub fn database(&self, name: &Name) -> Result<Arc<Database>> {
        self.plan.databases.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.plan.databases.keys().map(Name::as_str).collect();
            Error::new(Kind::Usage, format!("there is no database `{name}`")).hint(if known.is_empty() {
                "the configuration has none".into()
            } else {
                format!("there are {}", known.join(", "))
            })
        })
    }

    /// Opens a destination of the configuration.
    ///
    /// # Errors
    /// There is none with this name, or it cannot be opened.
    pub fn repository(&self, destination: &Name, access: Access) -> Result<Plain> {
        let known = self.destination(destination)?;
        Ok(Plain::new(store::open(destination.as_str(), &known.options, access)?))
    }

    /// The destination with this name.
    ///
    /// # Errors
    /// The configuration has none.
    pub fn destination(&self, name: &Name) -> Result<Arc<Destination>> {
        self.plan.destinations.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.plan.destinations.keys().map(Name::as_str).collect();
            Error::new(Kind::Usage, format!("there is no destination `{name}`"))
                .hint(format!("there are {}", known.join(", ")))
        })
    }

    /// A destination as people know it: by its name, and its `label` where it has one.
    pub fn called(&self, destination: &str) -> String {
        self.plan.called(destination)
    }

    /// How artifacts of a database are packed. Every run may use every processor: the system shares them out when several runs
    /// need them, and a run that is alone leaves none idle. Memory is what `max_parallel` bounds.
    ///
    /// # Errors
    /// Its recipients cannot be had.
    pub fn packing(&self, database: &Database) -> Result<Packing> {
        let recipients = match &database.policy.encryption {
            None => None,
            Some(encryption) => Some(Arc::new(Recipients::from_options(&encryption.options)?)),
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = u32::try_from(cores.min(MOST_WORKERS)).unwrap_or(1);
        Ok(Packing { compression: database.policy.compression, workers, recipients })
    }

    /// All identities that may open a backup: the given ones, else those of the configuration.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn identities(&self, given: &Given) -> Result<Arc<Identities>> {
        if !given.identities.is_empty() || given.passphrase.is_some() {
            return Ok(Arc::new(Identities::read(&given.identities, given.passphrase.iter().cloned().collect())?));
        }
        let configured = || self.plan.encryptions.values().map(|encryption| &encryption.options);
        let mut files: Vec<PathBuf> = configured().flat_map(|options| options.identity_files.clone()).collect();
        files.sort_unstable();
        files.dedup();
        let passphrases = configured().filter_map(|options| options.passphrase.as_ref()).map(SecretRef::resolve);
        let (fetched, missing): (Vec<_>, Vec<_>) = passphrases.partition(Result::is_ok);
        let missing = missing.into_iter().filter_map(Result::err);
        if files.is_empty() && fetched.is_empty() {
            missing.into_iter().next().map_or(Ok(()), Err)?;
        } else {
            // One that belongs to other databases need not be there.
            missing.for_each(|e| tracing::info!("{}", e.line()));
        }
        Ok(Arc::new(Identities::read(&files, fetched.into_iter().flatten().collect())?))
    }

    /// The engine of a configured database.
    ///
    /// # Errors
    /// It is not built, or its options are wrong.
    pub fn engine(&self, database: &Database) -> Result<Box<dyn Engine>> {
        open_engine(database.engine.name, &database.source)
    }

    /// The engine that can restore a backup: the configured database's, else one made from what the manifest says.
    ///
    /// # Errors
    /// As [`Context::engine`].
    pub fn engine_for(&self, manifest: &Manifest) -> Result<Box<dyn Engine>> {
        match self.plan.databases.get(&manifest.database) {
            Some(database) if database.engine.name == manifest.engine => self.engine(database),
            _ => open_engine(&manifest.engine, &source_of(manifest)),
        }
    }

    /// A folder for small things of one run, removed with the returned guard.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn scratch(&self, run: &RunId) -> Result<Scratch> {
        Scratch::of(self.state.path(), run)
    }
}

fn open_engine(name: &str, source: &SourceOptions) -> Result<Box<dyn Engine>> {
    let open = registry::by_name(name).and_then(|kind| kind.open);
    let Some(open) = open else {
        return Err(Error::new(Kind::Unavailable, format!("the engine `{name}` is not built"))
            .hint("see CHANGELOG.md for what this version has"));
    };
    open(source).map_err(|e| {
        let error = Error::new(Kind::Configuration, format!("`{}`: {}", e.key, e.message));
        match e.help {
            Some(help) => error.hint(help),
            None => error,
        }
    })
}

/// The options a database had, as far as its manifest tells.
fn source_of(manifest: &Manifest) -> SourceOptions {
    let folders = manifest.objects.iter().filter(|o| o.kind == "folder").map(|o| PathBuf::from(&o.name)).collect();
    let scheme = registry::by_name(&manifest.engine).and_then(|kind| kind.schemes.first());
    SourceOptions {
        url: scheme.map(|scheme| format!("{scheme}:{}", manifest.source.address)),
        files: folders,
        method: manifest.method,
        ..SourceOptions::default()
    }
}
