//! Notifiers that hang, fail, change and go.

use super::{desk, heard, hook, pair, problems, status};
use crate::support::daemon::{Daemon, until};
use crate::support::sinks::Sink;

#[test]
fn a_notifier_that_hangs_delays_no_run_and_the_end_by_seconds() {
    let sink = Sink::http();
    let keys =
        "full = '*/2 * * * * *'\nnotify = [{ to = 'hung', on = ['succeeded'] }, { to = 'fine', on = ['succeeded'] }]\n";
    let tables = hook("hung", &sink.url("hang")) + &hook("fine", &sink.url("fine"));
    let bench = desk(keys, &tables);
    let daemon = Daemon::start(&bench);
    // One attempt may take 30 s: runs and messages that waited for one another would take minutes.
    daemon.says_times("shop: ok: ", 6);
    let mut fine = 0;
    while fine < 6 {
        fine += usize::from(heard(&sink) == pair("/fine", "succeeded"));
    }
    daemon.signal(rustix::process::Signal::TERM);
    let line = daemon.says("could not be delivered before the end");
    let waited = line.split(" notifications ").next().unwrap().rsplit(' ').next().unwrap();
    assert!(waited.parse::<u32>().unwrap() >= 6, "{line}");
    let mut daemon = daemon;
    assert!(daemon.ended().success());
    let mut due: Vec<String> = bench.runs("backup").iter().map(|run| run["due"].as_str().unwrap().to_owned()).collect();
    let runs = due.len();
    due.dedup();
    assert_eq!(due.len(), runs, "no run was made twice");
}

#[test]
fn a_notifier_that_fails_is_tried_again_and_shown_until_it_works() {
    let sink = Sink::http();
    let bench = desk("notify = { to = 'ops', on = ['succeeded'] }", &hook("ops", &sink.url("flaky-2")));
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop"]);
    assert_eq!(heard(&sink), pair("/flaky-2", "succeeded"));
    let problem = until("the notifier is shown", || problems(&bench).pop());
    assert!(problem.starts_with("notify ops: cannot notify `ops` by webhook: "), "{problem}");
    assert!(problem.contains("503 Service Unavailable") && problem.ends_with("(1 waiting)"), "{problem}");
    assert_eq!([heard(&sink), heard(&sink)], [pair("/flaky-2", "succeeded"), pair("/flaky-2", "succeeded")]);
    daemon.says("notifier ops works again");
    assert_eq!(problems(&bench), Vec::<String>::new());
    assert!(daemon.stop().success());
    assert!(sink.is_silent());
}

#[test]
fn what_waits_at_the_end_is_tried_once_more() {
    let sink = Sink::http();
    let bench = desk("notify = { to = 'ops', on = ['succeeded'] }", &hook("ops", &sink.url("flaky-3")));
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop"]);
    // The next attempt would come after four seconds.
    (0..3).for_each(|_| drop(heard(&sink)));
    assert!(daemon.stop().success());
    assert_eq!(heard(&sink), pair("/flaky-3", "succeeded"));
}

#[test]
fn what_waits_for_a_notifier_goes_where_a_reload_says_and_goes_with_it() {
    let sink = Sink::http();
    let keys = "notify = [{ to = 'ops', on = ['succeeded'] }, { to = 'gone', on = ['succeeded'] }]\n";
    let nowhere = "http://127.0.0.1:9/";
    let gone = hook("gone", nowhere);
    let bench = desk(keys, &(hook("ops", nowhere) + &gone));
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop"]);
    until("both fail", || (problems(&bench).len() == 2).then_some(()));
    let text = bench.configuration().replace(&gone, "").replace(", { to = 'gone', on = ['succeeded'] }", "");
    bench.set_configuration(&text.replace(nowhere, &sink.url("ops")));
    bench.ok(&["reload"]);
    assert_eq!(heard(&sink), pair("/ops", "succeeded"));
    until("nothing waits", || problems(&bench).is_empty().then_some(()));
    assert_eq!(status(&bench).0, 0);
    assert!(daemon.stop().success());
}
