//! The same with everything in play that only a daemon has: its log, its metrics, its notifications, its answers.

use std::os::unix::fs::PermissionsExt;

use super::{MARK, Planted, VARIABLES, betrayed, contains, plant, secret};
use crate::support::bench::Bench;
use crate::support::daemon::Daemon;
use crate::support::fixture::CommandFixture;
use crate::support::scrape::{free_port, get};
use crate::support::sinks::Sink;

#[test]
fn no_secret_is_in_what_a_daemon_says_serves_or_sends() {
    let bench = Bench::<CommandFixture>::new();
    let (sink, post, port) = (Sink::http(), Sink::mail(), free_port());
    let Planted { configuration, .. } = plant(&bench);
    let own = format!(
        "[daemon]\nstate_dir = '$HERE/state'\ncontrol_socket = '$HERE/run/control.sock'\nlisten = '127.0.0.1:{port}'\n\
         [notify.letter]\ntype = 'email'\nto = 'ops@example.org'\nserver = '127.0.0.1:{}'\n\
         [notify.own]\ntype = 'webhook'\nurl = '{}'\nheaders = {{ X-Own = {{ env = 'GEHEIM_HOOK' }} }}\n\
         [notify.script]\ntype = 'command'\ncommand = ['/bin/sh', '-c', 'cat >>$HERE/script; env >>$HERE/script; tr \"\\\\0\" \" \" </proc/$PPID/cmdline >>$HERE/script']\n",
        post.port,
        sink.url("500/hook"),
    );
    let told = "\"check\", \"own\", \"letter\", { to = \"script\", on = [\"failed\", \"succeeded\"] }]";
    bench.set_configuration(&(own + &configuration.replace("\"check\"]", told)));
    let mut command = bench.command(&["daemon", "-vvv"]);
    command.envs(VARIABLES.iter().map(|name| (name, secret(name))));
    let mut daemon = Daemon::run(&bench, command);
    // All of them are due at once: one is well, one fails, one goes where nothing answers, one is of a kind that is not built.
    daemon.says("shop: ok: ");
    for name in ["blog", "away", "server"] {
        daemon.says(&format!("{name}: backup failed"));
        bench.run(&["backup", name]);
    }
    let request = sink.next();
    assert_eq!(request["headers"]["x-own"], secret("GEHEIM_HOOK"), "it is for this sink alone");
    let body = request["body"].as_str().unwrap();
    assert!(body.contains("\"failed\"") && !contains(body.as_bytes()), "{body}");
    // A letter for each failure, and all that is in it.
    let mut unread = vec!["blog", "away", "server"];
    while !unread.is_empty() {
        let letter = post.next();
        assert!(letter["text"].is_string() && letter["html"].is_string(), "{letter}");
        assert!(!contains(letter.to_string().as_bytes()), "{letter}");
        let subject = letter["headers"]["subject"].as_str().unwrap();
        unread.retain(|name| !subject.starts_with(&format!("[qbackd] {name}: backup failed")));
    }
    // Each of the other notifiers was tried, and said why it does not work.
    for name in ["mail", "hook", "slack", "discord", "telegram", "ntfy", "gotify", "check", "own"] {
        daemon.says(&format!("cannot notify `{name}` by "));
    }
    let mut answers = get(port, "/metrics").1 + &get(port, "/healthz").1;
    for verb in [&["--json", "status"][..], &["status"], &["--json", "history"], &["history", "shop"], &["diff"]] {
        let output = bench.run(verb);
        answers += &(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr));
    }
    assert!(answers.contains("qbackd_runs_total{database=\"blog\"") && answers.contains("cannot notify"), "{answers}");
    assert!(!contains(answers.as_bytes()), "{answers}");

    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.ended().success());
    let log = daemon.log().join("\n");
    assert!(log.contains("DEBUG") && !contains(log.as_bytes()), "{log}");
    let script = std::fs::read_to_string(bench.path("script")).unwrap();
    assert!(script.contains("\"event\":\"failed\"") && script.contains("QBACKD_"), "{script}");
    // An address that somebody wrote into the configuration is in the copy of it that was accepted, which nobody else can read.
    let accepted = bench.path("state/accepted/files.json");
    assert_eq!(std::fs::metadata(&accepted).unwrap().permissions().mode() & 0o7, 0);
    let copy = std::fs::read_to_string(&accepted).unwrap();
    assert_eq!(copy.matches(MARK).count(), copy.matches(&secret("url")).count());
    assert_eq!(betrayed(&bench.path(""), &["secrets", "etc", "state/accepted"]), Vec::<String>::new());
    assert!(betrayed(&bench.path(""), &[]).len() > 8, "the search finds what it looks for");
}
