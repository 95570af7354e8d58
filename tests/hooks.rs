//! Hooks and `stop_units` as their users write them: real shells, through the program.

mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, Fixture, SqliteFixture};

const LIMIT: Duration = Duration::from_secs(20);

/// A bench whose database has these keys besides its own; `$HERE` is its folder.
fn with<F: Fixture>(keys: &str) -> Bench<F> {
    let bench = Bench::<F>::new();
    bench.set_configuration(&format!("{}\n{keys}\n", bench.configuration()));
    bench
}

/// What the newest run said, each line with its level.
fn lines<F: Fixture>(bench: &Bench<F>) -> Vec<(String, String)> {
    let newest = bench.json(&["history", "-n", "1"])["runs"][0]["id"].as_str().unwrap().to_owned();
    let run = bench.json(&["history", &newest]);
    let lines = run["lines"].as_array().unwrap_or_else(|| panic!("no lines in {run}"));
    let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_owned();
    lines.iter().map(|line| (text(line, "level"), text(line, "text"))).collect()
}

/// The variables in a file that `env -0` wrote.
fn variables<F: Fixture>(bench: &Bench<F>, file: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(bench.path(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let pair = |pair: &str| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
    text.split('\0').filter_map(pair).collect()
}

/// Waits until the process with the number in a file is gone.
fn is_gone<F: Fixture>(bench: &Bench<F>, file: &str) {
    let number: i32 = std::fs::read_to_string(bench.path(file)).unwrap().trim().parse().unwrap();
    let end = Instant::now() + LIMIT;
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // Nobody may have waited for it yet.
        test_kill_process(Pid::from_raw(number).unwrap()).is_err() || stat.contains(") Z ")
    };
    while !gone() {
        assert!(Instant::now() < end, "{file}: process {number} lives on");
        std::thread::yield_now();
    }
}

/// The variables that the manual lists in its section on hooks.
fn documented() -> BTreeSet<String> {
    let manual = include_str!("../man/qbackd.toml.5");
    let section = manual.split(".Sh HOOKS").nth(1).unwrap().split("\n.Sh ").next().unwrap();
    let items = section.lines().filter_map(|line| line.strip_prefix(".It Ev "));
    items.flat_map(|line| line.split(" , ")).map(str::to_owned).collect()
}

#[test]
fn each_hook_is_told_what_the_manual_says() {
    let hooks = ["before_backup", "after_backup", "on_failure", "before_restore", "after_restore"];
    let keys: String =
        hooks.iter().map(|hook| format!("hooks.{hook} = \"[ -e $HERE/{hook} ] || env -0 > $HERE/{hook}\"\n")).collect();
    let bench = with::<SqliteFixture>(&keys);
    bench.ok(&["backup", "shop"]);
    let id = bench.listed().pop().unwrap();
    bench.fixture.wipe();
    bench.ok(&["restore", "shop"]);
    bench.fixture.wipe();
    bench.fails(69, &["backup", "shop"]);

    let mut seen = BTreeSet::new();
    let told: BTreeMap<&str, BTreeMap<String, String>> =
        hooks.iter().map(|hook| (*hook, variables(&bench, hook))).collect();
    for (hook, variables) in &told {
        assert_eq!(variables["QBACKD_HOOK"], *hook);
        assert_eq!((&*variables["QBACKD_DATABASE"], &*variables["QBACKD_ENGINE"]), ("shop", "sqlite"));
        assert!(!variables["QBACKD_HOST"].is_empty() && variables["QBACKD_INITIATED_BY"].contains("("));
        seen.extend(
            variables.keys().filter(|k| ["QBACKD_", "BACKUP_", "RESTORE_"].iter().any(|p| k.starts_with(p))).cloned(),
        );
        for (name, value) in variables {
            assert!(documented().contains(name) || !name.contains("QBACKD"), "{name}={value} is not documented");
        }
    }
    assert_eq!(seen, documented());

    let (before, after) = (&told["before_backup"], &told["after_backup"]);
    assert_eq!((&before["QBACKD_BACKUP"], &*before["QBACKD_TYPE"], &*before["QBACKD_KIND"]), (&id, "full", "backup"));
    assert_eq!(before["QBACKD_RUN"], bench.runs("backup")[1]["id"].as_str().unwrap());
    assert!(!before.contains_key("QBACKD_OUTCOME"), "nobody knows it yet");
    assert_eq!((&*after["QBACKD_OUTCOME"], &*after["QBACKD_DESTINATION"]), ("succeeded", "local"));
    assert!(after["QBACKD_DURATION"].parse::<u64>().unwrap() < 60);
    let run = &bench.runs("backup")[1];
    assert_eq!(after["QBACKD_PLAIN_BYTES"], run["plain_bytes"].to_string());
    assert_eq!(after["QBACKD_STORED_BYTES"], run["stored_bytes"].to_string());
    let artifact = bench.root().join(&after["BACKUP_FILENAME"]);
    assert_eq!(artifact, bench.artifact(&id));
    let bytes = std::fs::read(&artifact).unwrap();
    assert_eq!(after["BACKUP_FILE_SIZE"], bytes.len().to_string());
    assert_eq!(after["BACKUP_CHECKSUM"], crate::support::memory::sha256(&bytes));

    let failed = &told["on_failure"];
    let run = &bench.runs("backup")[0];
    assert_eq!(
        (&*failed["QBACKD_OUTCOME"], failed["QBACKD_ERROR"].as_str()),
        ("failed", run["error"].as_str().unwrap())
    );
    assert!(failed["QBACKD_ERROR"].contains("backup of shop failed"), "{failed:?}");

    let restored = &told["after_restore"];
    assert_eq!((&restored["QBACKD_BACKUP"], &*restored["QBACKD_KIND"]), (&id, "restore"));
    assert_eq!(restored["RESTORE_SNAPSHOT_FILENAME"], after["BACKUP_FILENAME"]);
}

#[test]
fn a_hook_that_refuses_a_backup_is_a_veto() {
    let bench = with::<SqliteFixture>(
        "hooks.before_backup = \"echo the disk is being changed; exit 3\"\nhooks.on_failure = \"touch $HERE/told\"\n\
         hooks.after_backup = \"touch $HERE/told\"",
    );
    let said = bench.fails(1, &["backup", "shop"]);
    assert!(said.contains("`before_backup` refused: exit status 3: the disk is being changed"), "{said}");
    assert_eq!(bench.outcomes(), ["vetoed"]);
    assert!(bench.listed().is_empty() && bench.unpublished().is_empty());
    assert!(!bench.path("told").exists(), "a veto is no failure");
    assert!(lines(&bench).contains(&("info".into(), "before_backup: the disk is being changed".into())));
    let run = bench.run(&["--json", "backup", "shop"]);
    let printed: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(printed["backups"], serde_json::json!([]));
}

#[test]
fn a_hook_that_hangs_is_killed_with_all_it_started() {
    let bench = with::<SqliteFixture>(
        "hooks.before_backup = \"sleep 600 & echo $! > $HERE/child; echo $$ > $HERE/shell; trap '' TERM; sleep 601\"\n\
         hooks.on_failure = \"echo $QBACKD_OUTCOME > $HERE/told\"\nhooks.timeout = \"1s\"",
    );
    let said = bench.fails(1, &["backup", "shop"]);
    assert!(said.contains("`before_backup` was not done within 1s") && said.contains("`hooks.timeout`"), "{said}");
    assert_eq!(bench.outcomes(), ["timed out"]);
    is_gone(&bench, "child");
    is_gone(&bench, "shell");
    assert_eq!(std::fs::read_to_string(bench.path("told")).unwrap(), "timed out\n");
    assert!(bench.listed().is_empty());
}

#[test]
fn a_hook_that_fails_after_a_backup_is_a_warning_and_the_backup_stays() {
    let bench = with::<SqliteFixture>("hooks.after_backup = \"echo nobody is at home >&2; exit 7\"");
    let run = bench.run(&["backup", "shop"]);
    assert!(run.status.success(), "{run:?}");
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(said.contains("`after_backup` failed: exit status 7: nobody is at home"), "{said}");
    assert_eq!((bench.outcomes(), bench.listed().len()), (vec!["succeeded".to_owned()], 1));
    let lines = lines(&bench);
    assert!(lines.contains(&("info".into(), "after_backup: nobody is at home".into())), "{lines:?}");
    assert!(lines.iter().any(|(level, text)| level == "warning" && text.contains("exit status 7")), "{lines:?}");
    let notes = bench.runs("backup")[0]["notes"].clone();
    assert!(notes.as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains("after_backup")), "{notes}");
    bench.restores_to_what_it_was();
}

#[test]
fn what_a_hook_prints_cannot_hurt_a_terminal_or_fill_the_history() {
    let bench = with::<SqliteFixture>(
        "hooks.before_backup = '''printf 'a\\033]0;title\\007\\033[2Jb\\000c\\377\\n'; seq 1 3000; head -c 100000 /dev/zero | tr '\\0' x'''",
    );
    bench.ok(&["backup", "shop"]);
    let lines = lines(&bench);
    assert_eq!(lines[0].1, "before_backup: a]0;title[2Jbc\u{fffd}");
    assert!(lines.len() < 1010 && lines.iter().all(|(_, text)| text.len() < 1100 && !text.contains(char::is_control)));
    assert!(lines.contains(&("warning".into(), "before_backup: 2002 more lines are left out".into())), "{lines:?}");
}

#[test]
fn a_hook_sees_no_secret_of_ours() {
    let bench = with::<SqliteFixture>(
        "hooks.before_backup = \"env > $HERE/before; cat > $HERE/stdin; ls -l /proc/self/fd > $HERE/fd\"",
    );
    let recipient = format!("recipients = [\"{}\"]", bench.keys.recipient());
    bench.edit(&recipient, "passphrase = { env = \"OUR_PASSPHRASE\" }");
    let mut run = bench.command(&["backup", "shop"]);
    run.env("OUR_PASSPHRASE", "correct horse")
        .env("CREDENTIALS_DIRECTORY", "/run/credentials")
        .env("NOTIFY_SOCKET", "@n");
    assert!(run.output().unwrap().status.success());
    let seen = std::fs::read_to_string(bench.path("before")).unwrap();
    assert!(seen.contains("QBACKD_HOOK=before_backup"), "{seen}");
    for secret in ["OUR_PASSPHRASE", "horse", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    assert_eq!(std::fs::read_to_string(bench.path("stdin")).unwrap(), "", "its stdin is empty");
    let open = std::fs::read_to_string(bench.path("fd")).unwrap();
    assert!(!open.contains("state"), "files of ours are open in a hook: {open}");
}

#[test]
fn a_failure_reaches_the_hook_in_words_however_they_look() {
    let bench = with::<CommandFixture>(
        "hooks.before_backup = \"true\"\nhooks.on_failure = \"env -0 > $HERE/on_failure; echo told; exit 9\"",
    );
    let dump = bench.configuration().lines().find(|line| line.starts_with("dump")).unwrap().to_owned();
    bench.edit(&dump, "dump = ['sh', '-c', '''printf 'no $(touch '$0/owned') \\nsecond line' >&2; exit 4''', '$HERE']");
    bench.set_configuration(&bench.configuration());
    let said = bench.fails(1, &["backup", "shop"]);
    let told = variables(&bench, "on_failure");
    assert!(
        told["QBACKD_ERROR"].contains("exit status 4: no $(touch") && !told["QBACKD_ERROR"].contains('\n'),
        "{told:?}"
    );
    assert!(!bench.path("owned").exists());
    // What the hook itself does wrong hides nothing.
    assert!(said.contains("exit status 4") && said.contains("`on_failure` failed: exit status 9: told"), "{said}");
    assert_eq!(bench.outcomes(), ["failed"]);
}

#[test]
fn a_restore_asks_its_hook_and_leaves_the_database_alone_if_it_refuses() {
    let bench = with::<SqliteFixture>(
        "hooks.before_restore = \"test ! -e $HERE/no\"\nhooks.after_restore = \"echo $QBACKD_OUTCOME >> $HERE/after\"",
    );
    bench.ok(&["backup", "shop"]);
    std::fs::write(bench.path("no"), "").unwrap();
    bench.fixture.wipe();
    let said = bench.fails(1, &["restore", "shop"]);
    assert!(said.contains("`before_restore` refused: exit status 1"), "{said}");
    assert_eq!(bench.runs("restore")[0]["outcome"], "vetoed");
    assert_eq!(bench.fixture.fingerprint(), "absent");
    // Elsewhere is no business of the database.
    bench.ok(&["restore", "shop", "--to", bench.path("elsewhere.db").to_str().unwrap()]);
    assert!(bench.path("elsewhere.db").exists() && !bench.path("after").exists());
    std::fs::remove_file(bench.path("no")).unwrap();
    bench.ok(&["restore", "shop"]);
    assert_eq!(bench.fixture.fingerprint(), bench.before());
    assert_eq!(std::fs::read_to_string(bench.path("after")).unwrap(), "succeeded\n");
}

#[test]
fn a_hook_can_bring_source_and_destination_into_place() {
    let bench = with::<SqliteFixture>(
        "hooks.before_backup = \"mv $HERE/away/data $HERE/data; ln -s $HERE/away/disk $HERE/disk\"\n\
         hooks.after_backup = \"rm $HERE/disk\"",
    );
    bench.edit(&format!("root = \"{}\"", bench.root().display()), "root = \"$HERE/disk/backups\"");
    bench.set_configuration(&bench.configuration());
    std::fs::create_dir_all(bench.path("away/disk/backups")).unwrap();
    std::fs::rename(bench.path("data"), bench.path("away/data")).unwrap();
    bench.ok(&["backup", "shop"]);
    assert!(!bench.path("disk").exists());
    assert_eq!(bench.json(&["list", "--from", "./away/disk/backups"])["backups"].as_array().unwrap().len(), 1);
}

#[test]
fn the_time_of_hooks_does_not_count_for_the_run() {
    let bench = with::<SqliteFixture>(
        "timeout = \"4s\"\nstall_timeout = \"4s\"\nhooks.before_backup = \"sleep 5\"\nhooks.after_backup = \"touch $HERE/after\"",
    );
    bench.ok(&["backup", "shop"]);
    assert!(bench.path("after").exists());
}

#[test]
fn ctrl_c_ends_a_hook_and_the_one_for_failures_still_puts_things_back() {
    let bench = with::<SqliteFixture>(
        "hooks.before_backup = \"echo $$ > $HERE/shell; touch $HERE/reached; sleep 600\"\n\
         hooks.on_failure = \"echo $QBACKD_OUTCOME > $HERE/told\"",
    );
    let mut run = bench.command(&["backup", "shop"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    bench.wait_for("reached", LIMIT);
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let ended = run.wait().unwrap();
    assert_eq!((ended.code(), ended.signal()), (Some(130), None));
    assert_eq!(bench.outcomes(), ["interrupted"]);
    is_gone(&bench, "shell");
    assert_eq!(std::fs::read_to_string(bench.path("told")).unwrap(), "interrupted\n");
}
