//! What the control server asks for, done: small things in the loop, longer ones beside it.

use std::collections::HashMap;
use std::path::PathBuf;
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
use super::journal;
use super::metrics::{self, Figures};
use super::reload::preview;
use super::runs::{self, Errand};
use crate::config::{Database, Plan};
use crate::control::status::{DatabaseStatus, Running, Status};
use crate::control::{self, Backup, Changed, Delete, Document, Ended, Pause, Prune, Reload, Restore, Started};
use crate::error::{Error, Kind, Result};
use crate::history::{self, Filter, History, Run};
use crate::job::backup::Made;
use crate::job::overview::{Live, overview};
use crate::job::prune::{Act, prune_each};
use crate::job::{Context, Place, Wanted, delete, pausing, restore};
use crate::model::{BackupType, Name, Outcome, Progress, RunKind};

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

    /// What a job beside the loop works with.
    fn context(&self, by: &Caller) -> Context {
        self.ground.context(&self.plan(), by.to_string(), CancellationToken::new())
    }

    /// A database of the plan.
    fn known(&self, name: &Name) -> Result<Arc<Database>> {
        self.ground.context(&self.plan(), String::new(), CancellationToken::new()).database(name)
    }

    /// How a run of the history ended, for somebody who comes late: with the backup that it made, if that can be read.
    async fn how(&self, run: &Run, by: &Caller) -> Result<Ended> {
        let outcome = run.outcome.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("the daemon does not work on {}", run.database))
                .because("another process does")
                .hint(format!("`qbackd history -f {}` follows it", run.id))
        })?;
        let mut ended = Ended::new(outcome);
        ended.error = run.error.as_ref().map(|line| {
            let error = Error::new(kind_of(outcome), line);
            (&run.hint.iter().fold(error, |error, hint| error.hint(hint))).into()
        });
        let destination = run.destinations.first().and_then(|name| name.parse::<Name>().ok());
        if let (RunKind::Backup, Outcome::Succeeded, Some(id), Some(destination)) =
            (run.kind, outcome, &run.backup, destination)
        {
            let context = self.context(by);
            let wanted = Wanted::Prefix(Some(run.database.clone()), id.to_string());
            // It may be gone already: that it was made is known all the same.
            if let Ok((_, manifest, _)) = context.find(Some(&Place::Destination(destination.clone())), &wanted).await {
                ended.made = Some(Box::new(runs::told(&Made { manifest, destination }, &context.plan)));
            }
        }
        Ok(ended)
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
        blocking(move || pausing::did(&history, entry)).await
    }
}

#[async_trait]
impl Desk for Front {
    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.borrow())
    }

    fn config(&self) -> Option<PathBuf> {
        self.ground.config.canonicalize().ok()
    }

    async fn backup(&self, ask: Backup, by: &Caller) -> Result<Started> {
        let plan = self.plan();
        let mut databases: Vec<Arc<Database>> = if ask.all {
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
            self.context(by).destination(to)?;
        }
        let history = Arc::clone(&self.ground.history);
        let (databases, warnings) = blocking(move || {
            let warnings = pausing::leave_out_paused(history.read(), &mut databases, ask.all)?;
            Ok((databases, warnings))
        })
        .await?;
        if databases.is_empty() {
            return Err(Error::new(Kind::Usage, "there is no database to back up").hint(match warnings.is_empty() {
                true => "name one in the configuration: [database.NAME]".to_owned(),
                false => warnings.join("; "),
            }));
        }
        let wanted = move |database| (database, Errand::Backup { to: ask.to.clone(), due: None });
        let (wanted, by) = (databases.into_iter().map(wanted).collect(), by.to_string());
        let runs = self.ask(move |core| core.want(wanted, &by)).await??;
        Ok(Started { runs, warnings })
    }

    async fn watch(&self, what: &str, by: &Caller) -> Result<Watch> {
        by.may_any("see runs")?;
        let name: Option<Name> = what.parse().ok();
        let wanted = what.to_owned();
        if let Some(watch) = self.ask(move |core| core.find(&wanted).or_else(|| core.find_refused(&wanted))).await? {
            by.may(&watch.database)?;
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
        by.may(&run.database)?;
        let ended = self.how(&run, by).await?;
        Ok(Watch::ended(run.database, run.id, ended))
    }

    async fn cancel(&self, database: &Name, by: &Caller) -> Result<Watch> {
        let (name, who) = (database.clone(), by.to_string());
        let watch = self.ask(move |core| core.cancel(&name, &who)).await??;
        watch.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("nothing of {database} runs or waits in the daemon"))
                .hint(format!("`qbackd status {database}` shows where it stands"))
        })
    }

    async fn pause(&self, database: &Name, ask: Pause, by: &Caller) -> Result<Changed> {
        self.amend(database, by, move |history, name, who, now| {
            pausing::pause(history, name, who, ask.reason.as_deref(), now)
        })
        .await
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
        chronicle::follow(&self.ground, ask, by.clone())
    }

    async fn prune(&self, ask: Prune, by: &Caller) -> Result<Document> {
        let plan = self.plan();
        let databases: Vec<Arc<Database>> = if ask.names.is_empty() {
            plan.databases.values().filter(|database| by.may(&database.name).is_ok()).cloned().collect()
        } else {
            ask.names.iter().map(|name| self.known(name)).collect::<Result<_>>()?
        };
        let context = self.context(by);
        // What was asked for is done also if the caller goes away.
        let done = tokio::spawn(async move {
            let act = match (ask.dry_run, &ask.only) {
                (true, _) => Act::DryRun,
                (false, Some(going)) => Act::Agreed(going),
                (false, None) => Act::Insist,
            };
            prune_each(&context, &databases, act).await
        });
        let done = done.await.map_err(|_| Error::failed("retention panicked"))?;
        let each = done.databases.iter().filter(|_| !done.dry_run);
        for (database, at) in each.flat_map(|of| of.destinations.iter().map(|at| (&of.database, at))) {
            if let Some(why) = &at.failure {
                journal::not_deleted(database, at.destination.as_str(), why);
            }
        }
        document(done)
    }

    async fn delete(&self, ask: Delete, by: &Caller) -> Result<Document> {
        let wanted: Wanted = ask.id.parse().map_err(|e: String| Error::new(Kind::Usage, e))?;
        match wanted.database() {
            Some(database) => by.may(database)?,
            None => by.may_any("delete backups")?,
        }
        if ask.with_children {
            return Err(Error::new(Kind::Unavailable, "no incremental backups are built"));
        }
        let (context, from) = (self.context(by), ask.from.map(Place::Destination));
        let planned = delete::plan(&context, from.as_ref(), &wanted).await?;
        by.may(&planned.at.database)?;
        if ask.dry_run {
            return document(planned.told());
        }
        // What was asked for is done also if the caller goes away.
        let (database, place) = (planned.at.database.clone(), planned.place().to_owned());
        let done = tokio::spawn(async move {
            let done = delete::delete(&context, planned).await;
            if let Err(e) = &done {
                journal::not_deleted(&database, &place, &e.line());
            }
            done
        });
        let done = done.await;
        document(done.unwrap_or_else(|_| Err(Error::failed("the deletion panicked")))?)
    }

    async fn restore(&self, ask: Restore, by: &Caller) -> Result<Document> {
        let wanted: Wanted = ask.what.parse().map_err(|e: String| Error::new(Kind::Usage, e))?;
        let name = wanted.database().ok_or_else(|| {
            Error::new(Kind::Usage, format!("`{}` names no database", ask.what)).hint("write shop/20261120T02…")
        })?;
        by.may(name)?;
        let database = self.known(name)?;
        if ask.dry_run {
            let context = self.context(by);
            let planned = restore::plan_own(&context, &database, wanted, true, &Progress::default()).await?;
            return document(planned.outline());
        }
        let Restore { overwrite, agreed, backup_first, .. } = ask;
        let errand = restore::Errand { wanted, overwrite, agreed, backup_first };
        let (wanted, by) = (vec![(database, Errand::Restore(Box::new(errand)))], by.to_string());
        let mut runs = self.ask(move |core| core.want(wanted, &by)).await??;
        document(runs.pop())
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Error::failed("the work panicked")))
}

fn document(answer: impl serde::Serialize) -> Result<Document> {
    serde_json::to_value(answer).map_err(|e| Error::failed("cannot make JSON").because(e))
}

/// The class of an error of which only the outcome is known.
fn kind_of(outcome: Outcome) -> Kind {
    match outcome {
        Outcome::TimedOut => Kind::TimedOut,
        Outcome::Interrupted => Kind::Interrupted,
        Outcome::Vetoed => Kind::Vetoed,
        Outcome::Succeeded | Outcome::Failed | Outcome::Skipped => Kind::Failed,
    }
}
