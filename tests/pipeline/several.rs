//! Several databases, several destinations.

use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, SqliteFixture, sh};

/// Four databases whose dumps write down when they begin and end; `a` and `b` may have to wait for each other.
fn four(bench: &Bench<CommandFixture>, max_parallel: u32, meet: bool) {
    let text = bench.configuration();
    let head = text.split("[database.").next().unwrap().split("\n").filter(|line| !line.starts_with("max_parallel"));
    let head = head.collect::<Vec<_>>().join("\n");
    let mut text = head.replace("[daemon]", &format!("[daemon]\nmax_parallel = {max_parallel}"));
    for name in ["a", "b", "c", "d"] {
        // Opening a fifo waits for the other end.
        let wait = match (meet, name) {
            (true, "a") => "echo here > $HERE/meeting;",
            (true, "b") => "read there < $HERE/meeting;",
            _ => "",
        };
        text.push_str(&format!(
            "[database.{name}]\nengine = \"command\"\npolicy = \"plain\"\n\
             dump = [\"sh\", \"-c\", \"echo + >> $HERE/log; {wait} echo {name}; echo - >> $HERE/log\"]\n"
        ));
    }
    bench.set_configuration(&text);
}

/// How many dumps ran at the same time at most.
fn overlap(bench: &Bench<CommandFixture>) -> i32 {
    let log = std::fs::read_to_string(bench.path("log")).unwrap();
    std::fs::remove_file(bench.path("log")).unwrap();
    let (mut now, mut most) = (0, 0);
    for line in log.lines() {
        now += if line == "+" { 1 } else { -1 };
        most = most.max(now);
    }
    assert_eq!((log.lines().count(), now), (8, 0), "{log}");
    most
}

#[test]
fn as_many_run_at_a_time_as_max_parallel_says() {
    let bench = Bench::<CommandFixture>::new();
    sh("mkfifo", &[bench.path("meeting").to_str().unwrap()]);
    four(&bench, 2, true);
    bench.ok(&["backup", "--all"]);
    assert_eq!(overlap(&bench), 2);
    assert_eq!(bench.listed().len(), 4);
    four(&bench, 1, false);
    bench.ok(&["backup", "--all"]);
    assert_eq!(overlap(&bench), 1);
    assert_eq!(bench.listed().len(), 8);
}

#[test]
fn one_that_fails_stops_no_other_and_decides_the_exit_code() {
    let bench = Bench::<CommandFixture>::new();
    four(&bench, 1, false);
    bench.edit("echo b;", "exit 3;");
    let said = bench.fails(1, &["backup", "--all"]);
    assert!(said.contains("backup of b failed") && said.contains("exit status 3"), "{said}");
    let listed: Vec<String> = bench.listed().iter().map(|id| id[..1].to_owned()).collect();
    assert_eq!(listed.concat().chars().collect::<std::collections::BTreeSet<_>>(), "acd".chars().collect());
    assert_eq!(bench.outcomes().iter().filter(|outcome| *outcome == "failed").count(), 1);
}

#[test]
fn a_database_that_is_not_enabled_is_left_out_of_all() {
    let bench = Bench::<CommandFixture>::new();
    four(&bench, 2, false);
    bench.edit("[database.c]", "[database.c]\nenabled = false");
    bench.ok(&["backup", "--all"]);
    assert_eq!(bench.listed().len(), 3);
    bench.ok(&["backup", "c"]);
    assert_eq!(bench.listed().len(), 4, "named, it is backed up all the same");
}

/// A second destination beside `local`.
fn with_another(bench: &Bench<SqliteFixture>) {
    bench.edit(
        "[encryption.team]",
        &format!(
            "[destination.other]\nservice = \"fs\"\nroot = \"{}\"\nmin_free = \"0%\"\nlabel = \"the other disk\"\n\n[encryption.team]",
            bench.path("other").display()
        ),
    );
}

#[test]
fn a_backup_goes_where_to_says() {
    let bench = Bench::<SqliteFixture>::new();
    with_another(&bench);
    bench.ok(&["backup", "shop"]);
    bench.ok(&["backup", "shop", "--to", "other"]);
    let at = |place: &str| bench.json(&["list", "--from", place])["backups"].as_array().unwrap().len();
    assert_eq!((at("local"), at("other"), at("./other")), (1, 1, 1));
    let said = bench.fails(2, &["backup", "shop", "--to", "nowhere"]);
    assert!(said.contains("there is no destination `nowhere`") && said.contains("local, other"), "{said}");
    bench.ok(&["restore", "shop", "--from", "other", "--yes"]);
    bench.restores_to_what_it_was();
}

#[test]
fn a_backup_at_a_destination_that_the_policy_does_not_name_is_found() {
    let bench = Bench::<SqliteFixture>::new();
    with_another(&bench);
    std::fs::create_dir(bench.root()).unwrap();
    bench.ok(&["backup", "shop", "--to", "other"]);
    let listed = bench.json(&["list", "shop"]);
    assert_eq!(listed["backups"][0]["destination"], "other", "{listed}");
    bench.ok(&["verify", "shop"]);
    bench.restores_to_what_it_was();
    // The policy's own come first, and what is wrong with one of them is not papered over with an older one.
    bench.ok(&["backup", "shop"]);
    assert!(bench.ok(&["show", "shop@latest"]).contains("local"));
    assert_eq!(bench.json(&["list", "shop"])["backups"].as_array().unwrap().len(), 2);
    let ours = bench.json(&["list", "--from", "local"])["backups"][0]["id"].as_str().unwrap().to_owned();
    std::fs::write(bench.folder(&ours).join("manifest.json"), "{").unwrap();
    let said = bench.fails(1, &["restore", "shop", "--yes"]);
    assert!(said.contains(&ours), "{said}");
    // One that is not the policy's and does not answer is told of, and hides nothing.
    std::fs::remove_dir_all(bench.path("other")).unwrap();
    let run = bench.run(&["list", "shop"]);
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success() && said.contains("cannot open other") && said.contains("1 damaged backup;"), "{said}");
}

#[test]
fn each_of_several_passphrases_is_tried() {
    let bench = Bench::<CommandFixture>::new();
    let text = bench.configuration();
    let (head, database) = text.split_once("[encryption.team]").unwrap();
    let database = database.split_once("[database.shop]").unwrap().1.replace("policy = \"plain\"\n", "");
    let sections: String = ["a", "b", "c"]
        .iter()
        .map(|name| {
            std::fs::write(bench.path(format!("passphrase-{name}")), format!("words of {name}")).unwrap();
            sh("chmod", &["600", bench.path(format!("passphrase-{name}")).to_str().unwrap()]);
            format!(
                "[encryption.{name}]\npassphrase = {{ file = \"$HERE/passphrase-{name}\" }}\n\
                 [database.{name}]\npolicy = \"plain\"\nencryption = \"{name}\"\n{database}\n"
            )
        })
        .collect();
    bench.set_configuration(&format!("{head}[policy.plain]\ndestinations = [\"local\"]\n{sections}"));
    bench.ok(&["backup", "--all"]);
    for name in ["a", "b", "c"] {
        bench.ok(&["verify", name, "--level", "decode"]);
    }
    // One that is gone belongs to the others.
    std::fs::remove_file(bench.path("passphrase-a")).unwrap();
    bench.ok(&["verify", "c", "--level", "decode"]);
    let said = bench.fails(1, &["verify", "a", "--level", "decode"]);
    assert!(said.contains("cannot decrypt"), "{said}");
}

/// Whether a process has a thread of this name.
fn has_thread(pid: u32, name: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let called = |path: std::path::PathBuf| std::fs::read_to_string(path.join("comm")).unwrap_or_default();
    threads.into_iter().any(|thread| called(thread.path()).trim() == name)
}

#[test]
fn one_ctrl_c_ends_a_rehearsal() {
    let bench = Bench::<CommandFixture>::with_keys(
        "dump = [\"head\", \"-c\", \"2000000000\", \"/dev/zero\"]\nrestore = [\"cat\"]\n",
    );
    bench.ok(&["backup", "shop"]);
    let mut run = bench
        .command(&["restore", "shop", "--dry-run", "--verify"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !has_thread(run.id(), "unzstd") {
        assert!(std::time::Instant::now() < end && run.try_wait().unwrap().is_none(), "it read nothing");
        std::thread::yield_now();
    }
    let sent = std::time::Instant::now();
    rustix::process::kill_process(rustix::process::Pid::from_child(&run), rustix::process::Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(sent.elapsed() < std::time::Duration::from_secs(5), "{:?}", sent.elapsed());
}

#[test]
fn a_destination_that_does_not_answer_hides_no_other() {
    let bench = Bench::<SqliteFixture>::new();
    with_another(&bench);
    bench.ok(&["backup", "shop"]);
    let output = bench.run(&["list"]);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(out.contains("shop/") && out.contains("local"), "{out}");
    assert!(err.contains("cannot open other: there is no folder") && err.contains("/other"), "{err}");
    let output = bench.run(&["--json", "list"]);
    assert_eq!(output.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["backups"].as_array().unwrap().len(), 1);
}

#[test]
fn of_several_backups_in_one_second_the_latest_is_the_last() {
    let bench = Bench::<CommandFixture>::new();
    for round in 0..6 {
        std::fs::write(&bench.fixture.state, format!("round {round}")).unwrap();
        bench.ok(&["backup", "shop"]);
        bench.ok(&["restore", "shop", "--yes"]);
        assert_eq!(std::fs::read_to_string(&bench.fixture.state).unwrap(), format!("round {round}"));
    }
}

#[test]
fn a_destination_is_shown_with_its_label() {
    let bench = Bench::<CommandFixture>::new();
    bench.edit("service = \"fs\"", "service = \"fs\"\nlabel = \"the shelf\"");
    assert!(bench.ok(&["backup", "shop"]).contains(" at local (the shelf): ok"));
    assert!(bench.ok(&["list"]).contains("local (the shelf)"));
    assert!(bench.ok(&["show", "shop@latest"]).contains("local (the shelf)"));
    assert_eq!(bench.json(&["list"])["backups"][0]["destination"], "local", "programs get the name");
}
