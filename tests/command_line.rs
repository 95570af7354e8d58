//! The verbs as a sysadmin types them: output, exit codes, JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use qbackd::error::{Error, Kind, Result};
use qbackd::history::{Ending, History, Level, NewRun, StateDir, lock};
use qbackd::model::{Outcome, RunId, RunKind, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A part of a test that runs in a process of its own.
const CHILD: &str = "QBACKD_TEST_CHILD";

fn qbackd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qbackd"));
    command.args(args).stdin(Stdio::null()).env_remove("QBACKD_CONFIG").env_remove("STATE_DIRECTORY");
    command
}

/// Exit code, stdout, stderr.
fn said(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    said(&mut qbackd(args))
}

/// What another program makes of `input`; it must succeed.
fn tool(argv: &[&str], input: &[u8]) -> String {
    let mut child = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", argv[0]));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

/// This test once more in a process of its own, as its second part.
fn again(test: &str, with: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("command_line::{test}"), "--nocapture"]).env(CHILD, with);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn help_teaches_and_is_no_failure() {
    let (code, out, err) = run(&["--help"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for taught in ["Exit codes:", "75  try again later", "First steps:", "qbackd try"] {
        assert!(out.contains(taught), "{taught:?} is not in\n{out}");
    }
    let (code, out, _) = run(&["restore", "--help"]);
    assert_eq!(code, Some(0));
    for taught in ["Examples:\n  qbackd restore shop --dry-run\n", "--backup-first", "Point in time:", "Keys:"] {
        assert!(out.contains(taught), "{taught:?} is not in\n{out}");
    }
    assert_eq!(run(&["--version"]).1, format!("qbackd {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn arguments_that_make_no_sense_exit_with_2() {
    for args in [
        &[][..],
        &["resotre"],
        &["backup"],
        &["backup", "--all", "shop"],
        &["backup", "Shop!"],
        &["backup", "shop", "--type", "half"],
        &["restore", "shop", "--at", "now", "--lsn", "0/1"],
        &["restore", "shop", "--verify"],
        &["list", "-v", "-q"],
        &["completions", "tcsh"],
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.contains("Usage:") || err.contains("For more information, try '--help'."), "{args:?}: {err}");
    }
    let (_, _, err) = run(&["resotre"]);
    assert!(err.contains("restore"), "{err}");
}

#[test]
fn a_verb_that_is_not_built_says_what_it_comes_with() {
    for (verb, with) in [("status", "the daemon"), ("pause", "the daemon"), ("copy", "copies to other destinations")] {
        let (code, out, err) = run(&[verb, "shop", "--watch"]);
        assert_eq!((code, out.as_str()), (Some(69), ""));
        assert_eq!(err, format!("error: `{verb}` comes with {with}, which is not built\n"));
    }
}

#[test]
fn with_json_a_failure_is_one_document_on_stdout_and_words_on_stderr() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = said(qbackd(&["history", "nosuch", "--json"]).env("STATE_DIRECTORY", dir.path()));
    assert_eq!(code, Some(1));
    let document: Value = serde_json::from_str(&out).unwrap();
    let message = "no run of a database `nosuch` is recorded, and no run begins so";
    let expected = serde_json::json!({ "error": {
        "kind": "not-found", "message": message, "hint": "`qbackd history` lists the runs", "exit_code": 1,
    }});
    assert_eq!(document, expected);
    assert_eq!(err, format!("error: {message}\nhint: `qbackd history` lists the runs\n"));
}

#[test]
fn a_new_identity_is_one_that_age_itself_takes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("identity.txt");
    let (code, out, err) = run(&["keygen", "-o", utf8(&file)]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("Store a copy of the identity somewhere else"), "{err}");
    let recipient = out.trim_end();
    assert_eq!(mode(&file), 0o600);

    // The form of age-keygen(1), to the line.
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("# created: 20") && lines[0].len() == "# created: 2026-11-20T02:00:00Z".len(),
        "{text}"
    );
    assert_eq!(lines[1], format!("# public key: {recipient}"));
    assert!(lines[2].starts_with("AGE-SECRET-KEY-1") && lines.len() == 3);
    assert!(!format!("{out}{err}").contains(lines[2]), "the key was shown");

    assert_eq!(tool(&["age-keygen", "-y", utf8(&file)], b""), out);
    let sealed = dir.path().join("sealed");
    tool(&["age", "-r", recipient, "-o", utf8(&sealed)], b"hello");
    assert_eq!(tool(&["age", "-d", "-i", utf8(&file), utf8(&sealed)], b""), "hello");
    assert_eq!(run(&["keygen", "-y", utf8(&file)]), (Some(0), out.clone(), String::new()));

    // Nothing is overwritten.
    let (code, out, err) = run(&["keygen", "-o", utf8(&file)]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("hint: nothing is overwritten"), "{err}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn keygen_without_a_file_prints_the_identity_alone() {
    let (code, out, err) = run(&["keygen"]);
    assert_eq!(code, Some(0));
    let recipient = tool(&["age-keygen", "-y"], out.as_bytes());
    assert_eq!(err, format!("Public key: {recipient}"));
    let (code, out, _) = run(&["keygen", "--json"]);
    assert_eq!(code, Some(2));
    assert!(!out.contains("AGE-SECRET-KEY"));
}

#[test]
fn recipients_of_identities_that_age_keygen_made_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("many");
    let two = format!("{}{}", tool(&["age-keygen"], b""), tool(&["age-keygen"], b""));
    std::fs::write(&file, &two).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let (code, out, _) = run(&["keygen", "-y", utf8(&file)]);
    assert_eq!((code, out), (Some(0), tool(&["age-keygen", "-y", utf8(&file)], b"")));

    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let (code, _, err) = run(&["keygen", "-y", utf8(&file)]);
    assert_eq!(code, Some(78));
    assert!(err.contains(&format!("hint: chmod o-rwx {}", file.display())), "{err}");
}

#[test]
fn init_writes_a_configuration_and_a_key_that_open_what_they_close() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("etc \"quoted\"");
    let root = dir.path().join("backups");
    let args = ["init", "--config", utf8(&config), "--root", utf8(&root)];
    let (code, out, err) = run(&args);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("Store a copy of the identity somewhere else"), "{err}");
    assert!(out.contains("qbackd check --config"), "{out}");
    let file = |name: &str| config.join(name);
    assert_eq!([mode(&file("identity.txt")), mode(&file("recipients.txt"))], [0o600, 0o644]);
    assert!(!format!("{out}{err}").contains("AGE-SECRET-KEY"));

    let table: toml::Table = std::fs::read_to_string(file("qbackd.toml")).unwrap().parse().unwrap();
    assert_eq!(table["destination"]["local"]["root"].as_str(), root.to_str());
    assert_eq!(table["encryption"]["default"]["recipients_file"].as_str(), file("recipients.txt").to_str());

    let sealed = dir.path().join("sealed");
    tool(&["age", "-R", utf8(&file("recipients.txt")), "-o", utf8(&sealed)], b"hello");
    assert_eq!(tool(&["age", "-d", "-i", utf8(&file("identity.txt")), utf8(&sealed)], b""), "hello");
}

#[test]
fn init_writes_nothing_at_all_where_something_is() {
    for there in ["qbackd.toml", "other.toml", "recipients.txt", "identity.txt"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(there), "mine").unwrap();
        let (code, _, err) = run(&["init", "--config", utf8(dir.path())]);
        assert_eq!(code, Some(1), "{there}");
        assert!(err.contains(there) && err.contains("nothing was written"), "{err}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(left, [there]);
        assert_eq!(std::fs::read(dir.path().join(there)).unwrap(), b"mine");
    }
}

#[test]
fn bash_completes_verbs_and_flags() {
    let (code, script, err) = run(&["completions", "bash"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let complete = |words: &str, at: usize| {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={at}; _qbackd qbackd \"${{COMP_WORDS[{at}]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        tool(&["bash", "-s"], ask.as_bytes())
    };
    assert_eq!(complete("qbackd rest", 1), "restore\n");
    assert_eq!(complete("qbackd backup --al", 2), "--all\n");
    for (shell, form) in [("zsh", "#compdef qbackd"), ("fish", "complete -c qbackd")] {
        let (code, script, _) = run(&["completions", shell]);
        assert!(code == Some(0) && script.contains(form) && script.contains("restore"), "{script}");
    }
}

/// A history with an ended run of shop, a failed one of blog, and one of www that is going on.
struct Book {
    dir: tempfile::TempDir,
    state: Arc<StateDir>,
    history: History,
    shop: RunId,
    blog: RunId,
}

fn book() -> Book {
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
        kind: RunKind::Backup,
        database: database.parse().unwrap(),
        destinations: vec!["local".into()],
        backup: None,
        initiated_by: "root".into(),
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
    assert!(lines[0].starts_with(" RUN") && lines[0].ends_with("ERROR"), "{out}");
    let failed = ["db1-", "blog", "(now)", "failed", "root", "cannot reach db1: connection refused"];
    let succeeded = ["db1-", "shop", "(now)", "5.0 MiB", "succeeded", "root"];
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
        "backup database destinations ended error hint id initiated_by kind notes outcome phases plain_bytes rows started \
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
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(std::result::Result::unwrap);
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
    assert_eq!(ask(&["history", "--json"]), (Some(0), "{\n  \"runs\": []\n}\n".into(), String::new()));
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
fn a_reader_that_goes_away_ends_the_output_and_nothing_else() {
    let book = book();
    for args in [&["history"][..], &["history", "--json"], &["completions", "bash"], &["--help"], &["history", "-f"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = qbackd(args);
        command.env("STATE_DIRECTORY", book.state.path()).stdout(writer).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
            (Some(0), ""),
            "{args:?}"
        );
    }
    // A stdout that cannot take it is another matter.
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = qbackd(&["completions", "bash"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot write to standard output"));
}

#[test]
fn the_first_signal_asks_and_the_second_ends() {
    if std::env::var_os(CHILD).is_some() {
        let work = |cancel: tokio_util::sync::CancellationToken| async move {
            println!("\nready");
            cancel.cancelled().await;
            println!("asked");
            std::future::pending::<Result<()>>().await
        };
        qbackd::cli::signals::block_on(work).unwrap();
    }
    let mut child = again("the_first_signal_asks_and_the_second_ends", "yes").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(std::result::Result::unwrap);
    assert!(lines.any(|line| line == "ready"));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(lines.any(|line| line == "asked"));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(told, "stopping; once more to stop at once\n");
}

#[test]
fn without_a_terminal_a_question_is_refused_and_yes_is_the_way() {
    if std::env::var_os(CHILD).is_some() {
        let error = qbackd::cli::ask::confirm("overwrite /srv/app.db?", false).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(error.line(), "cannot ask without a terminal: overwrite /srv/app.db?");
        assert!(error.remedy().unwrap().contains("--yes"));
        qbackd::cli::ask::confirm("overwrite /srv/app.db?", true).unwrap();
        return;
    }
    let child = again("without_a_terminal_a_question_is_refused_and_yes_is_the_way", "yes").output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
fn root_becomes_the_owner_of_the_state_directory() {
    if let Some(dir) = std::env::var_os(CHILD) {
        qbackd::cli::owner::become_owner(Path::new(&dir)).unwrap();
        let groups = rustix::process::getgroups().unwrap();
        println!("\nnow {} {} {groups:?}", rustix::process::geteuid(), rustix::process::getegid());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let root = rustix::process::geteuid().is_root();
    let now = |state: PathBuf| {
        let output = again("root_becomes_the_owner_of_the_state_directory", utf8(&state)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let out = String::from_utf8(output.stdout).unwrap();
        out.lines().find(|line| line.starts_with("now ")).unwrap().to_owned()
    };
    // Its own, or absent: everybody stays who they are.
    let me = format!("now {} {} ", rustix::process::geteuid(), rustix::process::getegid());
    assert!(now(state.clone()).starts_with(&me));
    assert!(now(state.join("absent")).starts_with(&me));
    if root {
        chown(&state, Some(12_345), Some(12_346)).unwrap();
        assert_eq!(now(state), "now 12345 12346 []");
    } else {
        // Somebody else's: only root changes who it is.
        assert!(now("/".into()).starts_with(&me));
    }
}
