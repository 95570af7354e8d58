//! The verbs as a sysadmin types them: output, exit codes, JSON.

mod history;
mod keys;
mod owner;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use qbackd::error::{Kind, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A part of a test that runs in a process of its own.
const CHILD: &str = "QBACKD_TEST_CHILD";

fn qbackd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qbackd"));
    command.args(args).stdin(Stdio::null()).env("QBACKD_CONFIG", "/nonexistent").env_remove("STATE_DIRECTORY");
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
    for (verb, with) in [("pin", "retention"), ("copy", "copies to other destinations")] {
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
fn check_shows_every_error_at_its_place_and_exits_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.toml");
    std::fs::write(&file, "[destination.local]\nservice = \"fs\"\nroot = 5\n\n[polcy.nightly]\n").unwrap();
    let (code, out, err) = run(&["check", "--config", utf8(dir.path())]);
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert!(err.contains(&format!("--> {}:5:", file.display())) && err.contains("polcy"), "{err}");
    assert!(err.ends_with(&format!("error: {} has 2 errors\n", dir.path().display())), "{err}");
    let (code, out, _) = run(&["check", "--config", utf8(dir.path()), "--json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["errors"]), (Some(78), &2.into()));
    assert_eq!(document["findings"][0]["file"], utf8(&file));
    assert_eq!(run(&["check", "--config", utf8(&dir.path().join("absent"))]).0, Some(78));
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

#[test]
fn a_reader_that_goes_away_ends_the_output_and_nothing_else() {
    let book = history::book();
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
