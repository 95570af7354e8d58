//! Who is told of what, against real servers.

use serde_json::json;

use super::{Desk, amend, break_it, desk, events, heard, heard_all, hook, mend_it, pair, problems};
use crate::support::daemon::Daemon;
use crate::support::sinks::Sink;

#[test]
fn those_whom_the_policy_names_are_told_of_failure_and_recovery() {
    let (web, mail) = (Sink::http(), Sink::mail());
    let tables = format!(
        "{}{}[notify.check]\ntype = 'healthchecks'\nurl = '{}'\n\
         [notify.mail]\ntype = 'email'\nto = 'ops@example.org'\nserver = '127.0.0.1:{}'\n",
        hook("all", &web.url("all")),
        hook("pager", &web.url("pager")),
        web.url("check"),
        mail.port,
    );
    let keys =
        "notify = ['all', { to = 'pager', on = ['paused', 'failed'] }, 'check', 'mail']\nretry = { attempts = 1 }\n";
    // The first backup is due at once.
    let bench = desk(&format!("{keys}full = '02:00'\n"), &tables);
    break_it(&bench);
    let daemon = Daemon::start(&bench);
    let told: Vec<_> = (0..4).map(|_| web.next()).collect();
    let mut paths: Vec<_> = told.iter().map(|one| one["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/all", "/check/fail", "/check/start", "/pager"]);
    for one in &told {
        let body = one["body"].as_str().unwrap();
        let says = body.contains("exit status 3: the server is away");
        assert_eq!(says, one["path"] != "/check/start", "{}: {body}", one["path"]);
    }
    let letter = mail.next();
    assert_eq!(letter["to"], json!(["ops@example.org"]));
    assert!(letter["headers"]["subject"].as_str().unwrap().starts_with("[qbackd] shop: backup failed on "), "{letter}");

    mend_it(&bench);
    bench.ok(&["backup", "shop"]);
    assert_eq!(heard_all(&web, 3), [pair("/all", "recovered"), pair("/check", ""), pair("/check/start", "")]);
    let letter = mail.next();
    let subject = letter["headers"]["subject"].as_str().unwrap();
    assert!(subject.starts_with("[qbackd] shop: backup succeeded after 1 failure on "), "{subject}");
    assert!(daemon.stop().success());
    assert!(web.is_silent() && mail.is_silent());
}

#[test]
fn nobody_is_told_twice_because_of_a_restart() {
    let sink = Sink::http();
    let keys = "notify = 'ops'\npause_after = 1\n";
    let bench = desk(keys, &hook("ops", &sink.url("ops")));
    break_it(&bench);
    let daemon = Daemon::start(&bench);
    bench.fails(1, &["backup", "shop"]);
    assert_eq!([heard(&sink), heard(&sink)], [pair("/ops", "failed"), pair("/ops", "paused")]);
    daemon.kill();
    for _ in 0..2 {
        let daemon = Daemon::start(&bench);
        daemon.is_told("1 paused");
        assert!(daemon.stop().success());
    }
    assert!(sink.is_silent());
    // A day later they are reminded of it, once.
    amend(&bench, "UPDATE databases SET reminded = reminded - 25 * 3600000");
    let daemon = Daemon::start(&bench);
    assert_eq!(heard(&sink), pair("/ops", "paused"));
    let line = daemon.says("still paused");
    assert!(line.contains("exit status 3: the server is away") && line.contains("`qbackd resume shop`"), "{line}");
    assert!(daemon.stop().success());
    assert!(Daemon::start(&bench).stop().success());
    assert!(sink.is_silent());
    assert_eq!(events(&bench, "paused").len(), 2);
}

#[test]
fn an_edit_that_is_refused_is_told_to_everybody_and_once() {
    let sink = Sink::http();
    let tables = format!(
        "{}{}{}[database.blog]\nengine = 'command'\npolicy = 'plain'\ndump = ['echo', 'x']\n\
         notify = [{{ to = 'two', on = ['config-rejected'] }}, {{ to = 'three', on = ['failed'] }}]\n",
        hook("one", &sink.url("one")),
        hook("two", &sink.url("two")),
        hook("three", &sink.url("three")),
    );
    let bench = desk("notify = 'one'\n", &tables);
    let daemon = Daemon::start(&bench);
    let (sound, told) = (bench.configuration(), [pair("/one", "config-rejected"), pair("/two", "config-rejected")]);
    let broken = format!("{sound}\n[database.wrong]\n");
    let refused = || {
        bench.set_configuration(&broken);
        bench.fails(78, &["reload"]);
        assert_eq!(heard_all(&sink, 2), told);
    };
    refused();
    bench.fails(78, &["reload"]);
    daemon.says_times("the configuration was rejected", 2);
    assert!(daemon.stop().success());
    // It was told before the restart.
    assert!(Daemon::start(&bench).stop().success());
    assert!(sink.is_silent());

    let daemon = Daemon::start(&bench);
    bench.set_configuration(&sound);
    bench.ok(&["reload"]);
    refused();
    assert!(daemon.stop().success());
    // A mistake that was made while no daemon ran.
    bench.set_configuration(&broken.replace("database.wrong", "database.other"));
    let daemon = Daemon::start(&bench);
    assert_eq!(heard_all(&sink, 2), told);
    assert!(daemon.stop().success());
    assert!(sink.is_silent());
    assert_eq!(events(&bench, "config-rejected").len(), 3);
}

#[test]
fn little_space_is_told_once_to_those_whose_backups_lie_there_and_shown_until_there_is_room() {
    let sink = Sink::http();
    let tables = format!(
        "{}{}[destination.other]\nservice = 'fs'\nroot = '$HERE/other'\nmin_free = '0%'\n\
         [database.blog]\nengine = 'command'\npolicy = 'plain'\ndestinations = ['other']\ndump = ['echo', 'x']\n\
         notify = [{{ to = 'others', on = ['low-space'] }}]\n",
        hook("ops", &sink.url("ops")),
        hook("others", &sink.url("others")),
    );
    let bench = desk("notify = [{ to = 'ops', on = ['low-space'] }]\nretry = { attempts = 1 }\n", &tables);
    let (room, none) = ("min_free = \"0%\"", "min_free = \"1000000 TiB\"");
    bench.ok(&["backup", "shop", "blog"]);
    bench.edit(room, none);
    let daemon = Daemon::start(&bench);
    assert_eq!(heard(&sink), pair("/ops", "low-space"));
    bench.fails(1, &["backup", "shop"]);
    bench.ok(&["backup", "blog"]);
    let [problem] = &problems(&bench)[..] else { panic!("{:?}", problems(&bench)) };
    assert!(
        problem.starts_with("local has little space left: ") && problem.contains(" free, `min_free` is "),
        "{problem}"
    );
    assert!(daemon.stop().success());
    let daemon = Daemon::start(&bench);
    bench.fails(1, &["backup", "shop"]);
    assert_eq!(problems(&bench).len(), 1, "a restart forgets nothing");

    bench.edit(none, room);
    daemon.says("configuration accepted");
    bench.ok(&["backup", "shop"]);
    daemon.says("local has room again: ");
    assert_eq!(problems(&bench), Vec::<String>::new());
    assert!(sink.is_silent());
    assert!(daemon.stop().success());
    bench.edit(room, none);
    let daemon = Daemon::start(&bench);
    bench.fails(1, &["backup", "shop"]);
    assert_eq!(heard(&sink), pair("/ops", "low-space"));
    assert!(daemon.stop().success());
    assert_eq!(events(&bench, "low-space").len(), 2);
}

/// One whose weekly summary is due: it is known for longer than a week, and had two good backups and one that failed.
fn a_week_later(tables: &str) -> Desk {
    let keys = "notify = [{ to = 'ops', on = ['weekly-summary'] }]\n";
    let bench = desk(keys, tables);
    bench.ok(&["backup", "shop"]);
    bench.ok(&["backup", "shop", "blog"]);
    break_it(&bench);
    bench.fails(1, &["backup", "shop"]);
    amend(&bench, "UPDATE databases SET first_seen = first_seen - 9 * 86400000");
    bench
}

#[test]
fn how_the_week_was_is_told_once_a_week_each_of_their_own_databases() {
    let sink = Sink::http();
    let tables = format!(
        "{}{}{}[database.blog]\nengine = 'command'\npolicy = 'plain'\ndump = ['echo', 'x']\nnotify = ['all', {{ to = 'pager', on = ['failed'] }}]\n",
        hook("ops", &sink.url("ops")),
        hook("all", &sink.url("all")),
        hook("pager", &sink.url("pager")),
    );
    let bench = a_week_later(&tables);
    let daemon = Daemon::start(&bench);
    let mut told: Vec<_> = [sink.next(), sink.next()].into_iter().collect();
    told.sort_by_key(|one| one["path"].as_str().unwrap().to_owned());
    let document = |n: usize| serde_json::from_str::<serde_json::Value>(told[n]["body"].as_str().unwrap()).unwrap();
    let (all, ops) = (document(0), document(1));
    assert_eq!((&told[0]["path"], &told[1]["path"]), (&json!("/all"), &json!("/ops")));
    assert_eq!((&all["event"], &ops["event"]), (&json!("weekly-summary"), &json!("weekly-summary")));
    assert!(
        ops["text"]
            .as_str()
            .unwrap()
            .starts_with("how the week was, 1 database needs somebody: 1 database, 2 backups succeeded, 1 failed, "),
        "{ops}"
    );
    assert!(all["text"].as_str().unwrap().starts_with("how the week was, all is well: 1 database, 1 backup"), "{all}");
    let (name, value) = (&ops["details"][0]["name"], ops["details"][0]["value"].as_str().unwrap());
    assert!(name == "shop" && value.starts_with("failing; 2 succeeded, 1 failed, "), "{ops}");
    assert_eq!(ops["details"].as_array().unwrap().len(), 1, "others' databases are none of theirs: {ops}");
    let line = daemon.says("how the week was");
    assert!(line.contains("2 databases, 3 backups succeeded"), "{line}");
    assert!(daemon.stop().success());

    // It was told; the run gives the daemon time to think otherwise.
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "blog"]);
    assert!(daemon.stop().success());
    assert!(sink.is_silent());
    // A week later again; here the clock, which was ahead, was set back.
    amend(&bench, "UPDATE events SET at = at + 30 * 86400000 WHERE word = 'weekly-summary'");
    let daemon = Daemon::start(&bench);
    assert_eq!(heard_all(&sink, 2), [pair("/all", "weekly-summary"), pair("/ops", "weekly-summary")]);
    assert!(daemon.stop().success());
}
