//! What people hear of the daemon, and what it does about failures by itself: pauses, alarms, notifications, retention, metrics.

mod hooks;
mod many;
mod metrics;
mod policy;
mod retention;
mod told;
mod trouble;

use serde_json::Value;

use qbackd::history::{Entry, EventFilter, Reader, StateDir};

use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, sqlite3};
use crate::support::sinks::Sink;

type Desk = Bench<CommandFixture>;

/// What the dump prints is in the file `data`; it fails while the file `broken` is there. `keys` are more of its table, `tables` more
/// of the configuration.
fn desk(keys: &str, tables: &str) -> Desk {
    let dump = "dump = ['sh', '-c', 'test ! -e $HERE/broken || { echo the server is away >&2; exit 3; }; cat $HERE/content']\n";
    let bench = Desk::with_keys(&format!("{dump}{keys}\n"));
    std::fs::write(bench.path("content"), "hello").unwrap();
    bench.set_configuration(&format!("{}{tables}\n", bench.configuration()));
    bench
}

fn break_it(bench: &Desk) {
    std::fs::write(bench.path("broken"), "").unwrap();
}

fn mend_it(bench: &Desk) {
    std::fs::remove_file(bench.path("broken")).unwrap();
}

/// `[notify.NAME]` that posts to a path of a sink.
fn hook(name: &str, url: &str) -> String {
    format!("[notify.{name}]\ntype = 'webhook'\nurl = '{url}'\n")
}

/// The next message of a sink: its path, and the event of its document, or nothing where it has none.
fn heard(sink: &Sink) -> (String, String) {
    let request = sink.next();
    let document: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap_or_default();
    (request["path"].as_str().unwrap().to_owned(), document["event"].as_str().unwrap_or_default().to_owned())
}

/// The next messages of a sink, those of one path after those of another.
fn heard_all(sink: &Sink, count: usize) -> Vec<(String, String)> {
    let mut all: Vec<_> = (0..count).map(|_| heard(sink)).collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

fn pair(path: &str, event: &str) -> (String, String) {
    (path.to_owned(), event.to_owned())
}

/// The events of this word, oldest first.
fn events(bench: &Desk, word: &str) -> Vec<Entry> {
    let reader = Reader::open(&StateDir::open(&bench.path("state")).unwrap()).unwrap().unwrap();
    let filter = EventFilter { word: Some(word.into()), ..EventFilter::default() };
    let mut found = reader.events(&filter, 1000).unwrap();
    found.reverse();
    found
}

/// Changes the history behind qbackd's back, as time would.
fn amend(bench: &Desk, sql: &str) {
    sqlite3(&bench.path("state/history.db"), &format!("PRAGMA busy_timeout = 10000; {sql}"));
}

/// Where everything stands, and the exit code.
fn status(bench: &Desk) -> (i32, Value) {
    let output = bench.run(&["status", "--json"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    (output.status.code().unwrap(), document)
}

/// State and failures of the database.
fn state(bench: &Desk) -> (String, u64) {
    let (_, all) = status(bench);
    let shop = all["databases"].as_array().unwrap().iter().find(|one| one["name"] == "shop").unwrap().clone();
    (shop["state"].as_str().unwrap().to_owned(), shop["failures"].as_u64().unwrap())
}

/// What is wrong with the daemon itself.
fn problems(bench: &Desk) -> Vec<String> {
    let (_, all) = status(bench);
    all["problems"].as_array().unwrap().iter().map(|problem| problem.as_str().unwrap().to_owned()).collect()
}
