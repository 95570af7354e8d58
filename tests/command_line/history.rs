//! `history`: the runs, their lines, and following them.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use qbackd::error::Error;
use qbackd::history::{Ending, History, Level, NewRun, StateDir, lock};
use qbackd::model::{Outcome, RunId, RunKind, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{qbackd, run, said, utf8};

/// A history with an ended run of shop, a failed one of blog, and one of www that is going on.
pub struct Book {
    dir: tempfile::TempDir,
    pub state: Arc<StateDir>,
    history: History,
    shop: RunId,
    blog: RunId,
}

pub fn book() -> Book {
    let dir = tempfile::tempdir().unwrap();
    let state = Arc::new(StateDir::prepare(&dir.path().join("state")).unwrap());
    let (history, _) = History::open(state.clone(), "db1", Arc::new(SystemClock)).unwrap();
    let shop = history.begin(backup("shop"), None).unwrap();
    history.line(&shop, Level::Info, "84 tables");
    history.line(&shop, Level::Warning, "a tool said \u{1b}[2Jthis\nand that");
    let ending = Ending { stored_bytes: Some(5 << 20), tables: Some(84), ..Ending::new(Outcome::Succeeded) };
    history.finish(&shop, ending).unwrap();
    let blog = history.begin(backup("blog"), None).unwrap();
    let error = Error::failed("cannot reach db1").because("connection refused").hint("start it");
    history.finish(&blog, Ending::of(&error)).unwrap();
    Book { dir, state, history, shop, blog }
}

fn backup(database: &str) -> NewRun {
    NewRun {
        id: None,
        kind: RunKind::Backup,
        database: database.parse().unwrap(),
        destinations: vec!["local".into()],
        backup: None,
        initiated_by: "root".into(),
        due: None,
        attempt: None,
    }
}

impl Book {
    fn ask(&self, args: &[&str]) -> Command {
        let mut command = qbackd(&["history"]);
        command.args(args).env("STATE_DIRECTORY", self.state.path());
        command
    }

    fn json(&self, args: &[&str]) -> Value {
        let (code, out, err) = said(self.ask(args).arg("--json"));
        assert_eq!((code, err.as_str()), (Some(0), ""));
        serde_json::from_str(&out).unwrap()
    }
}

#[test]
fn history_shows_who_when_how_long_how_big_and_how_it_ended() {
    let book = book();
    let (code, out, err) = said(&mut book.ask(&[]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(lines[0].starts_with("RUN  ") && lines[0].ends_with("TEXT"), "{out}");
    let failed = ["db1-", "blog", "backup", "failed", "root", "cannot reach db1: connection refused"];
    let succeeded = ["db1-", "shop", "backup", "5.0 MiB", "succeeded", "root"];
    assert!(failed.iter().all(|word| lines[1].contains(word)), "{out}");
    assert!(succeeded.iter().all(|word| lines[2].contains(word)), "{out}");
    assert!(!out.contains('\u{1b}'), "colours without a terminal: {out}");

    let (_, shop, _) = said(&mut book.ask(&["shop"]));
    assert!(shop.contains(book.shop.as_str()) && !shop.contains(book.blog.as_str()), "{shop}");
    let (_, newest, _) = said(&mut book.ask(&["-n", "1"]));
    assert!(newest.contains(book.blog.as_str()) && !newest.contains(book.shop.as_str()), "{newest}");
}

#[test]
fn history_in_json_has_names_that_scripts_can_rely_on() {
    let book = book();
    let all = book.json(&[]);
    let run = &all["runs"][1];
    assert_eq!(run["id"], book.shop.as_str());
    assert_eq!(
        (&run["outcome"], &run["stored_bytes"], &run["tables"]),
        (&"succeeded".into(), &5_242_880.into(), &84.into())
    );
    let keys: Vec<_> = run.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys.join(" "),
        "attempt backup database destinations due ended error hint id initiated_by kind notes outcome phases plain_bytes rows started \
         stored_bytes tables"
    );
    let one = book.json(&[book.shop.as_str()]);
    assert_eq!(one["run"], *run);
    assert_eq!((&one["lines"][0]["level"], &one["lines"][0]["text"]), (&"info".into(), &"84 tables".into()));
}

#[test]
fn a_run_shows_its_own_lines_made_harmless() {
    let book = book();
    // All but the last character, which is as unique as the whole.
    let id = book.shop.as_str();
    let (code, out, _) = said(&mut book.ask(&[&id[..id.len() - 1]]));
    assert_eq!(code, Some(0));
    assert!(out.contains(&format!("run           {id}\n")) && out.contains("outcome       succeeded\n"), "{out}");
    assert!(out.contains("  info     84 tables\n"), "{out}");
    assert!(out.contains("  warning  a tool said  [2Jthis and that\n"), "{out}");
    let (_, out, _) = said(&mut book.ask(&[book.blog.as_str()]));
    assert!(out.contains("error         cannot reach db1: connection refused\nhint          start it\n"), "{out}");
}

#[test]
fn a_run_that_died_is_not_shown_as_running() {
    let book = book();
    let held = lock::try_lock(&book.state, &"www".parse().unwrap()).unwrap().unwrap();
    book.history.begin(backup("www"), Some(&held)).unwrap();
    assert_eq!(book.json(&["www"])["runs"][0]["outcome"], Value::Null);
    assert!(said(&mut book.ask(&["www"])).1.contains(" running "));
    // What a kill does: the lock is free, and nobody wrote an end.
    drop(held);
    assert_eq!(book.json(&["www"])["runs"][0]["outcome"], "interrupted");
    assert!(said(&mut book.ask(&["www"])).1.contains("its process died"));
}

#[test]
fn a_run_is_followed_until_it_ends() {
    let book = book();
    let run = book.history.begin(backup("www"), None).unwrap();
    book.history.line(&run, Level::Info, "one");
    let mut child = book.ask(&[run.as_str(), "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("  info     one")));
    book.history.line(&run, Level::Info, "two");
    assert!(lines.any(|line| line.ends_with("  info     two")));
    book.history.finish(&run, Ending::new(Outcome::Vetoed)).unwrap();
    assert_eq!(lines.last().as_deref(), Some("vetoed"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn runs_are_followed_until_ctrl_c() {
    let book = book();
    let mut child = book.ask(&["-f", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!([next()["id"].clone(), next()["id"].clone()], [book.shop.as_str(), book.blog.as_str()]);
    let run = book.history.begin(backup("www"), None).unwrap();
    assert_eq!(next()["outcome"], Value::Null);
    book.history.finish(&run, Ending::new(Outcome::Succeeded)).unwrap();
    let ended = next();
    assert_eq!((&ended["id"], &ended["outcome"]), (&run.as_str().into(), &"succeeded".into()));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn nothing_recorded_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let ask = |args: &[&str]| said(qbackd(args).env("STATE_DIRECTORY", dir.path().join("absent")));
    assert_eq!(ask(&["history"]), (Some(0), String::new(), "no run is recorded yet\n".into()));
    assert_eq!(
        ask(&["history", "--json"]),
        (Some(0), "{\n  \"runs\": [],\n  \"actions\": []\n}\n".into(), String::new())
    );
    assert!(!dir.path().join("absent").exists());
}

#[test]
fn a_history_that_is_closed_to_the_caller_exits_with_77_and_tells_who_may() {
    let book = book();
    std::fs::set_permissions(book.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(book.state.path(), PermissionsExt::from_mode(0o000)).unwrap();
    let mut ask = book.ask(&[]);
    if rustix::process::geteuid().is_root() {
        // Nothing is closed to root; nobody is a stranger.
        ask.uid(65534).gid(65534);
    }
    let (code, _, err) = said(&mut ask);
    std::fs::set_permissions(book.state.path(), PermissionsExt::from_mode(0o750)).unwrap();
    assert_eq!(code, Some(77), "{err}");
    assert!(err.contains("hint: run as root or as the user qbackd"), "{err}");
}

#[test]
fn history_is_where_the_configuration_says_though_the_rest_of_it_is_broken() {
    let book = book();
    let config = book.dir.path().join("etc");
    std::fs::create_dir(&config).unwrap();
    let text = format!("[daemon]\nstate_dir = {:?}\n\n[policy.nightly]\nfull = \"never ever\"\n", book.state.path());
    std::fs::write(config.join("a.toml"), text).unwrap();
    assert_eq!(run(&["check", "--config", utf8(&config)]).0, Some(78));
    let (code, out, err) = run(&["history", "shop", "--config", utf8(&config)]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains(book.shop.as_str()), "{out}");
}
