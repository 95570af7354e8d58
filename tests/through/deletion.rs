//! `prune` and `delete` through the daemon: what was shown is what goes.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use super::{Shop, quick};
use crate::support::daemon::{Daemon, until};

/// Three backups of shop, made while nothing was pruned; then rules.
fn three(daemon: &Daemon, bench: &Shop, keep: &str) -> Vec<String> {
    for _ in 0..3 {
        bench.ok(&["backup", "shop"]);
    }
    rules(daemon, bench, "[policy.plain]", &format!("[policy.plain]\n{keep}"));
    bench.listed()
}

fn rules(daemon: &Daemon, bench: &Shop, from: &str, to: &str) {
    let count = daemon.log().iter().filter(|line| line.contains("configuration accepted")).count();
    bench.edit(from, to);
    bench.ok(&["reload"]);
    daemon.says_times("configuration accepted", count + 1);
}

/// A verb at a terminal that asks; and what it showed up to its question.
fn at_a_terminal(bench: &Shop, args: &[&str]) -> (Child, std::path::PathBuf) {
    let command = bench.command(args);
    let words: Vec<&str> = command.get_args().map(|arg| arg.to_str().unwrap()).collect();
    let line = format!("{} {}", command.get_program().to_str().unwrap(), words.join(" "));
    let shown = bench.path("shown");
    let mut command = Command::new("script");
    command.args(["-qefc", &line]).arg(&shown).env("TERM", "xterm").current_dir(bench.path(""));
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the question", || std::fs::read_to_string(&shown).is_ok_and(|text| text.contains("[y/N]")).then_some(()));
    (child, shown)
}

#[test]
fn prune_explains_asks_and_deletes_and_the_runs_are_the_callers() {
    let bench = quick();
    let daemon = Daemon::start(&bench);
    let made = three(&daemon, &bench, "keep = { last = 2 }");
    let said = bench.ok(&["prune", "shop", "--dry-run"]);
    assert!(
        said.contains("shop at local\n") && said.contains("no rule keeps it") && said.contains("last 1 of 2"),
        "{said}"
    );
    assert!(said.contains("to delete: 1 of 3 backups, "), "{said}");
    let document = bench.json(&["prune", "--dry-run"]);
    assert_eq!(
        (&document["dry_run"], &document["databases"][0]["destinations"][0]["backups"][2]["verdict"]),
        (&true.into(), &"delete".into())
    );
    let said = bench.fails(2, &["prune", "shop"]);
    assert!(said.contains("Delete 1 backup for ever"), "{said}");
    assert_eq!(bench.listed(), made, "it only asked");
    let said = bench.ok(&["prune", "shop", "--yes"]);
    assert!(said.contains(&format!("deleted {} at local, ", made[0])) && said.contains("1 backup deleted, "), "{said}");
    assert_eq!(bench.listed(), made[1..]);
    assert_eq!(bench.runs("prune")[0]["initiated_by"], "root (uid 0)");
    let line = daemon.says(&format!("shop: deleted {} at local, ", made[0].trim_start_matches("shop/")));
    assert!(line.ends_with(" B, asked for by root (uid 0); no rule keeps it"), "{line}");
}

#[test]
fn nothing_goes_but_what_was_on_the_screen_when_the_answer_was_yes() {
    let bench = quick();
    let daemon = Daemon::start(&bench);
    let made = three(&daemon, &bench, "keep = { last = 2 }");
    let (mut verb, shown) = at_a_terminal(&bench, &["prune", "shop"]);
    rules(&daemon, &bench, "last = 2", "last = 1");
    verb.stdin.take().unwrap().write_all(b"y\n").unwrap();
    let status = until("the verb ends", || verb.try_wait().unwrap());
    let text = std::fs::read_to_string(shown).unwrap();
    assert!(status.success() && text.contains("1 backup deleted, "), "{text}");
    assert_eq!(bench.listed(), made[1..]);
}

#[test]
fn a_destination_that_cannot_be_read_fails_prune_as_it_does_alone() {
    let bench = quick();
    let daemon = Daemon::start(&bench);
    let made = three(&daemon, &bench, "keep = { last = 1 }");
    std::fs::write(bench.folder(&made[2]).join("manifest.json"), "{").unwrap();
    let said = bench.fails(1, &["prune", "shop", "--yes"]);
    assert!(said.contains("nothing is deleted at local"), "{said}");
    let line = daemon.says("shop: old backups stay at local: nothing is deleted at local: ");
    assert!(line.contains("WARN"), "{line}");
    bench.fails(1, &["prune", "shop", "--dry-run"]);
    assert!(bench.folder(&made[0]).exists());
}

#[test]
fn delete_shows_what_goes_and_deletes_it_where_it_was_shown() {
    let bench = quick();
    let second = "[destination.second]\nservice = \"fs\"\nroot = \"$HERE/second\"\nmin_free = \"0%\"\n\n[encryption";
    bench.edit("[encryption", &second.replace("$HERE", bench.path("").to_str().unwrap()));
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop"]);
    bench.ok(&["backup", "shop", "--to", "second"]);
    let made = bench.listed();
    assert_eq!(made.len(), 2);
    let said = bench.fails(2, &["delete", &made[1]]);
    assert!(
        said.contains(&format!("to delete: {} at second, ", made[1])) && said.contains("it is the last backup"),
        "{said}"
    );
    bench.fails(1, &["delete", &made[1], "--from", "local", "--yes"]);
    assert_eq!(bench.ok(&["delete", "shop@latest", "--from", "second", "--yes"]), format!("deleted {}\n", made[1]));
    assert_eq!(bench.listed(), made[..1]);
    let document = bench.json(&["delete", &made[0], "--yes"]);
    assert_eq!(document["deleted"], made[0].as_str());
    assert!(document["stored_bytes"].as_u64().unwrap() > 0);
    for (id, at) in [(&made[1], "second"), (&made[0], "local")] {
        let line = daemon.says(&format!("shop: deleted {} at {at}, ", id.trim_start_matches("shop/")));
        assert!(line.ends_with(" B, asked for by root (uid 0)"), "{line}");
    }
    let runs = bench.runs("delete");
    assert_eq!((runs.len(), &runs[0]["initiated_by"]), (2, &"root (uid 0)".into()));
}
