//! What is to be told and by whom: a bounded queue and a task for each notifier, so that one that hangs delays no other and
//! nobody who tells.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Notify as Bell;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Level;

use super::message::Message;
use super::options::Notify;
use crate::error::Result;
use crate::model::journal::Fields;
use crate::model::{Clock, Moment, Name, Notice};

/// How many messages wait for one notifier at most; the oldest goes for a new one.
const QUEUE: usize = 100;
/// The pause after the first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How old a message may become before it is given up.
const OLDEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How old the word that a run starts may become: late, it would say that it starts now.
const OLDEST_START: Duration = Duration::from_secs(60);

/// How a notifier does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotifierState {
    /// Its name.
    pub name: Name,
    /// Messages that wait, the one that is being sent among them.
    pub queued: usize,
    /// Messages that were given up since the last success.
    pub lost: u64,
    /// When it last took a message.
    pub last_success: Option<Timestamp>,
    /// Why it last did not, on one line; stays until it takes one.
    pub last_error: Option<String>,
    /// Since when it takes none.
    pub failing_since: Option<Timestamp>,
}

/// Who carries a message to where it goes: [`super::send`], but for tests of the queue.
#[async_trait]
pub(super) trait Courier: Send + Sync + 'static {
    /// Delivers it once; `None`: that a run starts.
    async fn carry(&self, to: &Notify, message: Option<&Message>) -> Result<()>;
}

struct Post(Duration);

#[async_trait]
impl Courier for Post {
    async fn carry(&self, to: &Notify, message: Option<&Message>) -> Result<()> {
        match message {
            Some(message) => super::send(to, message, self.0).await,
            None => super::started(to, self.0).await,
        }
    }
}

/// A queue and the task that empties it, for each notifier that was told anything.
type Boxes = BTreeMap<Name, (Arc<Queue>, JoinHandle<()>)>;

/// The messages on their way, by notifier.
pub struct Outbox {
    courier: Arc<dyn Courier>,
    clock: Arc<dyn Clock>,
    boxes: Mutex<Boxes>,
}

struct Letter {
    /// `None`: that a run starts.
    notice: Option<Notice>,
    since: Instant,
}

/// What waits for one notifier.
struct Queue {
    name: Name,
    state: Mutex<State>,
    /// Something came, or it is closed.
    came: Bell,
    /// Try again now.
    again: Bell,
}

struct State {
    to: Arc<Notify>,
    /// The first one is the next, or the one that is being sent.
    letters: VecDeque<Letter>,
    sending: bool,
    closing: bool,
    lost: u64,
    last_success: Option<Timestamp>,
    last_error: Option<String>,
    failing_since: Option<Timestamp>,
}

impl Outbox {
    /// An empty outbox; each attempt to deliver may take `limit` ([`super::LIMIT`]). `clock` is for what [`state`](Self::state)
    /// shows.
    pub fn start(clock: Arc<dyn Clock>, limit: Duration) -> Self {
        Self::with(Arc::new(Post(limit)), clock)
    }

    fn with(courier: Arc<dyn Courier>, clock: Arc<dyn Clock>) -> Self {
        Self { courier, clock, boxes: Mutex::default() }
    }

    /// Sends a notice on its way and comes back at once. To be called within a tokio runtime.
    pub fn tell(&self, to: &Arc<Notify>, notice: &Notice) {
        self.put(to, Some(notice.clone()));
    }

    /// Tells a check of healthchecks that a run starts; nothing happens for any other type. It is tried once.
    pub fn started(&self, to: &Arc<Notify>) {
        if matches!(to.how, super::NotifyType::Healthchecks(_)) {
            self.put(to, None);
        }
    }

    /// After a reload: what waits for a notifier that is gone is dropped, and one that was changed is tried at once as it is now.
    pub fn reload(&self, now: &BTreeMap<Name, Arc<Notify>>) {
        self.boxes().retain(|name, (queue, task)| {
            let Some(to) = now.get(name) else {
                task.abort();
                return false;
            };
            let mut state = queue.state();
            if state.to != *to {
                state.to = Arc::clone(to);
                queue.again.notify_one();
            }
            true
        });
    }

    /// How each notifier does that was told anything.
    pub fn state(&self) -> Vec<NotifierState> {
        self.boxes().values().map(|(queue, _)| queue.show()).collect()
    }

    /// Tries what waits once more, for as long as `within`. Returns how many messages were not delivered.
    pub async fn close(self, within: Duration) -> usize {
        let end = Instant::now() + within;
        let boxes = std::mem::take(&mut *self.boxes());
        for (queue, _) in boxes.values() {
            queue.state().closing = true;
            queue.came.notify_one();
            queue.again.notify_one();
        }
        let mut left = 0;
        for (_, (queue, mut task)) in boxes {
            if timeout_at(end, &mut task).await.is_err() {
                task.abort();
            }
            left += queue.state().letters.iter().filter(|letter| letter.notice.is_some()).count();
        }
        left
    }

    fn put(&self, to: &Arc<Notify>, notice: Option<Notice>) {
        let mut boxes = self.boxes();
        let work = |queue: &Arc<Queue>| {
            tokio::spawn(Arc::clone(queue).work(Arc::clone(&self.courier), Arc::clone(&self.clock)))
        };
        let (queue, task) = boxes.entry(to.name.clone()).or_insert_with(|| {
            let queue = Arc::new(Queue::new(Arc::clone(to)));
            let task = work(&queue);
            (queue, task)
        });
        if task.is_finished() {
            // It died of a defect: what waits is still there.
            *task = work(queue);
        }
        queue.put(to, notice);
    }

    fn boxes(&self) -> MutexGuard<'_, Boxes> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        for (_, task) in self.boxes().values() {
            task.abort();
        }
    }
}

impl Queue {
    fn new(to: Arc<Notify>) -> Self {
        let state = State {
            to: Arc::clone(&to),
            letters: VecDeque::new(),
            sending: false,
            closing: false,
            lost: 0,
            last_success: None,
            last_error: None,
            failing_since: None,
        };
        Self { name: to.name.clone(), state: Mutex::new(state), came: Bell::new(), again: Bell::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, to: &Arc<Notify>, notice: Option<Notice>) {
        let mut state = self.state();
        state.to = Arc::clone(to);
        if state.letters.len() >= QUEUE {
            // What is being sent may arrive yet.
            let oldest = usize::from(state.sending);
            state.lost += u64::from(state.letters.remove(oldest).is_some_and(|letter| letter.notice.is_some()));
        }
        state.letters.push_back(Letter { notice, since: Instant::now() });
        drop(state);
        self.came.notify_one();
    }

    fn show(&self) -> NotifierState {
        let state = self.state();
        NotifierState {
            name: self.name.clone(),
            queued: state.letters.len(),
            lost: state.lost,
            last_success: state.last_success,
            last_error: state.last_error.clone(),
            failing_since: state.failing_since,
        }
    }

    /// Delivers what comes, one after the other, until it is closed and empty, or closed and in trouble.
    async fn work(self: Arc<Self>, courier: Arc<dyn Courier>, clock: Arc<dyn Clock>) {
        let mut pause = FIRST_PAUSE;
        while let Some((to, message)) = self.next().await {
            match courier.carry(&to, message.as_ref()).await {
                Ok(()) => {
                    self.delivered(message.is_some(), clock.now());
                    pause = FIRST_PAUSE;
                }
                Err(e) => {
                    self.failed(&e.line(), clock.now());
                    if self.state().closing {
                        return;
                    }
                    tokio::select! {
                        () = sleep(jitter(pause)) => {}
                        () = self.again.notified() => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// The next one to deliver, once there is one; `None` when it is closed.
    async fn next(&self) -> Option<(Arc<Notify>, Option<Message>)> {
        loop {
            {
                let mut state = self.state();
                let late = |letter: &Letter| letter.notice.is_none() && letter.since.elapsed() > OLDEST_START;
                while state.letters.front().is_some_and(late) {
                    state.letters.pop_front();
                }
                if let Some(letter) = state.letters.front() {
                    let lost = state.lost;
                    let message = letter.notice.as_ref().map(|notice| Message::of(notice).after_lost(lost));
                    let to = Arc::clone(&state.to);
                    state.sending = true;
                    return Some((to, message));
                }
                if state.closing {
                    return None;
                }
            }
            self.came.notified().await;
        }
    }

    fn delivered(&self, notice: bool, now: Timestamp) {
        let mut state = self.state();
        state.sending = false;
        state.letters.pop_front();
        if notice {
            state.lost = 0;
        }
        state.last_success = Some(now);
        state.last_error = None;
        if let Some(since) = state.failing_since.take() {
            drop(state);
            let text = format!("notifier {} works again; it failed since {since:.0}", self.name);
            Fields::of(Moment::NotifierWorks).say(Level::INFO, &text);
        }
    }

    fn failed(&self, why: &str, now: Timestamp) {
        let mut state = self.state();
        state.sending = false;
        state.last_error = Some(why.to_owned());
        let first = state.failing_since.is_none();
        state.failing_since.get_or_insert(now);
        let mut given_up = 0;
        match state.letters.front() {
            Some(letter) if letter.notice.is_none() => drop(state.letters.pop_front()),
            Some(letter) if letter.since.elapsed() >= OLDEST => {
                state.letters.pop_front();
                state.lost += 1;
                given_up = state.lost;
            }
            _ => {}
        }
        drop(state);
        if first {
            Fields::of(Moment::NotifierFails).say(Level::WARN, &format!("{why}; trying again until it works"));
        }
        if given_up > 0 {
            tracing::warn!("notifier {}: a message was given up after a day, {given_up} by now", self.name);
        }
    }
}

/// Up to a quarter more or less, so that many hosts do not come back to a server all at once.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [128u8];
    // Without randomness it is the pause itself.
    let _ = rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::empty());
    pause.mul_f64(0.75 + f64::from(byte[0]) / 512.0)
}

#[cfg(test)]
mod tests;
