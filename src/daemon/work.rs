//! Starting runs, and what becomes of one that ended: retries, counters, alarms, those who watch.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use super::agenda::{Due, span};
use super::control::desk::Stage;
use super::core::{Core, Message};
use super::journal;
use super::runs::{Ended, Running, Ticket, Told, Wanted, What, how};
use crate::config::{Database, Plan};
use crate::error::{Error, Kind, Result};
use crate::job::Scheduled;
use crate::job::backup::{Made, backup};
use crate::job::prune::{Act, prune};
use crate::model::figures::figures;
use crate::model::{Name, RunId, RunKind};

/// A database that somebody else works on, a verb without the daemon, is tried again after this.
const BUSY: SignedDuration = SignedDuration::from_secs(60);

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
        match ticket {
            Ticket::Asked(wanted) => {
                let Wanted { database, plan, to, by, told } = wanted;
                self.launch(&plan, database, to, by, What::Backup(None), told);
            }
            Ticket::Scheduled(name) => {
                let Some(database) = self.plan.databases.get(&name).cloned() else { return };
                if self.alarms.is_paused(&name) {
                    return;
                }
                let Some(due) = self.agendas.get_mut(&name).and_then(|agenda| agenda.take(now)) else { return };
                let plan = Arc::clone(&self.plan);
                self.launch(&plan, database, None, SCHEDULE.into(), What::Backup(Some(due)), Told::new());
            }
            Ticket::Prune(name) => {
                let Some(database) = self.plan.databases.get(&name).cloned() else { return };
                let plan = Arc::clone(&self.plan);
                self.launch(&plan, database, None, SCHEDULE.into(), What::Prune, Told::new());
            }
        }
    }

    fn launch(
        &mut self,
        plan: &Arc<Plan>,
        database: Arc<Database>,
        to: Option<Name>,
        by: String,
        what: What,
        told: Told,
    ) {
        let (name, since) = (database.name.clone(), self.now());
        let run = RunId::new(since, &self.ground.host);
        let cancel = CancellationToken::new();
        let scheduled = match what {
            What::Backup(Some(due)) => Some(Scheduled { due: due.due, attempt: due.attempt }),
            _ => None,
        };
        let (notices, mut heard) = unbounded_channel();
        let mut context = self.ground.context(plan, by, cancel.clone());
        (context.run, context.scheduled, context.notices) = (Some(run.clone()), scheduled, Some(notices));
        let attempt = scheduled.map_or(1, |scheduled| scheduled.attempt);
        told.stage.send_replace(Stage { run: Some(run.clone()), attempt, ended: None });
        if matches!(what, What::Backup(_)) {
            journal::run_started(&name, &run, RunKind::Backup, &context.initiated_by);
            self.alarms.run_begins(plan, &database);
        }
        let (progress, work) = (told.progress.clone(), Arc::clone(&database));
        let task = tokio::spawn(async move {
            match what {
                What::Backup(_) => backup(&context, &work, to.as_ref(), &progress).await.map(Some),
                What::Prune => prune(&context, &work, Act::Delete).await.map(|pruned| {
                    for error in pruned.into_failures() {
                        tracing::warn!("{}: old backups stay: {}", work.name, error.line());
                    }
                    None
                }),
            }
        });
        let (to, ending) = (self.messages(), name.clone());
        tokio::spawn(async move {
            let result = task.await.unwrap_or_else(|_| {
                Err(Error::failed(format!("the run of {ending} panicked"))
                    .hint("this is a defect of qbackd; please report it"))
            });
            // A loop that is gone has nobody to tell.
            let notices = std::iter::from_fn(|| heard.try_recv().ok()).collect();
            let _ = to.send(Message::Ended(Box::new(Ended { database: ending, result, notices })));
        });
        self.running.insert(name, Running { what, run, since, told, cancel, database });
    }

    /// Takes note of a run that ended: retries, counters, alarms, those who watch.
    pub(super) fn ended(&mut self, ended: Ended) {
        let Ended { database: name, result, notices } = ended;
        let Some(running) = self.running.remove(&name) else { return };
        let now = self.now();
        let again = match running.what {
            What::Backup(due) => self.again(&name, &running.database, due, &result, now),
            What::Prune => None,
        };
        match (self.ground.history.read().run(running.run.as_str()), &result) {
            // Retention has a run for each backup that went, and says so itself.
            (_, Ok(_)) if matches!(running.what, What::Prune) => {}
            (Ok(run), result) => {
                let figures = result.as_ref().ok().and_then(Option::as_ref).map(|made| figures(&made.manifest));
                journal::run_ended(&run, figures.as_deref(), again.map(|at| at.duration_since(now)));
                if let Some(outcome) = run.outcome {
                    self.counters.ended(&name, run.kind, outcome, run.stored_bytes.unwrap_or(0));
                }
                let plan = Arc::clone(&self.plan);
                self.alarms.run_ended(&plan, &running.database, &run, &notices);
            }
            // It was refused before it began: somebody else works on the database, or the history cannot be written.
            (Err(_), Err(e)) => tracing::warn!("{name}: {}", e.line()),
            (Err(e), Ok(_)) => tracing::error!("{name}: {}", e.line()),
        }
        running.told.stage.send_modify(|stage| stage.ended = Some(how(&result)));
        self.look_at_space(&running.database.policy.destinations);
        self.look(self.now());
    }

    /// Plans another attempt, if there is to be one. Gives when.
    fn again(
        &mut self,
        name: &Name,
        database: &Database,
        due: Option<Due>,
        result: &Result<Option<Made>>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let (Some(due), Err(error)) = (due, result) else { return None };
        let retry = &database.policy.retry;
        let (attempt, wait) = match error.kind() {
            Kind::TryAgain => (due.attempt, BUSY),
            Kind::Vetoed | Kind::Interrupted => return None,
            _ if due.attempt < retry.attempts => (due.attempt + 1, span(retry.after.0)),
            _ => return None,
        };
        let at = now.saturating_add(wait).unwrap_or(now);
        if let Some(agenda) = self.agendas.get_mut(name) {
            agenda.retry(due.due, attempt, at, now);
        }
        Some(at)
    }
}
