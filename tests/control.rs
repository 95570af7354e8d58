//! The control socket: who may ask for what, what comes back, and that nobody who is slow, malformed, huge or many hurts others.
//! A server with a small desk lives in the test's process; curl, the verbs and raw sockets speak to it, as several users.

mod abuse;
mod desk;
mod permissions;
mod socket;
mod verbs;

use std::collections::BTreeSet;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qbackd::control::wire::{Backup, Ended, History};
use qbackd::control::{Client, Entry, Problem};
use qbackd::daemon::control::{Limits, Socket, Stage, serve};
use qbackd::error::{Error, Kind};
use qbackd::model::{Outcome, RunId};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use desk::{Fake, a_run};

/// As long as anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A daemon's control server.
struct House {
    dir: TempDir,
    socket: PathBuf,
    desk: Arc<Fake>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl House {
    async fn new() -> Self {
        Self::with("", "shopkeepers", Limits::default()).await
    }

    /// `daemon` is what `[daemon]` says, `owner` the group of the database shop.
    async fn with(daemon: &str, owner: &str, limits: Limits) -> Self {
        let dir = TempDir::new().unwrap();
        set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let socket = dir.path().join("run/control.sock");
        let desk = Arc::new(Fake::new(dir.path(), daemon, owner));
        let stop = CancellationToken::new();
        let listening = Socket::bind(&socket).await.unwrap();
        let server = tokio::spawn(serve(listening, desk.clone(), limits, Timestamp::UNIX_EPOCH, stop.clone()));
        Self { dir, socket, desk, stop, server }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.socket).await.unwrap().expect("a daemon")
    }

    /// A request by curl, as `user` (`setpriv` options) if one is given: status and body.
    fn curl(&self, user: &[&str], args: &[&str]) -> (u16, Value) {
        let output = self.curl_command(user, args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{args:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
        let (body, status) = text.rsplit_once('\n').unwrap();
        let body = serde_json::from_str(body).unwrap_or_else(|e| panic!("{args:?}: {e}: {body}"));
        (status.parse().unwrap(), body)
    }

    fn curl_command(&self, user: &[&str], args: &[&str]) -> Command {
        let mut command = if user.is_empty() {
            Command::new("curl")
        } else {
            let mut command = Command::new("setpriv");
            command.args(user).args(["--inh-caps=-all", "--", "curl"]);
            command
        };
        let (path, rest) = args.split_first().unwrap();
        command.args(["-sS", "-N", "-w", "\n%{http_code}", "--max-time", "30", "--unix-socket"]).arg(&self.socket);
        command.args(rest).arg(format!("http://qbackd/v1/{path}")).env_remove("http_proxy").current_dir("/");
        command
    }

    /// Ends the server, as the daemon does at its end.
    async fn end(self) {
        self.stop.cancel();
        timeout(LIMIT, self.server).await.expect("the server must end").unwrap();
    }
}

/// What `look` finds, as soon as it finds something.
fn within<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    while begun.elapsed() < LIMIT {
        if let Some(found) = look() {
            return found;
        }
        std::thread::yield_now();
    }
    panic!("it did not happen within {LIMIT:?}");
}

fn name(text: &str) -> qbackd::model::Name {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_watched_from_its_place_in_the_queue_to_its_end_with_error_hint_and_exit_code() {
    let house = House::new().await;
    let client = house.client().await;
    let ask = Backup { names: vec![name("shop")], ..Backup::default() };
    let runs = client.backup(&ask).await.unwrap().runs;
    assert_eq!((runs.len(), runs[0].database.as_str(), &runs[0].run), (1, "shop", &None));
    let mut follow = client.progress("shop").await.unwrap();
    let first = follow.next().await.unwrap().unwrap();
    assert_eq!((first.phase.as_str(), first.run, first.ended), ("queued", None, None));

    let run = RunId::from_text("20261120T020000Z-db1-k3f9x2ab");
    house.desk.stage.send_replace(Stage { run: Some(run.clone()), attempt: 2, ended: None });
    house.desk.progress.phase("dump");
    house.desk.progress.expect(100);
    house.desk.progress.plain(41);
    house.desk.progress.stored(7);
    let there = async {
        loop {
            let tick = follow.next().await.unwrap().unwrap();
            if (tick.plain, tick.stored) == (41, 7) {
                return tick;
            }
        }
    };
    let tick = timeout(LIMIT, there).await.unwrap();
    assert_eq!((tick.phase.as_str(), tick.expected, tick.attempt, tick.run.as_ref()), ("dump", 100, 2, Some(&run)));

    let error = Error::new(Kind::Unavailable, "cannot dump shop").because("no such tool").hint("install it");
    let ended = Ended { error: Some(Problem::from(&error)), ..Ended::new(Outcome::Failed) };
    house.desk.stage.send_modify(|stage| stage.ended = Some(ended));
    let last = timeout(LIMIT, follow.next()).await.unwrap().unwrap().unwrap().ended.unwrap();
    let back = Error::from(last.error.unwrap());
    assert_eq!((last.outcome, back.exit_code()), (Outcome::Failed, 69));
    assert_eq!((back.line().as_str(), back.remedy()), ("cannot dump shop: no such tool", Some("install it")));
    assert!(follow.next().await.unwrap().is_none());
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_followed_run_by_run_and_ends_with_the_error_that_ends_it() {
    let house = House::new().await;
    let client = house.client().await;
    let ask = History { what: Some("shop & co/..".into()), count: 7, follow: true };
    let mut follow = client.history::<Value, Value, Value>(&ask).await.unwrap();
    assert_eq!(house.desk.told(), ["history of Some(\"shop & co/..\"), 7, true, by root (uid 0)"]);
    let added = house.desk.added();
    for _ in 0..2 {
        let sent = a_run();
        added.send(Ok(Entry::Run(sent.clone()))).await.unwrap();
        let Some(Entry::Run(run)) = follow.next().await.unwrap() else { panic!("no run came") };
        assert_eq!(run, serde_json::to_value(&sent).unwrap());
    }
    added.send(Err(Error::failed("the history is gone"))).await.unwrap();
    let Some(Entry::Error(problem)) = follow.next().await.unwrap() else { panic!("no error came") };
    assert_eq!(problem.message, "the history is gone");
    assert!(follow.next().await.unwrap().is_none());
    // Somebody who goes away is noticed, so that nothing is made for nobody.
    let followed = client.history::<Value, Value, Value>(&ask).await.unwrap();
    let added = house.desk.added();
    drop(followed);
    timeout(LIMIT, added.closed()).await.expect("the desk must see that nobody follows");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_and_every_error_is_json_for_any_http_client() {
    let house = House::new().await;
    let (status, build) = house.curl(&[], &["version"]);
    assert_eq!((status, &build["api"], &build["version"]), (200, &"v1".into(), &env!("CARGO_PKG_VERSION").into()));
    assert_eq!(build["pid"], std::process::id());
    let (status, answer) = house.curl(&[], &["backup", "-d", r#"{"names": ["shop", "blog"], "type": "full"}"#]);
    assert_eq!((status, answer["runs"].as_array().unwrap().len()), (202, 2));
    for (status, kind, args) in [
        (404, "usage", &["nonsense"][..]),
        (405, "usage", &["backup"]),
        (400, "usage", &["backup", "-d", "{}"]),
        (400, "usage", &["backup", "-d", r#"{"all": true, "names": ["shop"]}"#]),
        (400, "usage", &["backup", "-d", r#"{"names": ["shop"], "fast": true}"#]),
        (400, "usage", &["backup", "-d", r#"{"names": ["../etc"]}"#]),
        (400, "usage", &["backup", "-d", "[[[[[["]),
        (400, "usage", &["history?count=many"]),
        (400, "usage", &["databases/..%2f..%2fetc/pause", "-X", "POST"]),
        (400, "usage", &["databases/%ff/pause", "-X", "POST"]),
        (404, "not-found", &["databases/nosuch/pause", "-X", "POST"]),
        (409, "try-again", &["databases/busy/cancel", "-X", "POST"]),
        (503, "unavailable", &["restore", "-d", r#"{"what": "shop"}"#]),
    ] {
        let (got, body) = house.curl(&[], args);
        assert_eq!((got, &body["error"]["kind"]), (status, &kind.into()), "{args:?}: {body}");
        assert!(body["error"]["message"].is_string() && body["error"]["code"].is_u64(), "{args:?}: {body}");
    }
    house.end().await;
}

#[test]
fn the_document_has_every_request_and_no_other() {
    let routes = include_str!("../src/daemon/control/routes.rs");
    let served: BTreeSet<String> = routes
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".route(\"")?.split_once("\", "))
        .map(|(path, method)| format!("{} /v1{path}", if method.starts_with("get(") { "GET" } else { "POST" }))
        .collect();
    let document = include_str!("../docs/control-api.md");
    let headings = document.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    assert_eq!(headings.map(str::to_owned).collect::<BTreeSet<_>>(), served);
    assert!(served.contains("GET /v1/status") && served.contains("POST /v1/backup"), "{served:?}");
}
