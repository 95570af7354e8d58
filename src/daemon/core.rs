//! The loop: it alone owns what changes. Everything that happens comes to it as a message, one after the other.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at, sleep};

use super::agenda::Agenda;
use super::alarms::Alarms;
use super::configured::{Configured, Read};
use super::control::Watch;
use super::facts::Facts;
use super::ground::Ground;
use super::metrics::Counters;
use super::runs::{Ended, Running, Ticket};
use super::scarce::Spaces;
use super::service::{self, Service};
use super::stopping::{ASK_AGAIN, Stopping};
use super::timer::Timer;
use crate::config::Plan;
use crate::error::Result;
use crate::model::Name;
use crate::schedule;

/// How often everything is looked over: what the timer lost, what grew stale, what is to be done daily.
const SWEEP: Duration = Duration::from_secs(60);
/// How often the status says how far runs are, while there are any.
const PROGRESS: Duration = Duration::from_secs(2);

/// Something that happened.
pub(super) enum Message {
    /// A timer ran out: something may be due since then.
    Fired(Timestamp),
    /// A run ended.
    Ended(Box<Ended>),
    /// Somebody asks for something; it is done in the loop.
    Asked(Box<dyn FnOnce(&mut Core) + Send>),
    /// The files may have changed.
    Changed,
    /// The files were read.
    Read(Option<Box<Read>>),
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

/// The daemon's state, and the loop that changes it.
pub(super) struct Core {
    pub(super) ground: Ground,
    pub(super) plan: Arc<Plan>,
    pub(super) zone: TimeZone,
    pub(super) configured: Configured,
    pub(super) agendas: BTreeMap<Name, Agenda>,
    /// What waits for its turn, first come first served.
    pub(super) queue: VecDeque<Ticket>,
    pub(super) running: BTreeMap<Name, Running>,
    /// Runs that were refused before the history knew them, the newest last: whoever asked may be about to look.
    pub(super) refused: VecDeque<Watch>,
    pub(super) alarms: Alarms,
    pub(super) service: Service,
    /// Runs that ended since the start.
    pub(super) counters: Counters,
    /// When the daily work was last begun, once that was asked.
    pub(super) daily: Option<Timestamp>,
    /// When people were last told how the week was, once that was asked.
    pub(super) weekly: Option<Timestamp>,
    /// Where space is short.
    pub(super) spaces: Spaces,
    /// Since it was asked to stop.
    pub(super) stopping: Option<Stopping>,
    /// The plan, for those who only look at it.
    pub(super) shown: watch::Sender<Arc<Plan>>,
    messages: UnboundedSender<Message>,
    inbox: UnboundedReceiver<Message>,
    timer: Timer,
}

impl Core {
    /// The daemon as it is before anything happened.
    pub(super) async fn new(ground: Ground, plan: Arc<Plan>, configured: Configured, alarms: Alarms) -> Result<Self> {
        let (messages, inbox) = unbounded_channel();
        let to = messages.clone();
        // A loop that is gone wants no firings.
        let timer = Timer::start(move |second| drop(to.send(Message::Fired(second)))).await?;
        let zone = schedule::zone(plan.daemon.options.timezone.as_deref());
        let spaces = Spaces::new(ground.history.read(), ground.clock.now())?;
        let mut core = Self {
            ground,
            shown: watch::Sender::new(Arc::clone(&plan)),
            plan,
            zone,
            configured,
            agendas: BTreeMap::new(),
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            refused: VecDeque::new(),
            alarms,
            service: Service::default(),
            counters: Counters::default(),
            daily: None,
            weekly: None,
            spaces,
            stopping: None,
            messages,
            inbox,
            timer,
        };
        let plan = Arc::clone(&core.plan);
        core.alarms.meet(&plan);
        let new = core.new_ones(&plan);
        let facts = Facts::of(&core.ground, &new)?;
        core.make_agendas(&plan, &new, &facts);
        Ok(core)
    }

    /// Where messages go.
    pub(super) fn messages(&self) -> UnboundedSender<Message> {
        self.messages.clone()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.ground.clock.now()
    }

    /// Works until it was asked to stop and nothing runs any more.
    pub(super) async fn run(&mut self) {
        let mut pulse = service::pulse();
        let mut sweep = interval_at(Instant::now() + SWEEP, SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ask = interval(ASK_AGAIN);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.service.ready();
        self.sweep();
        loop {
            self.start_what_may_run();
            self.service.status(self.headline());
            if self.stopped() {
                return;
            }
            let grace = self.grace_ends();
            tokio::select! {
                Some(message) = self.inbox.recv() => self.handle(message),
                _ = sweep.tick() => self.sweep(),
                () = beat(&mut pulse) => self.service.alive(),
                _ = ask.tick(), if self.stopping.is_some() => self.ask_for_time(),
                // What it says is told at the head of the loop.
                () = sleep(PROGRESS), if !self.running.is_empty() => {}
                () = grace => self.cancel_all("the grace of the shutdown is over"),
            }
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Fired(second) => self.fired(second),
            Message::Ended(ended) => self.ended(*ended),
            Message::Asked(work) => work(self),
            Message::Changed => self.reread(None),
            Message::Reload => {
                self.configured.insisted = true;
                self.reread(None);
            }
            Message::Read(read) => self.read(read.map(|read| *read)),
            Message::Stop => self.stop(),
        }
    }

    /// Looks everything over; whatever was lost on the way, a firing or a change of the clock, is found here.
    fn sweep(&mut self) {
        let now = self.now();
        self.agendas.values_mut().for_each(|agenda| agenda.plan(now));
        self.look(now);
        let plan = Arc::clone(&self.plan);
        self.alarms.look(&plan, &self.agendas, now);
        self.daily(now);
        self.weekly(now);
    }

    /// Queues every database whose time has come, the longest overdue first, and sets the timer for those whose time comes soon.
    pub(super) fn look(&mut self, now: Timestamp) {
        let next = self.agendas.iter().filter_map(|(name, agenda)| Some((agenda.next()?.at, name)));
        let (mut due, later): (Vec<_>, Vec<_>) = next.partition(|(at, _)| *at <= now);
        self.timer.arm(later.into_iter().map(|(at, _)| at), now);
        if due.is_empty() || self.stopping.is_some() {
            return;
        }
        due.sort();
        let waiting: HashSet<&Name> = self.queue.iter().filter_map(Ticket::scheduled).collect();
        let new: Vec<Ticket> = due
            .into_iter()
            .filter(|(_, name)| !waiting.contains(name))
            .map(|(_, name)| Ticket::Scheduled(name.clone()))
            .collect();
        self.queue.extend(new);
    }

    fn fired(&mut self, second: Timestamp) {
        self.timer.fired(second);
        self.look(self.now());
    }
}

/// The next beat of the watchdog; never, where there is none.
async fn beat(pulse: &mut Option<Interval>) {
    match pulse {
        Some(pulse) => {
            pulse.tick().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
