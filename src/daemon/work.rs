//! Starting runs, and what becomes of one that ended: retries, counters, alarms, those who watch.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use super::agenda::{Due, span};
use super::control::desk::Stage;
use super::core::{Core, Message};
use super::journal;
use super::runs::{Done, Ended, Errand, Running, Ticket, Told, Wanted, What, how};
use crate::config::Database;
use crate::error::{DEFECT, Error, Kind, Result};
use crate::job::Scheduled;
use crate::job::backup::backup;
use crate::job::prune::{Act, prune};
use crate::job::restore::restore_own;
use crate::model::figures::{figures, took};
use crate::model::{Name, RunId};

/// A database that somebody else works on, a verb without the daemon, is tried again after this.
const BUSY: SignedDuration = SignedDuration::from_secs(60);

/// So many runs that were refused are known for a while.
const REFUSED: usize = 64;

/// Who made a run that nobody asked for.
const SCHEDULE: &str = "the schedule";

impl Core {
    /// Starts what waits, as far as there is room. A database that is being worked on keeps its place in the queue.
    pub(super) fn start_what_may_run(&mut self) {
        let room = usize::try_from(self.plan.daemon.options.max_parallel).unwrap_or(1).max(1);
        let mut at = 0;
        while self.stopping.is_none() && self.running.len() < room {
            let Some(ticket) = self.queue.get(at) else { return };
            if self.running.contains_key(ticket.database()) {
                at += 1;
                continue;
            }
            if let Some(ticket) = self.queue.remove(at) {
                self.start(ticket);
            }
        }
    }

    fn start(&mut self, ticket: Ticket) {
        let now = self.now();
        let wanted = match ticket {
            Ticket::Asked(wanted) => wanted,
            Ticket::Scheduled(name) => {
                let Some(database) = self.plan.databases.get(&name).cloned() else { return };
                if self.alarms.is_paused(&name) {
                    return;
                }
                let Some(due) = self.agendas.get_mut(&name).and_then(|agenda| agenda.take(now)) else { return };
                self.by_schedule(database, Errand::Backup { to: None, due: Some(due) })
            }
            Ticket::Prune(name) => {
                let Some(database) = self.plan.databases.get(&name).cloned() else { return };
                self.by_schedule(database, Errand::Prune)
            }
        };
        self.launch(wanted);
    }

    /// A run that nobody asked for.
    pub(super) fn by_schedule(&self, database: Arc<Database>, errand: Errand) -> Wanted {
        let run = RunId::new(self.now(), &self.ground.host);
        let (plan, by, told) = (Arc::clone(&self.plan), SCHEDULE.to_owned(), Told::new(run.clone()));
        Wanted { run, database, plan, errand, by, told }
    }

    fn launch(&mut self, wanted: Wanted) {
        let Wanted { run, database, plan, errand, by, told } = wanted;
        let (name, since, what) = (database.name.clone(), self.now(), errand.what());
        let cancel = CancellationToken::new();
        let scheduled = match what {
            What::Backup(Some(due)) => Some(Scheduled { due: due.due, attempt: due.attempt }),
            _ => None,
        };
        let (notices, mut heard) = unbounded_channel();
        let mut context = self.ground.context(&plan, by, cancel.clone());
        (context.run, context.scheduled, context.notices) = (Some(run.clone()), scheduled, Some(notices));
        let attempt = scheduled.map_or(1, |scheduled| scheduled.attempt);
        told.stage.send_replace(Stage { run: Some(run.clone()), attempt, ended: None });
        if matches!(what, What::Backup(_)) {
            self.alarms.run_begins(&plan, &database);
        }
        let (progress, work) = (told.progress.clone(), Arc::clone(&database));
        let task = tokio::spawn(async move {
            match errand {
                Errand::Backup { to, .. } => {
                    let made = backup(&context, &work, to.as_ref(), &progress).await;
                    made.map(|made| Done::Made(Box::new(made)))
                }
                Errand::Restore(errand) => {
                    let done = restore_own(&context, &work, *errand, &progress).await;
                    done.map(|done| Done::Restored(Box::new(done)))
                }
                Errand::Prune => prune(&context, &work, Act::Delete).await.map(|pruned| {
                    for at in pruned.destinations {
                        if let Some(error) = at.failure {
                            journal::not_deleted(&work.name, at.destination.as_str(), &error.line());
                        }
                    }
                    Done::Pruned
                }),
            }
        });
        let (to, ending) = (self.messages(), name.clone());
        tokio::spawn(async move {
            let result =
                task.await.unwrap_or_else(|_| Err(Error::failed(format!("the run of {ending} panicked")).hint(DEFECT)));
            // A loop that is gone has nobody to tell.
            let notices = std::iter::from_fn(|| heard.try_recv().ok()).collect();
            let _ = to.send(Message::Ended(Box::new(Ended { database: ending, result, notices })));
        });
        self.running.insert(name, Running { what, run, since, told, cancel, cancelled: None, database, plan });
    }

    /// Takes note of a run that ended: retries, counters, alarms, those who watch.
    pub(super) fn ended(&mut self, ended: Ended) {
        let Ended { database: name, result, notices } = ended;
        let Some(running) = self.running.remove(&name) else { return };
        let now = self.now();
        let was_paused = self.alarms.is_paused(&name);
        let again = match running.what {
            What::Backup(due) => self.again(&name, &running.database, due, &result, now),
            What::Restore | What::Prune => None,
        };
        let mut told = how(&result, &running.plan, &notices);
        if let (Some(who), Err(error)) = (&running.cancelled, &result)
            && error.kind() == Kind::Interrupted
        {
            let said = format!("cancelled by {who}");
            if let Err(e) = self.ground.history.note(&running.run, said.as_str()) {
                tracing::warn!(QBACKD_DATABASE = name.as_str(), "{name}: {}", e.line());
            }
            told.warnings.push(said);
        }
        match (self.ground.history.read().run(running.run.as_str()), &result) {
            // Retention has a run for each backup that went, and says so itself.
            (_, Ok(Done::Pruned)) => {}
            (Ok(run), result) => {
                let figures = match result {
                    Ok(Done::Made(made)) => Some(figures(&made.manifest)),
                    _ => None,
                };
                journal::run_ended(&run, figures.as_deref(), again.map(|at| at.duration_since(now)));
                if let Some(outcome) = run.outcome {
                    self.counters.ended(&name, run.kind, outcome, run.stored_bytes.unwrap_or(0));
                }
                if matches!(running.what, What::Backup(_)) {
                    let plan = Arc::clone(&self.plan);
                    self.alarms.run_ended(&plan, &running.database, &run, &notices);
                }
            }
            (Err(_), Err(e)) => self.without_record(&running, e, again.map(|at| at.duration_since(now))),
            (Err(e), Ok(_)) => tracing::error!(QBACKD_DATABASE = name.as_str(), "{name}: {}", e.line()),
        }
        running.told.stage.send_modify(|stage| stage.ended = Some(told));
        // Only a success ends a pause here: it made up for what was due before it.
        if was_paused
            && !self.alarms.is_paused(&name)
            && let Some(agenda) = self.agendas.get_mut(&name)
        {
            agenda.settle(running.since, now);
        }
        self.look_at_space(&running.database.policy.destinations);
        self.look(self.now());
    }

    /// A run was refused before it began: somebody else works on the database, or the history cannot be written. That is in no
    /// history, so people are to hear of it in another way.
    fn without_record(&mut self, running: &Running, error: &Error, again: Option<SignedDuration>) {
        let (name, line) = (&running.database.name, error.line());
        match (again, running.what) {
            (Some(again), _) => {
                tracing::warn!(QBACKD_DATABASE = name.as_str(), "{name}: {line}; again in {}", took(again));
            }
            (None, What::Backup(_)) if !matches!(error.kind(), Kind::TryAgain | Kind::Interrupted) => {
                self.alarms.not_begun(&self.plan, &running.database, error, self.now());
            }
            (None, _) => tracing::warn!(QBACKD_DATABASE = name.as_str(), "{name}: {line}"),
        }
        self.refused.push_back(running.told.watch(name));
        if self.refused.len() > REFUSED {
            self.refused.pop_front();
        }
    }

    /// Plans another attempt, if there is to be one. Gives when.
    fn again(
        &mut self,
        name: &Name,
        database: &Database,
        due: Option<Due>,
        result: &Result<Done>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let primary = database.policy.destinations.first().map(|destination| &destination.name);
        if let Ok(Done::Made(made)) = result
            && Some(&made.destination) == primary
            && let Some(agenda) = self.agendas.get_mut(name)
        {
            agenda.succeeded(now);
        }
        let (Some(due), Err(error)) = (due, result) else { return None };
        let retry = &database.policy.retry;
        let (attempt, wait) = match error.kind() {
            Kind::TryAgain => (due.attempt, BUSY),
            Kind::Vetoed | Kind::Interrupted => return None,
            _ if due.attempt < retry.attempts => (due.attempt + 1, span(retry.after.0)),
            _ => return None,
        };
        let at = now.saturating_add(wait).unwrap_or(now);
        // One that is in no file any more is not tried again.
        self.agendas.get_mut(name)?.retry(due.due, attempt, at, now);
        Some(at)
    }
}
