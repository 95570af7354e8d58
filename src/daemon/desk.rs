//! What the control server asks for, done: small things in the loop, longer ones beside it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::chronicle;
use super::control::{Caller, Desk, Entry, Watch};
use super::core::{Core, Message};
use super::ground::Ground;
use super::metrics::{self, Figures};
use super::reload::preview;
use super::runs::{Running as Run, Ticket, Told, Wanted, how};
use crate::config::{Database, Plan};
use crate::control::status::{DatabaseStatus, Running, Status};
use crate::control::{self, Backup, Changed, Delete, Document, Handle, Prune, Reload};
use crate::error::{Error, Kind, Result};
use crate::history::{self, Filter, History};
use crate::job::overview::{Live, overview};
use crate::job::prune::{Act, prune};
use crate::job::{Context, delete, pausing};
use crate::model::{BackupType, Name};

/// The desk: it speaks to the loop.
pub(super) struct Front {
    to: UnboundedSender<Message>,
    plan: watch::Receiver<Arc<Plan>>,
    ground: Ground,
}

/// What of the status only the loop knows.
struct Living {
    next: HashMap<Name, jiff::Timestamp>,
    gaps: HashMap<Name, Duration>,
    running: HashMap<Name, Running>,
    problems: Vec<String>,
}

impl Front {
    /// The desk of `core`.
    pub(super) fn of(core: &Core) -> Self {
        Self { to: core.messages(), plan: core.shown.subscribe(), ground: core.ground.clone() }
    }

    /// Has the loop do something, and waits for it.
    async fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut Core) -> T + Send + 'static) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let sent = self.to.send(Message::Asked(Box::new(move |core| {
            // Whoever does not wait any more does not want to know.
            let _ = reply.send(work(core));
        })));
        let gone = || Error::new(Kind::Unavailable, "the daemon is ending");
        sent.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    /// Changes what the history knows of a database, and tells the loop.
    async fn amend(
        &self,
        name: &Name,
        by: &Caller,
        change: impl FnOnce(&History, &Name, &str, jiff::Timestamp) -> Result<String> + Send + 'static,
    ) -> Result<Changed> {
        self.known(name)?;
        let (ground, who, database) = (self.ground.clone(), by.to_string(), name.clone());
        let text = blocking(move || change(&ground.history, &database, &who, ground.clock.now())).await?;
        let database = name.clone();
        self.ask(move |core| {
            core.alarms.refresh(&database);
            let now = core.now();
            core.look(now);
        })
        .await?;
        let state = self.standing(std::slice::from_ref(name)).await?.1.pop();
        let state = state.map_or_else(String::new, |status| status.state.to_string());
        Ok(Changed { database: name.clone(), state, text })
    }

    /// A database of the plan.
    fn known(&self, name: &Name) -> Result<Arc<Database>> {
        self.ground.context(&self.plan(), String::new(), CancellationToken::new()).database(name)
    }

    async fn standing(&self, names: &[Name]) -> Result<(Vec<String>, Vec<DatabaseStatus>)> {
        let living = self.ask(Core::living).await?;
        let (plan, ground, names) = (self.plan(), self.ground.clone(), names.to_vec());
        blocking(move || {
            let Living { next, gaps, running, problems } = living;
            let (next, gap) = (|name: &Name| next.get(name).copied(), |name: &Name| gaps.get(name).copied());
            let live = Live { next: &next, longest_gap: &gap, running };
            let found = overview(&plan, Some(ground.history.read()), &names, &live, ground.clock.now())?;
            Ok((problems, found))
        })
        .await
    }

    /// What a caller did that leaves no run is recorded as well.
    async fn note(&self, word: &'static str, name: Option<&Name>, by: &Caller, text: String) -> Result<()> {
        let (history, entry) = (
            Arc::clone(&self.ground.history),
            history::Entry::action(self.ground.clock.now(), word, name, &by.to_string(), text),
        );
        blocking(move || history.event(entry)).await
    }
}

#[async_trait]
impl Desk for Front {
    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.borrow())
    }

    async fn backup(&self, ask: Backup, by: &Caller) -> Result<Vec<Handle>> {
        let plan = self.plan();
        let databases: Vec<Arc<Database>> = if ask.all {
            let mine = |database: &&Arc<Database>| database.policy.enabled && by.may(&database.name).is_ok();
            plan.databases.values().filter(mine).cloned().collect()
        } else {
            ask.names.iter().map(|name| self.known(name)).collect::<Result<_>>()?
        };
        if ask.kind == Some(BackupType::Incremental) {
            return Err(Error::new(Kind::Usage, "no incremental backup can be made")
                .because("the engines that are built make full backups only"));
        }
        if let Some(to) = &ask.to {
            let context = self.ground.context(&plan, String::new(), CancellationToken::new());
            context.destination(to)?;
        }
        let by = by.to_string();
        self.ask(move |core| core.want(databases, ask.to, &by)).await?
    }

    async fn watch(&self, what: &str, _: &Caller) -> Result<Watch> {
        let name: Option<Name> = what.parse().ok();
        let wanted = what.to_owned();
        if let Some(watch) = self.ask(move |core| core.find(&wanted)).await? {
            return Ok(watch);
        }
        let history = Arc::clone(&self.ground.history);
        let wanted = what.to_owned();
        let run = blocking(move || {
            let last =
                name.map(|database| history.read().recent(&Filter { database: Some(database) }, 1)).transpose()?;
            match last.and_then(|mut runs| runs.pop()) {
                Some(run) => Ok(run),
                None => history.read().run(&wanted),
            }
        })
        .await?;
        let outcome = run.outcome.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("the daemon does not work on {what}")).because("another process does")
        })?;
        let error = run.error.map(|line| {
            let error = Error::failed(line);
            run.hint.map_or_else(|| (&error).into(), |hint| (&Error::failed(error.line()).hint(hint)).into())
        });
        Ok(Watch::ended(run.database, run.id, control::Ended { outcome, error, made: None }))
    }

    async fn cancel(&self, database: &Name, by: &Caller) -> Result<Watch> {
        let name = database.clone();
        let watch = self.ask(move |core| core.cancel(&name)).await?;
        let watch = watch
            .ok_or_else(|| Error::new(Kind::NotFound, format!("nothing of {database} runs or waits in the daemon")))?;
        self.note("cancel", Some(database), by, format!("the run of {database} was cancelled")).await?;
        Ok(watch)
    }

    async fn pause(&self, database: &Name, by: &Caller) -> Result<Changed> {
        self.amend(database, by, |history, name, who, now| pausing::pause(history, name, who, None, now)).await
    }

    async fn resume(&self, database: &Name, by: &Caller) -> Result<Changed> {
        self.amend(database, by, pausing::resume).await
    }

    async fn reset_failed(&self, database: &Name, by: &Caller) -> Result<Changed> {
        self.amend(database, by, pausing::reset_failed).await
    }

    async fn reload(&self, by: &Caller) -> Result<Reload> {
        let (answer, told) = oneshot::channel();
        self.ask(move |core| core.reread(Some(answer))).await?;
        let told = told.await.map_err(|_| Error::new(Kind::Unavailable, "the daemon is ending"))??;
        let how = if told.accepted { "accepted" } else { "rejected" };
        self.note("reload", None, by, format!("the configuration was read again and {how}")).await?;
        Ok(told)
    }

    async fn diff(&self) -> Result<Reload> {
        let (plan, dir) = (self.plan(), self.ground.config.clone());
        blocking(move || Ok(preview(&plan, &dir))).await
    }

    async fn status(&self, names: &[Name]) -> Result<Status> {
        let (problems, databases) = self.standing(names).await?;
        let at = self.ground.clock.now();
        let daemon = Some(control::Build::this(self.ground.started));
        Ok(Status { at, daemon, problems, databases })
    }

    async fn history(&self, ask: control::History, by: &Caller) -> Result<mpsc::Receiver<Result<Entry>>> {
        chronicle::follow(Arc::clone(&self.ground.history), ask, by.clone())
    }

    async fn prune(&self, ask: Prune, by: &Caller) -> Result<Document> {
        let plan = self.plan();
        let databases: Vec<Arc<Database>> = if ask.names.is_empty() {
            plan.databases.values().filter(|database| by.may(&database.name).is_ok()).cloned().collect()
        } else {
            ask.names.iter().map(|name| self.known(name)).collect::<Result<_>>()?
        };
        let context = self.ground.context(&plan, by.to_string(), CancellationToken::new());
        // What was asked for is done also if the caller goes away.
        let done = tokio::spawn(prune_each(context, databases, ask.dry_run)).await;
        done.unwrap_or_else(|_| Err(Error::failed("retention panicked")))
    }

    async fn delete(&self, ask: Delete, by: &Caller) -> Result<Document> {
        let wanted = ask.id.parse().map_err(|e: String| Error::new(Kind::Usage, e))?;
        let context = self.ground.context(&self.plan(), by.to_string(), CancellationToken::new());
        let planned = delete::plan(&context, None, &wanted).await?;
        by.may(&planned.at.database)?;
        let (at, bytes) = (planned.at.to_string(), planned.stored_bytes);
        if ask.dry_run {
            return Ok(serde_json::json!({
                "to_delete": at,
                "stored_bytes": bytes,
                "at": planned.place(),
                "last": planned.last,
                "damage": planned.damage.as_ref().map(Error::line),
            }));
        }
        // What was asked for is done also if the caller goes away.
        let done = tokio::spawn(async move { delete::delete(&context, planned).await }).await;
        done.unwrap_or_else(|_| Err(Error::failed(format!("the deletion of {at} panicked"))))?;
        Ok(serde_json::json!({ "deleted": at, "stored_bytes": bytes }))
    }
}

#[async_trait]
impl metrics::Source for Front {
    async fn figures(&self) -> Result<Figures> {
        let status = self.status(&[]).await?;
        let (configuration, counters) = self.ask(|core| (core.configured.shown(), core.counters.clone())).await?;
        Ok(Figures { status, configuration, counters })
    }
}

impl Core {
    /// Accepts backups, all of them or none.
    fn want(&mut self, databases: Vec<Arc<Database>>, to: Option<Name>, by: &str) -> Result<Vec<Handle>> {
        if self.stopping.is_some() {
            return Err(Error::new(Kind::Unavailable, "the daemon is ending"));
        }
        for Database { name, .. } in databases.iter().map(AsRef::as_ref) {
            let pending =
                self.queue.iter().any(|ticket| ticket.database() == name && !matches!(ticket, Ticket::Prune(_)));
            let state = if self.running.contains_key(name) { "is running" } else { "is waiting for its turn" };
            if pending || self.running.contains_key(name) {
                return Err(Error::new(Kind::TryAgain, format!("{name} is busy"))
                    .because(format!("a run of it {state}"))
                    .hint(format!("`qbackd status {name}` shows it, `qbackd cancel {name}` ends it")));
            }
        }
        let accept = |database: Arc<Database>| {
            let handle = Handle { database: database.name.clone(), run: None };
            let (plan, by) = (Arc::clone(&self.plan), by.to_owned());
            self.queue.push_back(Ticket::Asked(Wanted { database, plan, to: to.clone(), by, told: Told::new() }));
            handle
        };
        Ok(databases.into_iter().map(accept).collect())
    }

    /// The run of a database that runs or waits, or one that runs by the beginning of its id.
    fn find(&mut self, what: &str) -> Option<Watch> {
        let by_id = |(name, running): (&Name, &Run)| {
            (name.as_str() == what || running.run.as_str().starts_with(what)).then(|| running.told.watch(name))
        };
        self.running.iter().find_map(by_id).or_else(|| {
            self.queue.iter().find_map(|ticket| match ticket {
                Ticket::Asked(wanted) if wanted.database.name.as_str() == what => {
                    Some(wanted.told.watch(&wanted.database.name))
                }
                _ => None,
            })
        })
    }

    /// Tells the run of a database to stop, or takes it out of the queue.
    fn cancel(&mut self, name: &Name) -> Option<Watch> {
        if let Some(running) = self.running.get(name) {
            running.cancel.cancel();
            return Some(running.told.watch(name));
        }
        let at = self.queue.iter().position(|ticket| matches!(ticket, Ticket::Asked(w) if w.database.name == *name))?;
        let Some(Ticket::Asked(wanted)) = self.queue.remove(at) else { return None };
        let watch = wanted.told.watch(name);
        wanted.told.stage.send_modify(|stage| stage.ended = Some(how(&Err(Error::interrupted()))));
        Some(watch)
    }

    /// What of the status only the loop knows.
    fn living(&mut self) -> Living {
        let now = self.now();
        let next = self.agendas.iter().filter_map(|(name, agenda)| Some((name.clone(), agenda.next()?.at))).collect();
        let mut gaps = HashMap::new();
        for (name, agenda) in &self.agendas {
            if let Some(gap) = self.alarms.longest_gap(name, Some(agenda), now) {
                gaps.insert(name.clone(), gap);
            }
        }
        let running = self.running.iter().map(|(name, running)| (name.clone(), running.shown())).collect();
        let mut problems = Vec::new();
        if let Some(why) = &self.configured.rejected {
            problems.push(format!("the configuration on the disk was rejected, the one before runs: {why}"));
        }
        problems.extend(self.spaces.problems(&self.plan).cloned());
        for notifier in self.alarms.notifiers() {
            if let (Some(_), Some(error)) = (notifier.failing_since, notifier.last_error) {
                problems.push(format!("notify {}: {error} ({} waiting)", notifier.name, notifier.queued));
            }
        }
        Living { next, gaps, running, problems }
    }
}

/// What `qbackd prune` shows, made where the backups are known.
async fn prune_each(context: Context, databases: Vec<Arc<Database>>, dry_run: bool) -> Result<Document> {
    let (mut done, mut failed) = (Vec::new(), None);
    for database in databases {
        match prune(&context, &database, if dry_run { Act::DryRun } else { Act::Insist }).await {
            Ok(pruned) => done.push(pruned),
            Err(e) => failed = Some(e),
        }
    }
    match failed {
        Some(error) if done.is_empty() => Err(error),
        _ => Ok(serde_json::json!({ "dry_run": dry_run, "databases": done })),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Error::failed("the work panicked")))
}
