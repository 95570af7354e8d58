//! What callers have the loop do with runs: accept one, find one to watch, cancel one.

use std::sync::Arc;

use super::control::Watch;
use super::core::Core;
use super::journal;
use super::runs::{Errand, Ticket, Told, Wanted};
use crate::config::Database;
use crate::control::{Ended, Handle};
use crate::error::{Error, Kind, Result};
use crate::history::{Ending, Entry, NewRun};
use crate::job::pausing::did;
use crate::model::{Name, Outcome, RunId};

impl Core {
    /// Accepts runs, all of them or none.
    pub(super) fn want(&mut self, wanted: Vec<(Arc<Database>, Errand)>, by: &str) -> Result<Vec<Handle>> {
        if self.stopping.is_some() {
            return Err(Error::new(Kind::Unavailable, "the daemon is ending"));
        }
        wanted.iter().try_for_each(|(database, _)| self.is_free(&database.name))?;
        let accept = |(database, errand): (Arc<Database>, Errand)| {
            let run = RunId::new(self.now(), &self.ground.host);
            let handle = Handle { database: database.name.clone(), run: Some(run.clone()) };
            let (plan, by, told) = (Arc::clone(&self.plan), by.to_owned(), Told::new(run.clone()));
            self.queue.push_back(Ticket::Asked(Wanted { run, database, plan, errand, by, told }));
            handle
        };
        Ok(wanted.into_iter().map(accept).collect())
    }

    fn is_free(&self, name: &Name) -> Result<()> {
        let pending = self.queue.iter().any(|ticket| ticket.database() == name && !matches!(ticket, Ticket::Prune(_)));
        let state = match self.running.contains_key(name) {
            true => "is running",
            false if pending => "is waiting for its turn",
            false => return Ok(()),
        };
        Err(Error::new(Kind::TryAgain, format!("{name} is busy"))
            .because(format!("a run of it {state}"))
            .hint(format!("`qbackd status {name}` shows it, `qbackd cancel {name}` ends it")))
    }

    /// The run of a database that runs or waits, or one of these by the beginning of its id.
    pub(super) fn find(&mut self, what: &str) -> Option<Watch> {
        let means = |name: &Name, run: &RunId| name.as_str() == what || run.as_str().starts_with(what);
        let running = self.running.iter().find(|(name, running)| means(name, &running.run));
        running.map(|(name, running)| running.told.watch(name)).or_else(|| {
            self.queue.iter().find_map(|ticket| match ticket {
                Ticket::Asked(wanted) if means(&wanted.database.name, &wanted.run) => {
                    Some(wanted.told.watch(&wanted.database.name))
                }
                _ => None,
            })
        })
    }

    /// A run that the history does not know, since it was refused.
    pub(super) fn find_refused(&mut self, run: &str) -> Option<Watch> {
        let is = |watch: &&Watch| watch.state.borrow().run.as_ref().is_some_and(|id| id.as_str() == run);
        self.refused.iter().find(is).cloned()
    }

    /// Tells the run of a database to stop, or takes it out of the queue. That somebody did so is on the disk before it happens:
    /// nobody wants the run made up for after a crash.
    ///
    /// # Errors
    /// It cannot be recorded; then nothing was cancelled.
    pub(super) fn cancel(&mut self, name: &Name, by: &str) -> Result<Option<Watch>> {
        let now = self.now();
        if let Some(running) = self.running.get_mut(name) {
            did(&self.ground.history, Entry::cancel(now, name, &running.run, by))?;
            running.cancelled = Some(by.to_owned());
            running.cancel.cancel();
            return Ok(Some(running.told.watch(name)));
        }
        let Some(at) = self.queue.iter().position(|ticket| ticket.database() == name) else { return Ok(None) };
        let Some(ticket) = self.queue.remove(at) else { return Ok(None) };
        let wanted = match ticket {
            Ticket::Asked(wanted) => wanted,
            Ticket::Scheduled(name) => {
                let due = self.agendas.get_mut(&name).and_then(|agenda| agenda.take(now));
                let Some(database) = self.plan.databases.get(&name).filter(|_| due.is_some()) else { return Ok(None) };
                self.by_schedule(Arc::clone(database), Errand::Backup { to: None, due })
            }
            Ticket::Prune(name) => {
                let Some(database) = self.plan.databases.get(&name) else { return Ok(None) };
                self.by_schedule(Arc::clone(database), Errand::Prune)
            }
        };
        self.never_began(wanted, by).map(Some)
    }

    /// Records a run that was cancelled while it waited.
    fn never_began(&self, wanted: Wanted, by: &str) -> Result<Watch> {
        let Wanted { run, database, errand, told, by: asked, .. } = wanted;
        let (history, name) = (&self.ground.history, &database.name);
        let due = match &errand {
            Errand::Backup { due, .. } => *due,
            Errand::Restore(_) | Errand::Prune => None,
        };
        let first = || database.policy.destinations.first().map(|destination| destination.name.to_string());
        let destination = match &errand {
            Errand::Backup { to, .. } => to.as_ref().map(ToString::to_string).or_else(first),
            Errand::Restore(_) | Errand::Prune => None,
        };
        let error = Error::new(Kind::Interrupted, format!("cancelled by {by} before it had begun"));
        history.begin(
            NewRun {
                id: Some(run.clone()),
                kind: errand.what().kind(),
                database: name.clone(),
                destinations: destination.into_iter().collect(),
                backup: None,
                initiated_by: asked,
                due: due.map(|due| due.due),
                attempt: due.map(|due| due.attempt),
            },
            None,
        )?;
        did(history, Entry::cancel(self.now(), name, &run, by))?;
        history.finish(&run, Ending::of(&error))?;
        journal::run_ended(&history.read().run(run.as_str())?, None, None);
        let watch = told.watch(name);
        let ended = Ended { error: Some((&error).into()), ..Ended::new(Outcome::Interrupted) };
        told.stage.send_modify(|stage| stage.ended = Some(ended));
        Ok(watch)
    }
}
