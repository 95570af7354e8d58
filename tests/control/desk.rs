//! A desk that does nothing but remember who asked for what.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use qbackd::config::{Plan, load};
use qbackd::control::wire::{Backup, Changed, Delete, Document, Ended, Handle, History, Pause, Prune, Reload, Started};
use qbackd::control::{DatabaseStatus, Status};
use qbackd::daemon::control::{Caller, Desk, Entry, Stage, Watch};
use qbackd::error::{Error, Kind, Result};
use qbackd::history::{History as Record, NewRun, Run, StateDir};
use qbackd::model::{Name, Outcome, Progress, RunKind, SystemClock};
use tokio::sync::{mpsc, watch};

/// The desk, and what a test does behind it.
pub struct Fake {
    plan: Arc<Plan>,
    told: Mutex<Vec<String>>,
    /// The run that everybody watches.
    pub stage: watch::Sender<Stage>,
    pub progress: Progress,
    /// What a reload comes to.
    pub reload: Mutex<Reload>,
    added: Mutex<Option<mpsc::Sender<Result<Entry>>>>,
}

impl Fake {
    pub fn new(dir: &Path, daemon: &str, owner: &str) -> Self {
        let config = dir.join("etc");
        std::fs::create_dir(&config).unwrap();
        let text = format!(
            "[daemon]\n{daemon}\n\
             [destination.local]\nservice = \"fs\"\nroot = \"/var/backups\"\n\
             [policy.p]\ndestinations = [\"local\"]\nencryption = \"none\"\n\
             [database.shop]\nurl = \"sqlite:/srv/shop.db\"\npolicy = \"p\"\nowner = \"{owner}\"\n\
             [database.blog]\nurl = \"sqlite:/srv/blog.db\"\npolicy = \"p\"\n"
        );
        std::fs::write(config.join("a.toml"), text).unwrap();
        let plan = load(&config).unwrap_or_else(|report| panic!("{report}")).plan;
        let progress = Progress::default();
        progress.quiet_phase("queued");
        let reload = Reload { accepted: true, errors: 0, warnings: 0, diagnostics: String::new(), changes: Vec::new() };
        Self {
            plan: Arc::new(plan),
            told: Mutex::default(),
            stage: watch::Sender::new(Stage { run: None, attempt: 1, ended: None }),
            progress,
            reload: Mutex::new(reload),
            added: Mutex::default(),
        }
    }

    /// What the desk was asked for since the last look.
    pub fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// Where the history goes on for the one who follows it.
    pub fn added(&self) -> mpsc::Sender<Result<Entry>> {
        self.added.lock().unwrap().take().expect("somebody follows the history")
    }

    /// The run that everybody watches has ended.
    pub fn end_at_once(&self) {
        let ended = Ended::new(Outcome::Succeeded);
        self.stage.send_modify(|stage| stage.ended = Some(ended));
    }

    fn tell(&self, what: String, by: &Caller) {
        self.told.lock().unwrap().push(format!("{what} by {by}"));
    }

    fn changed(&self, what: &str, database: &Name, by: &Caller) -> Result<Changed> {
        if !self.plan.databases.contains_key(database) {
            return Err(Error::new(Kind::NotFound, format!("there is no database {database}")));
        }
        self.tell(format!("{what} {database}"), by);
        Ok(Changed { database: database.clone(), state: "paused".into(), text: format!("{what}d") })
    }

    fn watched(&self, database: &Name) -> Watch {
        Watch { database: database.clone(), progress: self.progress.clone(), state: self.stage.subscribe() }
    }
}

#[async_trait]
impl Desk for Fake {
    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }

    async fn backup(&self, ask: Backup, by: &Caller) -> Result<Started> {
        self.tell(format!("backup {:?} all={}", ask.names, ask.all), by);
        let runs = ask.names.into_iter().map(|database| Handle { database, run: None }).collect();
        Ok(Started { runs, warnings: Vec::new() })
    }

    async fn watch(&self, what: &str, by: &Caller) -> Result<Watch> {
        let database: Name = what.parse().map_err(|_| Error::new(Kind::NotFound, format!("no run {what}")))?;
        by.may(&database)?;
        Ok(self.watched(&database))
    }

    async fn cancel(&self, database: &Name, by: &Caller) -> Result<Watch> {
        if database.as_str() == "busy" {
            return Err(Error::new(Kind::TryAgain, "it is at its end"));
        }
        self.tell(format!("cancel {database}"), by);
        Ok(self.watched(database))
    }

    async fn pause(&self, database: &Name, _: Pause, by: &Caller) -> Result<Changed> {
        self.changed("pause", database, by)
    }

    async fn resume(&self, database: &Name, by: &Caller) -> Result<Changed> {
        self.changed("resume", database, by)
    }

    async fn reset_failed(&self, database: &Name, by: &Caller) -> Result<Changed> {
        self.changed("reset-faile", database, by)
    }

    async fn reload(&self, by: &Caller) -> Result<Reload> {
        self.tell("reload".into(), by);
        Ok(self.reload.lock().unwrap().clone())
    }

    async fn diff(&self) -> Result<Reload> {
        Ok(self.reload.lock().unwrap().clone())
    }

    async fn status(&self, names: &[Name]) -> Result<Status> {
        let databases = self.plan.databases.keys().filter(|name| names.is_empty() || names.contains(name)).map(unknown);
        Ok(Status { at: Timestamp::UNIX_EPOCH, daemon: None, problems: Vec::new(), databases: databases.collect() })
    }

    async fn history(&self, ask: History, by: &Caller) -> Result<mpsc::Receiver<Result<Entry>>> {
        self.tell(format!("history of {:?}, {}, {},", ask.what, ask.count, ask.follow), by);
        let (sender, receiver) = mpsc::channel(1);
        *self.added.lock().unwrap() = Some(sender);
        Ok(receiver)
    }

    async fn prune(&self, ask: Prune, by: &Caller) -> Result<Document> {
        self.tell(format!("prune {:?} {}", ask.names, ask.dry_run), by);
        Ok(Document::Null)
    }

    async fn delete(&self, ask: Delete, by: &Caller) -> Result<Document> {
        let database = ask.id.split('/').next().unwrap_or_default();
        by.may(&database.parse().map_err(|_| Error::new(Kind::NotFound, "no such backup"))?)?;
        self.tell(format!("delete {}", ask.id), by);
        Ok(Document::Null)
    }
}

/// A database that was never backed up.
fn unknown(name: &Name) -> DatabaseStatus {
    serde_json::from_value(serde_json::json!({
        "name": name, "state": "validating", "stale": false, "failures": 0,
    }))
    .unwrap()
}

/// A run of shop, as the history has it.
pub fn a_run() -> Run {
    let dir = tempfile::tempdir().unwrap();
    let state = Arc::new(StateDir::prepare(dir.path()).unwrap());
    let (history, _) = Record::open(state, "host", Arc::new(SystemClock)).unwrap();
    let new = NewRun {
        id: None,
        due: None,
        attempt: None,
        kind: RunKind::Backup,
        database: "shop".parse().unwrap(),
        destinations: Vec::new(),
        backup: None,
        initiated_by: "the test".into(),
    };
    let id = history.begin(new, None).unwrap();
    history.read().run(id.as_str()).unwrap()
}
