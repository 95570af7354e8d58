//! Where the databases stand, as people and monitoring see it, and what pause, resume and reset-failed do: the real program alone.

mod suspicious;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use qbackd::history::{EventFilter, Reader, StateDir};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, sh};

type Desk = Bench<CommandFixture>;

const GOOD: &str = "dump = ['echo', 'hello']";
const BAD: &str = "dump = ['sh', '-c', 'echo the server is away >&2; exit 3']";

/// A configuration with these databases: names, and what stands in their tables.
fn with(databases: &[(&str, &str)]) -> Desk {
    let bench = Desk::new();
    configure(&bench, databases);
    bench
}

fn configure(bench: &Desk, databases: &[(&str, &str)]) {
    let text = bench.configuration();
    let mut text = text.split("[database.").next().unwrap().to_owned();
    for (name, keys) in databases {
        text.push_str(&format!("[database.{name}]\nengine = 'command'\npolicy = 'plain'\n{keys}\n"));
    }
    bench.set_configuration(&text);
}

/// The exit code, stdout and stderr.
fn said(bench: &Desk, args: &[&str]) -> (i32, String, String) {
    let output = bench.run(args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The document of `status --json` and its exit code.
fn status(bench: &Desk, args: &[&str]) -> (i32, Value) {
    let (code, out, err) = said(bench, &[&["status", "--json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}\n{err}")))
}

/// One database, and the exit code.
fn one(bench: &Desk, name: &str) -> (i32, Value) {
    let (code, all) = status(bench, &[name]);
    assert_eq!(all["databases"].as_array().unwrap().len(), 1);
    (code, all["databases"][0].clone())
}

fn state(bench: &Desk, name: &str) -> String {
    one(bench, name).1["state"].as_str().unwrap().to_owned()
}

fn reader(bench: &Desk) -> Reader {
    Reader::open(&StateDir::open(&bench.path("state")).unwrap()).unwrap().unwrap()
}

/// The words of the events about a database, oldest first, but `succeeded`.
fn events(bench: &Desk, name: &str) -> Vec<String> {
    let filter = EventFilter { database: Some(name.parse().unwrap()), ..EventFilter::default() };
    let mut words: Vec<_> = reader(bench).events(&filter, 100).unwrap().into_iter().map(|entry| entry.word).collect();
    words.retain(|word| word != "succeeded");
    words.reverse();
    words
}

#[test]
fn every_state_is_told_worst_first_within_80_columns() {
    let databases = [
        ("fresh", GOOD),
        ("broken", BAD),
        ("halted", &format!("{BAD}\npause_after = 1")),
        ("held", GOOD),
        ("new", GOOD),
        ("old", &format!("{GOOD}\nstale_after = '1ms'")),
        ("off", &format!("{GOOD}\nenabled = false")),
        ("gone", GOOD),
    ];
    let bench = with(&databases);
    bench.ok(&["backup", "fresh", "held", "old", "gone"]);
    bench.fails(1, &["backup", "broken", "halted"]);
    bench.ok(&["pause", "held", "--reason", "moving house"]);
    configure(&bench, &databases[..7]);
    let (code, all) = status(&bench, &[]);
    let states: Vec<_> = all["databases"].as_array().unwrap().iter().map(|one| (&one["name"], &one["state"])).collect();
    let told: Vec<(&str, &str)> = states.iter().map(|(n, s)| (n.as_str().unwrap(), s.as_str().unwrap())).collect();
    let expected = [
        ("old", "active"),
        ("broken", "failing"),
        ("halted", "paused"),
        ("held", "paused"),
        ("new", "validating"),
        ("fresh", "active"),
        ("off", "disabled"),
        ("gone", "detached"),
    ];
    assert_eq!((code, told), (3, Vec::from(expected)));

    let (code, out, err) = said(&bench, &["status"]);
    assert_eq!((code, err.as_str()), (3, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "7 databases, 1 failing (broken), 2 paused, 1 stale (old), 1 validating (new)");
    assert!(lines[2].starts_with("DATABASE  STATE"), "{out}");
    assert_eq!(lines.len(), 11, "a line a database:\n{out}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{out}");
    assert!(!out.contains('\u{1b}'), "colours without a terminal: {out}");
    for said in ["stale", "failures: 1 failure, the last: ", "operator: ", ": moving house"] {
        assert!(out.contains(said), "{said:?} is not in\n{out}");
    }
    bench.ok(&["status", "fresh", "new", "off", "gone"]);
}

#[test]
fn long_names_and_long_errors_leave_80_columns_as_they_are() {
    let (long, longer) = ("a".repeat(63), format!("{}b", "a".repeat(62)));
    let bench = with(&[(&long, BAD), (&longer, GOOD), ("shop", BAD)]);
    bench.fails(1, &["backup", "--all"]);
    let (_, out, _) = said(&bench, &["status"]);
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    assert!(out.contains(&"a".repeat(20)) && out.contains('…'), "{out}");
    let wide = bench.command(&["status"]).env("COLUMNS", "200").output().unwrap();
    let wide = String::from_utf8(wide.stdout).unwrap();
    assert!(wide.contains(&long) && wide.contains("the server is away"), "{wide}");
    assert_eq!(status(&bench, &[]).1["databases"][0]["name"], long.as_str());
    assert!(said(&bench, &["status", &longer]).1.starts_with(&longer));
}

#[test]
fn on_a_terminal_the_states_have_colours_and_the_screen_its_width() {
    let bench = with(&[("shop", GOOD), (&"x".repeat(63), BAD)]);
    bench.fails(1, &["backup", "--all"]);
    let shown = |columns: u32, colour: &str| {
        let program = env!("CARGO_BIN_EXE_qbackd");
        let line = format!(
            "stty cols {columns} rows 50; {colour} {program} --config {} status; echo = $?",
            bench.path("etc").display()
        );
        let out = sh("script", &["-qec", &line, "/dev/null"]);
        assert!(out.contains("= 3"), "{out}");
        out
    };
    let out = shown(70, "");
    assert!(out.contains("\u{1b}[32mactive") && out.contains("\u{1b}[31mfailing"), "{out:?}");
    let plain = shown(70, "NO_COLOR=1");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    assert!(plain.lines().all(|line| line.trim_end().chars().count() <= 70), "{plain}");
}

#[test]
fn before_anything_was_recorded_every_database_is_validating_and_nothing_is_wrong() {
    let bench = with(&[("shop", GOOD)]);
    let (code, out, err) = said(&bench, &["status"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("1 database, 1 validating (shop)\n"), "{out}");
    assert_eq!(status(&bench, &[]).0, 0);
    assert!(!bench.path("state/history.db").exists(), "asking writes nothing");
}

#[test]
fn a_schedule_without_a_daemon_is_a_problem() {
    let bench = with(&[("shop", &format!("{GOOD}\nfull = '02:00'"))]);
    bench.ok(&["-q", "backup", "shop"]);
    let (code, out, _) = said(&bench, &["-q", "status"]);
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("problem: no daemon is running"), "{out}");
    assert_eq!(one(&bench, "shop").1["stale_after"], 48 * 3600);
    bench.edit("'02:00'", "['Sun 02:00', 'Tue 02:00']");
    assert_eq!(one(&bench, "shop").1["stale_after"], 5 * 36 * 3600, "one and a half times from Tuesday to Sunday");
    let (code, out, _) = said(&bench, &["-q", "status", "--health"]);
    assert_eq!(
        (code, out.as_str()),
        (3, "DEGRADED: 1 database, all fresh; no daemon is running, so no schedule is kept\n")
    );
}

#[test]
fn silence_is_stale_also_when_nothing_ever_ran() {
    let bench = with(&[("shop", GOOD), ("never", &format!("{GOOD}\nstale_after = '1ms'"))]);
    bench.ok(&["backup", "shop"]);
    let (code, never) = one(&bench, "never");
    assert_eq!((code, &never["stale"], &never["state"]), (3, &true.into(), &"validating".into()));
    assert_eq!(one(&bench, "shop").1["stale"], false);
    bench.edit("1ms", "1h");
    let (code, never) = one(&bench, "never");
    assert_eq!((code, &never["stale"], &never["stale_after"]), (0, &false.into(), &3600.into()));
}

#[test]
fn so_many_failures_in_a_row_pause_a_database_until_a_backup_by_hand_succeeds() {
    let bench = with(&[("shop", &format!("{BAD}\npause_after = 2"))]);
    bench.fails(1, &["backup", "shop"]);
    assert_eq!(state(&bench, "shop"), "failing");
    let said = bench.fails(1, &["backup", "shop"]);
    assert!(said.contains("warning: shop: paused after 2 failures: "), "{said}");
    let (code, shop) = one(&bench, "shop");
    assert_eq!((code, &shop["state"], &shop["failures"]), (3, &"paused".into(), &2.into()));
    assert_eq!(shop["pause"]["by"], "failures");
    assert!(shop["last_error"]["error"].as_str().unwrap().contains("the server is away"), "{shop}");

    let said = bench.fails(2, &["backup", "--all"]);
    assert!(said.contains("shop is paused by failures") && said.contains("left out"), "{said}");
    bench.edit("exit 3", "echo hello");
    let output = bench.run(&["backup", "shop"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("backed up all the same"));
    let (code, shop) = one(&bench, "shop");
    assert_eq!(
        (code, &shop["state"], &shop["failures"], &shop["pause"]),
        (0, &"active".into(), &0.into(), &Value::Null)
    );
    assert_eq!(events(&bench, "shop"), ["failed", "failed", "paused", "recovered"]);
}

#[test]
fn with_pause_after_0_failures_never_pause() {
    let bench = with(&[("shop", &format!("{BAD}\npause_after = 0"))]);
    (0..4).for_each(|_| drop(bench.fails(1, &["backup", "shop"])));
    let (code, shop) = one(&bench, "shop");
    assert_eq!((code, &shop["state"], &shop["failures"]), (3, &"failing".into(), &4.into()));
}

#[test]
fn a_refused_or_interrupted_run_is_no_failure() {
    let bench = with(&[("shop", "dump = ['sh', '-c', 'echo on > $HERE/on; exec sleep 600']")]);
    let text = bench.configuration().replace("$HERE", &bench.path("").display().to_string());
    bench.set_configuration(&text);
    let child = bench.command(&["backup", "shop"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    bench.wait_for("on", Duration::from_secs(30));
    bench.fails(75, &["backup", "shop"]);
    let (code, shop) = one(&bench, "shop");
    assert_eq!((code, &shop["running"]["kind"], &shop["state"]), (0, &"backup".into(), &"validating".into()));
    assert!(said(&bench, &["status"]).1.contains("1 running (shop)"));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let (code, shop) = one(&bench, "shop");
    assert_eq!((code, &shop["failures"], &shop["running"]), (0, &0.into(), &Value::Null));
    assert_eq!(bench.outcomes(), ["interrupted"]);
}

#[test]
fn an_operators_pause_ends_only_by_resume_and_everything_is_recorded_with_its_user() {
    let bench = with(&[("shop", GOOD), ("blog", GOOD)]);
    let as_alice = |args: &[&str]| {
        let output = bench.command(args).env("USER", "alice").env_remove("SUDO_USER").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(as_alice(&["pause", "shop", "blog", "--reason", "moving house"]), "shop: paused\nblog: paused\n");
    let (code, shop) = one(&bench, "shop");
    assert_eq!(
        (code, &shop["pause"]["by"], &shop["pause"]["why"]),
        (3, &"operator: alice".into(), &"moving house".into())
    );
    let since = shop["pause"]["since"].clone();
    let said = bench.fails(2, &["backup", "--all"]);
    assert!(said.contains("shop is paused by operator: alice (moving house): left out"), "{said}");

    bench.ok(&["backup", "shop"]);
    bench.ok(&["reset-failed", "shop"]);
    assert_eq!(state(&bench, "shop"), "paused", "a success and reset-failed leave an operator's pause");
    as_alice(&["pause", "shop"]);
    let again = one(&bench, "shop").1["pause"].clone();
    assert_eq!((&again["since"], &again["why"]), (&since, &"moving house".into()));
    let resumed: Value = serde_json::from_str(&as_alice(&["resume", "shop", "--json"])).unwrap();
    assert_eq!(resumed["databases"][0]["state"], "active");
    assert_eq!((state(&bench, "shop"), state(&bench, "blog")), ("active".into(), "paused".into()));
    assert_eq!(as_alice(&["resume", "shop"]), "shop: was not paused\n");
    assert_eq!(events(&bench, "shop"), ["pause", "reset-failed", "pause", "resume", "resume"]);
    let filter = EventFilter { database: Some("blog".parse().unwrap()), ..EventFilter::default() };
    let pause = reader(&bench).events(&filter, 10).unwrap().remove(0);
    assert_eq!((pause.who.as_deref(), pause.text.as_str()), (Some("alice"), "paused: moving house"));
}

#[test]
fn resume_and_reset_failed_forget_the_failures_that_paused() {
    for verb in ["resume", "reset-failed"] {
        let bench = with(&[("shop", &format!("{BAD}\npause_after = 2"))]);
        (0..2).for_each(|_| drop(bench.fails(1, &["backup", "shop"])));
        assert_eq!(state(&bench, "shop"), "paused");
        bench.ok(&[verb, "shop"]);
        assert_eq!(state(&bench, "shop"), "validating");
        bench.fails(1, &["backup", "shop"]);
        assert_eq!(state(&bench, "shop"), "failing", "{verb}: one failure is not two");
    }
}

#[test]
fn a_name_that_nobody_knows_changes_nothing() {
    let bench = with(&[("shop", GOOD)]);
    for verb in ["pause", "resume", "reset-failed", "status"] {
        let said = bench.fails(2, &[verb, "shop", "shpo"]);
        assert!(said.contains("there is no database `shpo`") && said.contains("did you mean `shop`?"), "{said}");
    }
    assert_eq!(state(&bench, "shop"), "validating");
}

#[test]
fn monitoring_gets_one_line_and_an_exit_code() {
    let bench = with(&[("shop", GOOD), ("blog", GOOD)]);
    bench.ok(&["backup", "--all"]);
    assert_eq!(said(&bench, &["status", "--health"]), (0, "OK: 2 databases, all fresh\n".into(), String::new()));
    bench.edit("dump = ['echo', 'hello']", BAD);
    bench.fails(1, &["backup", "blog"]);
    let (code, out, err) = said(&bench, &["status", "--health"]);
    assert_eq!((code, out.as_str(), err.as_str()), (3, "DEGRADED: 2 databases, 1 failing (blog)\n", ""));
    std::fs::write(bench.path("etc/broken.toml"), "[database.").unwrap();
    assert_eq!(said(&bench, &["status", "--health"]).0, 78);
}

#[test]
fn a_status_that_is_watched_goes_on_until_ctrl_c() {
    let bench = with(&[("shop", GOOD)]);
    let mut child =
        bench.command(&["status", "--watch", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap()).unwrap();
    assert_eq!(next()["databases"][0]["state"], "validating");
    bench.ok(&["backup", "shop"]);
    // It looks again by itself; the one after the backup shows it.
    let states: Vec<_> = (0..3).map(|_| next()["databases"][0]["state"].clone()).collect();
    assert_eq!(states.last().unwrap(), "active", "{states:?}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_document_has_the_fields_that_scripts_rely_on() {
    let bench = with(&[("shop", GOOD)]);
    bench.ok(&["backup", "shop"]);
    bench.ok(&["verify", "shop"]);
    let (_, all) = status(&bench, &[]);
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(fields(&all), "at daemon databases problems");
    let shop = &all["databases"][0];
    assert_eq!(
        fields(shop),
        "engine failing_since failures last_error last_full last_incremental name next pause proven running stale \
         stale_after state suspicious"
    );
    assert_eq!(fields(&shop["last_full"]), "destinations finished id plain_bytes run started stored_bytes");
    assert_eq!(shop["last_full"]["destinations"][0], "local");
    assert_eq!(fields(&shop["proven"]), "at backup how run");
    assert_eq!((&shop["proven"]["how"], &shop["proven"]["backup"]), (&"verify".into(), &shop["last_full"]["id"]));
    let text = bench.ok(&["status", "shop"]);
    for told in
        ["state        active", "last full    ", "proven       by verify ", "next run     none starts by itself"]
    {
        assert!(text.contains(told), "{told:?} is not in\n{text}");
    }
}
