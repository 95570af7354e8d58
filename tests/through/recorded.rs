//! What people do besides runs, and its place in the history and the journal.

use serde_json::Value;

use super::permissions::{open_house, typed};
use super::{QUICK, Shop, quick, slow};
use crate::support::daemon::Daemon;
use crate::support::users::{self, ADA, ALICE};

/// The words of the actions of `history ARGS --json`, newest first.
fn words(history: &Value) -> Vec<&str> {
    history["actions"].as_array().unwrap().iter().map(|action| action["action"].as_str().unwrap()).collect()
}

/// The one line of a table that holds all of these.
fn row<'a>(table: &'a str, parts: &[&str]) -> &'a str {
    let mut found = table.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
    let row = found.next().unwrap_or_else(|| panic!("{parts:?} is not in\n{table}"));
    assert_eq!(found.next(), None, "{parts:?}\n{table}");
    row
}

#[test]
fn what_people_did_stands_among_the_runs_and_in_the_journal_with_who_it_was_and_why() {
    let bench = slow();
    let daemon = Daemon::start(&bench);
    bench.ok(&["pause", "shop", "--reason", "moving"]);
    bench.ok(&["resume", "shop"]);
    bench.ok(&["reset-failed", "shop"]);
    // Nothing ran yet; something was done all the same.
    assert!(bench.ok(&["history", "shop"]).contains("paused: moving"));
    bench.ok(&["reload"]);
    bench.ok(&["backup", "shop", "--no-block"]);
    bench.begun();
    bench.ok(&["cancel", "shop"]);
    let run = bench.last_run()["id"].as_str().unwrap().to_owned();

    let table = bench.ok(&["history"]);
    let who = "root (uid 0)";
    row(&table, &["shop", " pause ", who, "paused: moving"]);
    row(&table, &["shop", " resume ", who, "resumed; it was paused by root (uid 0)"]);
    row(&table, &["shop", " reset-failed ", who, "had no failures"]);
    row(&table, &["-", " reload ", who, "the configuration was read again and accepted"]);
    let cancelled = row(&table, &["shop", " cancel ", who, "was cancelled"]);
    assert!(cancelled.starts_with(&run), "{table}");
    assert!(table.lines().nth(1).unwrap().contains(" cancel "), "the newest first:\n{table}");

    let all = bench.json(&["history"]);
    assert_eq!(words(&all), ["cancel", "reload", "reset-failed", "resume", "pause"]);
    let (first, last) = (&all["actions"][4], &all["actions"][0]);
    assert_eq!(
        (&first["database"], &first["who"], &first["text"], &first["run"]),
        (&"shop".into(), &who.into(), &"paused: moving".into(), &Value::Null)
    );
    assert_eq!((&last["run"], &all["actions"][1]["database"]), (&run.as_str().into(), &Value::Null));
    // Of a database what was done to it; of the last run what was done since.
    assert_eq!(words(&bench.json(&["history", "shop"])), ["cancel", "reset-failed", "resume", "pause"]);
    let newest = bench.json(&["history", "-n", "1"]);
    assert_eq!((newest["runs"].as_array().unwrap().len(), words(&newest)), (1, vec!["cancel"]));

    daemon.says("shop: pause by root (uid 0): paused: moving");
    daemon.says("shop: resume by root (uid 0): resumed; it was paused by root (uid 0)");
    daemon.says("shop: reset-failed by root (uid 0): had no failures");
    daemon.says(" reload by root (uid 0): the configuration was read again and accepted");
    daemon.says(&format!("shop: cancel by root (uid 0): the run {run} was cancelled"));
    let ended = daemon.says("shop: backup interrupted after ");
    assert!(ended.ends_with("; cancelled by root (uid 0)"), "{ended}");
    assert!(daemon.stop().success());
    assert_eq!(bench.json(&["history"]), all, "it is the same without a daemon");
    assert_eq!(bench.ok(&["history"]), table);
}

#[test]
fn who_follows_the_history_is_shown_what_is_done_and_nothing_that_was_before() {
    let bench = quick();
    bench.ok(&["pause", "shop"]);
    bench.ok(&["backup", "shop"]);
    bench.ok(&["backup", "shop"]);
    let newest = bench.last_run()["id"].as_str().unwrap().to_owned();
    let follows = |bench: &Shop| {
        let mut verb = bench.begin(&["history", "-f", "-n", "1"]);
        assert!(verb.line().starts_with(&newest));
        bench.ok(&["pause", "shop", "--reason", "again"]);
        let line = verb.line();
        assert!(line.contains("  pause  ") && line.contains(": again"), "{line}");
        bench.ok(&["resume", "shop"]);
        let line = verb.line();
        assert!(line.contains("  resume  "), "{line}");
    };
    follows(&bench);
    let _daemon = Daemon::start(&bench);
    // One run, and one thing that was done since.
    let mut verb = bench.begin(&["history", "-f", "-n", "1", "--json"]);
    let mut next = || serde_json::from_str::<Value>(&verb.line()).unwrap();
    assert_eq!(next()["id"], newest.as_str());
    assert_eq!(next()["action"], "resume");
    bench.ok(&["reload"]);
    assert_eq!(next()["action"], "reload");
}

#[test]
fn an_owner_sees_so_many_of_their_own_runs_and_what_was_done_to_their_databases() {
    let test = "through::recorded::an_owner_sees_so_many_of_their_own_runs_and_what_was_done_to_their_databases";
    if !users::among_users(test) {
        return;
    }
    let bench = open_house(QUICK);
    let _daemon = Daemon::start(&bench);
    let seen = |user: &[&str], args: &[&str]| -> Value {
        let output = typed(&bench, user, &[&["history", "--json"], args].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    };
    bench.ok(&["backup", "shop"]);
    assert_eq!(typed(&bench, ADA, &["pause", "shop", "--reason", "moving"]).status.code(), Some(0));
    for _ in 0..3 {
        bench.ok(&["backup", "blog"]);
    }
    bench.ok(&["pause", "blog", "--reason", "secret"]);
    bench.ok(&["reload"]);
    let own = seen(ALICE, &["-n", "2"]);
    let databases: Vec<&str> =
        own["runs"].as_array().unwrap().iter().map(|run| run["database"].as_str().unwrap()).collect();
    assert_eq!((databases, words(&own)), (vec!["shop"], vec!["pause"]), "{own}");
    assert_eq!(own["actions"][0]["who"], "ada (uid 4243)");
    let all = seen(ADA, &["-n", "2"]);
    assert_eq!((all["runs"].as_array().unwrap().len(), words(&all)), (2, vec!["reload", "pause"]), "{all}");
    assert_eq!(typed(&bench, ALICE, &["history", "blog"]).status.code(), Some(77));
}
