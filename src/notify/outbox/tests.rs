//! The queue, with a courier that does as it is told and a clock that stands still.

use super::*;
use crate::error::Error;
use crate::model::{Event, FixedClock};
use crate::notify::NotifyType;
use crate::notify::options::{Address, Command};
use tokio::sync::mpsc;

/// Says of each attempt to whom, what and when; `broken` ones fail, `hanging` ones never end.
struct Script {
    said: mpsc::UnboundedSender<(String, Message, Instant)>,
    broken: Mutex<Vec<String>>,
    hanging: Vec<String>,
}

#[async_trait]
impl Courier for Script {
    async fn carry(&self, to: &Notify, message: Option<&Message>) -> Result<()> {
        let start = Message::of(&notice("start"));
        self.said.send((to.name.to_string(), message.unwrap_or(&start).clone(), Instant::now())).unwrap();
        if self.hanging.contains(&to.name.to_string()) {
            std::future::pending::<()>().await;
        }
        let broken = self.broken.lock().unwrap().contains(&to.name.to_string());
        if broken { Err(Error::failed("nobody is there")) } else { Ok(()) }
    }
}

fn notice(text: &str) -> Notice {
    Notice::new(Event::Failed, "2026-11-21T02:00:00Z".parse().unwrap(), "db1", None, text)
}

fn named(name: &str) -> Arc<Notify> {
    let how = NotifyType::Command(Command { command: vec!["tell".into()] });
    Arc::new(Notify { name: name.parse().unwrap(), how })
}

type Said = mpsc::UnboundedReceiver<(String, Message, Instant)>;

fn outbox(broken: &[&str], hanging: &[&str]) -> (Outbox, Arc<Script>, Said) {
    let (said, heard) = mpsc::unbounded_channel();
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let script = Arc::new(Script { said, broken: Mutex::new(owned(broken)), hanging: owned(hanging) });
    let clock = Arc::new(FixedClock::new("2026-11-21T03:00:00Z".parse().unwrap()));
    (Outbox::with(script.clone(), clock), script, heard)
}

#[tokio::test(start_paused = true)]
async fn a_message_is_tried_again_with_pauses_that_double_until_it_is_taken() {
    let (outbox, script, mut heard) = outbox(&["ops"], &[]);
    outbox.tell(&named("ops"), &notice("first"));
    let mut times = Vec::new();
    for _ in 0..14 {
        times.push(heard.recv().await.unwrap().2);
    }
    let pauses: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    for (i, pause) in pauses.iter().enumerate() {
        let meant = f64::from(1 << i).min(900.0);
        assert!((0.74 * meant..1.26 * meant).contains(pause), "{pauses:?}");
    }
    let state = outbox.state().remove(0);
    assert_eq!((state.queued, state.last_success), (1, None));
    assert_eq!(state.last_error.as_deref(), Some("nobody is there"));
    assert_eq!(state.failing_since, Some("2026-11-21T03:00:00Z".parse().unwrap()));

    script.broken.lock().unwrap().clear();
    outbox.tell(&named("ops"), &notice("second"));
    assert_eq!(heard.recv().await.unwrap().1.subject(), "[qbackd] first on db1");
    assert_eq!(heard.recv().await.unwrap().1.subject(), "[qbackd] second on db1");
    assert_eq!(outbox.close(Duration::from_secs(5)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_or_fails_delays_no_other() {
    let (outbox, _, mut heard) = outbox(&["broken"], &["hanging"]);
    let begin = Instant::now();
    for name in ["hanging", "broken", "fine"] {
        outbox.tell(&named(name), &notice("a"));
        outbox.tell(&named(name), &notice("b"));
    }
    let mut fine = Vec::new();
    while fine.len() < 2 {
        let (name, message, at) = heard.recv().await.unwrap();
        if name == "fine" {
            assert_eq!(at, begin);
            fine.push(message.part("text"));
        }
    }
    assert_eq!(fine, ["a", "b"]);
    assert_eq!(outbox.close(Duration::from_secs(5)).await, 4);
    assert!(begin.elapsed() < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn the_oldest_goes_when_the_queue_is_full_and_the_next_that_arrives_says_how_many_did() {
    let (outbox, script, mut heard) = outbox(&["ops"], &[]);
    for i in 0..QUEUE + 7 {
        outbox.tell(&named("ops"), &notice(&format!("n{i}")));
    }
    assert_eq!(heard.recv().await.unwrap().1.part("text"), "n7");
    let state = outbox.state().remove(0);
    assert_eq!((state.queued, state.lost), (QUEUE, 7));
    script.broken.lock().unwrap().clear();
    let lost = |message: &Message| serde_json::from_str::<serde_json::Value>(&message.json()).unwrap()["lost"].clone();
    assert_eq!(lost(&heard.recv().await.unwrap().1), 7);
    assert_eq!(lost(&heard.recv().await.unwrap().1), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_given_up_after_a_day() {
    let (outbox, _, mut heard) = outbox(&["ops"], &[]);
    let begin = Instant::now();
    outbox.tell(&named("ops"), &notice("old"));
    while begin.elapsed() < OLDEST - Duration::from_secs(3600) {
        heard.recv().await.unwrap();
    }
    outbox.tell(&named("ops"), &notice("new"));
    while heard.recv().await.unwrap().1.part("text") == "old" {}
    let day = begin.elapsed().as_secs_f64() / OLDEST.as_secs_f64();
    assert!((1.0..1.05).contains(&day), "{day}");
    assert_eq!((outbox.state()[0].queued, outbox.state()[0].lost), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn after_a_reload_a_changed_one_is_tried_at_once_and_what_is_gone_is_dropped() {
    let (outbox, _, mut heard) = outbox(&["ops", "gone"], &[]);
    outbox.tell(&named("gone"), &notice("a"));
    outbox.tell(&named("ops"), &notice("a"));
    for _ in 0..20 {
        heard.recv().await.unwrap();
    }
    let how = NotifyType::Command(Command { command: vec!["other".into()] });
    let changed = Arc::new(Notify { name: "ops".parse().unwrap(), how });
    let before = Instant::now();
    outbox.reload(&BTreeMap::from([("ops".parse().unwrap(), changed)]));
    let (name, _, at) = heard.recv().await.unwrap();
    assert_eq!((name.as_str(), at), ("ops", before));
    assert_eq!(outbox.state().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn that_a_run_starts_is_told_to_healthchecks_alone_and_once() {
    let (outbox, _, mut heard) = outbox(&["check"], &[]);
    let check = Arc::new(Notify { name: "check".parse().unwrap(), how: NotifyType::Healthchecks(Address::default()) });
    outbox.started(&named("ops"));
    outbox.started(&check);
    outbox.tell(&check, &notice("end"));
    assert_eq!(heard.recv().await.unwrap().1.part("text"), "start");
    assert_eq!(heard.recv().await.unwrap().1.part("text"), "end");
    assert_eq!(outbox.state().len(), 1);
    assert_eq!(outbox.close(Duration::from_secs(1)).await, 1);
}

/// What is written into the journal.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_journal_is_told_once_that_a_notifier_fails_and_once_that_it_works_again() {
    let journal = Journal::default();
    let writer = journal.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (outbox, script, mut heard) = outbox(&["ops"], &[]);
    for text in ["a", "b"] {
        outbox.tell(&named("ops"), &notice(text));
    }
    for _ in 0..5 {
        heard.recv().await.unwrap();
    }
    script.broken.lock().unwrap().clear();
    assert_eq!(outbox.close(Duration::from_secs(5)).await, 0);
    let journal = String::from_utf8(journal.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = journal.lines().collect();
    assert_eq!(lines.len(), 2, "{journal}");
    assert!(
        lines[0].contains("WARN") && lines[0].contains("nobody is there; trying again until it works"),
        "{journal}"
    );
    assert!(lines[1].contains("INFO") && lines[1].contains("notifier ops works again"), "{journal}");
}
