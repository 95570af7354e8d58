//! `backup` through the daemon: watched, refused, failed, left alone.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{QUICK, Verb, quick, slow};
use crate::support::daemon::{Daemon, until};

/// The text with ids, times and names of callers taken out.
fn masked(text: &str) -> String {
    text.split_inclusive([' ', '"', '\n', ','])
        .map(|word| if word.contains("T") && word.contains("Z") { "ID " } else { word })
        .collect::<String>()
        .lines()
        .filter(|line| !line.contains("initiated_by") && !line.contains("stored_bytes"))
        .map(|line| line.split_once(" (").map_or(line, |(line, _)| line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn it_says_what_it_says_alone() {
    let bench = quick();
    bench.edit("service = \"fs\"", "service = \"fs\"\nlabel = \"the shelf\"");
    bench.also("bad", "dump = ['sh', '-c', 'echo oh no >&2; exit 3']\npause_after = 0\n");
    let each = |args: &[&str]| {
        let output = bench.run(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), masked(&out), masked(&err))
    };
    let verbs: [&[&str]; 4] = [
        &["backup", "shop", "-q"],
        &["backup", "bad", "-q"],
        &["backup", "shop", "bad", "--json", "-q"],
        &["backup", "no", "-q"],
    ];
    let alone = verbs.map(each);
    assert!(alone[0].1.starts_with("ID at local"), "{alone:?}");
    assert_eq!(alone.each_ref().map(|said| said.0), [Some(0), Some(1), Some(1), Some(2)]);
    let _daemon = Daemon::start(&bench);
    assert_eq!(verbs.map(each), alone);
    assert_eq!(bench.last_run()["initiated_by"], "root (uid 0)");
}

#[test]
fn on_a_terminal_it_is_watched_live() {
    let bench = slow();
    let _daemon = Daemon::start(&bench);
    let program = bench.command(&["backup", "shop"]);
    let words: Vec<&str> = program.get_args().map(|arg| arg.to_str().unwrap()).collect();
    let line = format!("{} {}", program.get_program().to_str().unwrap(), words.join(" "));
    let mut command = Command::new("script");
    command.args(["-qefc", &line, "/dev/null"]).stdin(Stdio::null()).env("TERM", "xterm").current_dir(bench.path(""));
    let mut verb = Verb::of(command);
    bench.begun();
    // The bar redraws itself on one line, which ends with a carriage return.
    let mut seen = Vec::new();
    until("the bar", || {
        let mut byte = [0];
        std::io::Read::read_exact(&mut verb.out, &mut byte).unwrap();
        seen.push(byte[0]);
        let text = String::from_utf8_lossy(&seen);
        (text.contains("running sh") && text.contains("6 B")).then_some(())
    });
    bench.go();
    let (code, out, _) = verb.ends();
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("at local: ok: 6 B"), "{out}");
}

#[test]
fn no_block_returns_at_once_and_a_second_one_is_refused_while_the_first_runs_or_waits() {
    let bench = slow();
    bench.also("blog", QUICK);
    bench.edit("[daemon]", "[daemon]\nmax_parallel = 1");
    let daemon = Daemon::start(&bench);
    let said = bench.ok(&["backup", "shop", "--no-block"]);
    assert!(said.starts_with("shop: accepted as run "), "{said}");
    bench.begun();
    let document = bench.json(&["backup", "blog", "--no-block"]);
    let waiting = document["runs"][0]["run"].as_str().unwrap().to_owned();
    assert_eq!(document["runs"][0]["database"], "blog");
    for (name, state) in [("shop", "is running"), ("blog", "is waiting for its turn")] {
        let said = bench.fails(75, &["backup", name]);
        assert!(
            said.contains(&format!("a run of it {state}")) && said.contains(&format!("qbackd cancel {name}")),
            "{said}"
        );
    }
    // One of several that is busy refuses all of them.
    bench.fails(75, &["backup", "shop", "blog"]);
    bench.go();
    daemon.says("blog: ok");
    assert_eq!(bench.last_run()["id"], waiting.as_str());
    assert_eq!(bench.runs("backup").len(), 2);
}

#[test]
fn all_leaves_out_who_is_paused_or_not_enabled_and_names_the_paused() {
    let bench = quick();
    bench.also("blog", QUICK);
    bench.also("off", &format!("{QUICK}enabled = false\n"));
    let _daemon = Daemon::start(&bench);
    bench.ok(&["pause", "blog", "--reason", "moving"]);
    let output = bench.run(&["backup", "--all"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.lines().count() == 1 && out.starts_with("shop/"), "{out}{err}");
    assert!(err.contains("blog is paused by operator: root (uid 0) (moving): left out"), "{err}");
    let said = bench.run(&["backup", "blog"]);
    assert!(
        said.status.success() && String::from_utf8_lossy(&said.stderr).contains("backed up all the same"),
        "{said:?}"
    );
    bench.ok(&["pause", "shop"]);
    let said = bench.fails(2, &["backup", "--all"]);
    assert!(said.contains("there is no database to back up"), "{said}");
}

#[test]
fn to_names_another_destination_which_must_exist() {
    let bench = quick();
    let second = "[destination.second]\nservice = \"fs\"\nroot = \"$HERE/second\"\nmin_free = \"0%\"\n\n[encryption";
    bench.edit("[encryption", &second.replace("$HERE", bench.path("").to_str().unwrap()));
    let _daemon = Daemon::start(&bench);
    assert!(bench.ok(&["backup", "shop", "--to", "second"]).contains(" at second: ok"));
    assert!(bench.path("second/shop/backup").exists() && !bench.root().join("shop").exists());
    assert!(bench.fails(2, &["backup", "shop", "--to", "third"]).contains("there is no destination `third`"));
}

#[test]
fn a_veto_and_a_timeout_end_the_verb_as_they_would_alone() {
    let bench = slow();
    bench.edit("[policy.plain]", "[policy.plain]\ntimeout = \"1s\"");
    bench.also("vetoed", &format!("{QUICK}hooks.before_backup = 'echo not today; exit 1'\n"));
    let _daemon = Daemon::start(&bench);
    let said = bench.fails(1, &["backup", "shop"]);
    assert!(said.contains("not done within 1s") && said.contains("raise `timeout`"), "{said}");
    assert_eq!(bench.last_run()["outcome"], "timed out");
    let said = bench.fails(1, &["backup", "vetoed"]);
    assert!(said.contains("the hook `before_backup` refused: exit status 1: not today"), "{said}");
    assert_eq!(bench.last_run()["outcome"], "vetoed");
}

#[test]
fn a_database_that_a_verb_alone_works_on_is_busy() {
    let bench = slow();
    let alone = bench.begin(&["backup", "shop"]);
    bench.begun();
    let daemon = Daemon::start(&bench);
    let said = bench.fails(75, &["backup", "shop"]);
    assert!(said.contains("shop"), "{said}");
    bench.go();
    assert_eq!(alone.ends().0, Some(0));
    drop(daemon);
    assert_eq!(bench.runs("backup").len(), 1);
}

#[test]
fn ctrl_c_ends_the_watching_and_names_the_run_which_goes_on() {
    let bench = slow();
    let daemon = Daemon::start(&bench);
    let verb = bench.begin(&["backup", "shop"]);
    bench.begun();
    verb.signal(Signal::INT);
    let (code, out, err) = verb.ends();
    assert_eq!((code, out.as_str()), (Some(130), ""), "{err}");
    let run = bench.last_run();
    assert_eq!(run["outcome"], serde_json::Value::Null, "{run}");
    let id = run["id"].as_str().unwrap();
    assert!(err.contains(&format!("shop (run {id})")) && err.contains("`qbackd cancel shop` ends it"), "{err}");
    bench.go();
    daemon.says("shop: ok");
    let run = bench.last_run();
    assert_eq!((&run["id"], &run["outcome"]), (&id.into(), &"succeeded".into()));
}

#[test]
fn a_daemon_that_dies_while_it_is_watched_ends_the_verb_with_69() {
    let bench = slow();
    let daemon = Daemon::start(&bench);
    let verb = bench.begin(&["backup", "shop"]);
    bench.begun();
    daemon.kill();
    let (code, _, err) = verb.ends();
    assert_eq!(code, Some(69), "{err}");
    assert!(err.contains("lost sight of the run ") && err.contains(" of shop: the daemon broke off"), "{err}");
}

#[test]
fn a_daemon_that_is_stopped_tells_who_watches_that_the_run_was_interrupted() {
    let bench = slow();
    bench.edit("[daemon]", "[daemon]\nshutdown_grace = \"0s\"");
    let daemon = Daemon::start(&bench);
    let verb = bench.begin(&["backup", "shop"]);
    bench.begun();
    assert!(daemon.stop().success());
    let (code, _, err) = verb.ends();
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("backup of shop failed: interrupted before the work was done"), "{err}");
}

#[test]
fn many_are_watched_though_one_user_may_have_few_connections() {
    let bench = quick();
    // More than a user may have connections.
    for n in 0..70 {
        bench.also(&format!("db{n}"), "dump = ['echo', 'hello']\n");
    }
    let _daemon = Daemon::start(&bench);
    let said = bench.ok(&["backup", "--all"]);
    assert_eq!(said.lines().filter(|line| line.contains(": ok: 6 B")).count(), 71, "{said}");
}
