//! What an edit does not touch stays as it is: runs that go on, and the times of schedules.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{bench, daemon, database, known, status};
use crate::support::bench::{Bench, names};
use crate::support::daemon::until;
use crate::support::fixture::{CommandFixture, Fixture};

/// A database whose dump waits for the file `go`, and fails if that says so.
fn held(bench: &Bench<CommandFixture>, more: &str) -> String {
    let script = format!(
        "cd {}; echo data; touch started; while [ ! -e go ]; do sleep 0.05; done; . ./go",
        bench.path("").display()
    );
    format!(
        "[database.held]\nengine = \"command\"\npolicy = \"plain\"\ndump = [\"sh\", \"-c\", \"{script}\"]\n{more}\n"
    )
}

fn go(bench: &Bench<CommandFixture>, and: &str) {
    fs::write(bench.path("go.new"), and).unwrap();
    fs::rename(bench.path("go.new"), bench.path("go")).unwrap();
}

fn backups(root: &Path, name: &str) -> usize {
    names(&root.join(name).join("backup")).len()
}

#[test]
fn a_run_keeps_the_configuration_it_began_with() {
    let bench = bench();
    let other = format!("[destination.other]\nservice = \"fs\"\nroot = \"{}\"\n", bench.path("other").display());
    fs::write(bench.path("etc/other.toml"), other).unwrap();
    fs::write(bench.path("etc/held.toml"), held(&bench, "full = \"* * * * * *\"")).unwrap();
    let daemon = daemon(&bench);
    until("it runs", || bench.path("started").exists().then_some(()));
    fs::write(
        bench.path("etc/held.toml"),
        held(&bench, "full = \"* * * * * *\"\ndestinations = [\"other\"]\ncompression = \"none\""),
    )
    .unwrap();
    daemon.says("configuration accepted: changed database held (compression, destinations)");
    go(&bench, "");
    daemon.says_times("held: ok: ", 2);
    let first = daemon.says("held: ok: ");
    assert_eq!(backups(&bench.root(), "held"), 1, "{first}");
    assert_ne!(backups(&bench.path("other"), "held"), 0);
    let run = bench.runs("backup").pop().unwrap();
    assert_eq!((&run["outcome"], &run["destinations"][0]), (&"succeeded".into(), &"local".into()), "{run}");
}

#[test]
fn a_database_that_goes_while_it_runs_ends_its_run_and_is_not_tried_again() {
    let bench = bench();
    fs::write(bench.path("etc/held.toml"), held(&bench, "full = \"03:00\"\nretry = { attempts = 3, after = \"1s\" }"))
        .unwrap();
    let daemon = daemon(&bench);
    until("it runs", || bench.path("started").exists().then_some(()));
    fs::remove_file(bench.path("etc/held.toml")).unwrap();
    daemon.says("configuration accepted: removed database held");
    let still = status(&bench);
    assert!(still.databases.iter().all(|database| database.name.as_str() != "held"), "{still:?}");
    go(&bench, "exit 7");
    let line = daemon.says("held: backup failed");
    assert!(!line.contains("again in"), "{line}");
    assert!(daemon.stop().success());
    assert_eq!(bench.outcomes(), ["failed"]);
}

#[test]
fn a_database_that_is_renamed_is_a_new_one_and_due_at_once() {
    let bench = bench();
    let schedule = "full = \"*-01-01 03:00:00\"";
    fs::write(bench.path("etc/more.toml"), database("store", schedule)).unwrap();
    let daemon = daemon(&bench);
    daemon.says("store: ok: ");
    fs::write(bench.path("etc/more.toml"), database("depot", schedule)).unwrap();
    daemon.says("configuration accepted: added database depot; removed database store");
    daemon.says("depot: ok: ");
    // What it was called has backups, which are shown.
    assert_eq!(known(&bench), ["depot", "shop", "store"]);
    fs::write(bench.path("etc/more.toml"), database("store", schedule)).unwrap();
    daemon.says("configuration accepted: added database store; removed database depot");
    // Under its old name it is no new one: it waits for its time.
    let next = |name: &str| {
        let status = status(&bench);
        status.databases.into_iter().find(|database| database.name.as_str() == name).and_then(|database| database.next)
    };
    assert_eq!(next("depot"), None);
    assert!(next("store").unwrap().to_string().contains("-01-01T"), "{:?}", next("store"));
    assert_eq!(daemon.log().iter().filter(|line| line.contains("store: ok: ")).count(), 1);
}

/// When each database is due next.
fn next<F: Fixture>(bench: &Bench<F>) -> BTreeMap<String, String> {
    let next = status(bench).databases.into_iter().map(|database| {
        (database.name.to_string(), database.next.map_or_else(|| "never".to_owned(), |next| next.to_string()))
    });
    next.collect()
}

#[test]
fn schedules_that_an_edit_does_not_touch_keep_their_next_time() {
    let bench = bench();
    let schedules = [
        ("daily", "full = \"02:00\""),
        ("often", "full = \"every 6h\""),
        ("spread", "full = \"every 6h\"\nrandomized_delay = \"5h\""),
        ("cron", "full = [\"17 3 * * *\", \"Sun 12:00 Europe/Berlin\"]\nnot_between = [\"Mon..Fri 08:00-18:00\"]"),
        ("moved", "full = \"every 6h\""),
    ];
    let text = |moved: &str| {
        let all = schedules.map(|(name, keys)| database(name, if name == "moved" { moved } else { keys }));
        all.concat()
    };
    fs::write(bench.path("etc/all.toml"), text("full = \"every 6h\"")).unwrap();
    let daemon = daemon(&bench);
    for (name, _) in schedules {
        daemon.says(&format!("{name}: ok: "));
    }
    let before = until("all have a time of the calendar", || {
        let next = next(&bench);
        (next.len() == 6 && status(&bench).databases.iter().all(|database| database.running.is_none())).then_some(next)
    });
    // Everything but the schedules of the first four, in several edits.
    fs::write(bench.path("etc/all.toml"), text("full = \"*-02-03 04:05:06 UTC\"")).unwrap();
    daemon.says("configuration accepted: changed database moved (full)");
    bench.edit("[policy.plain]\n", "[policy.plain]\npause_after = 9\ntimeout = \"9m\"\n");
    daemon.says("and 1 more");
    bench.edit("[daemon]\n", "[daemon]\nmax_parallel = 9\n");
    daemon.says("configuration accepted: changed [daemon] (max_parallel)");
    fs::write(bench.path("etc/broken.toml"), "[").unwrap();
    daemon.says("the configuration was rejected");
    fs::remove_file(bench.path("etc/broken.toml")).unwrap();
    daemon.says("configuration accepted: nothing changed; the files are whole again");
    let mut after = next(&bench);
    let moved = after.insert("moved".into(), before["moved"].clone()).unwrap();
    assert_eq!(after, before);
    assert!(moved.contains("-02-03T04:05:06"), "{moved}");
    // A time zone is part of a schedule, of those that have none of their own.
    bench.edit("[daemon]\n", "[daemon]\ntimezone = \"Asia/Kathmandu\"\n");
    daemon.says("configuration accepted: changed [daemon] (timezone)");
    let zoned = next(&bench);
    assert_ne!(zoned["daily"], before["daily"]);
    assert_eq!(zoned["moved"], moved);
}

#[test]
fn one_line_says_what_changed() {
    let bench = bench();
    fs::write(bench.path("etc/more.toml"), database("gone", "") + &database("edited", "")).unwrap();
    let daemon = daemon(&bench);
    let many: String = (1..=8).map(|n| database(&format!("new{n}"), "")).collect();
    fs::write(bench.path("etc/more.toml"), database("edited", "full = \"03:00\"\npause_after = 1") + &many).unwrap();
    daemon.says(
        "configuration accepted: added database new1, database new2, database new3, database new4, database new5 and 3 more; \
         removed database gone; changed database edited (full, pause_after)",
    );
    assert_eq!(daemon.log().iter().filter(|line| line.contains("configuration accepted")).count(), 1);
}
