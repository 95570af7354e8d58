//! Children as they really behave: slow, silent, hanging, lying, dying.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use qbackd::engine::process::{Done, Tool, find_program};
use qbackd::error::{Kind, Result};
use qbackd::model::pipe;
use tokio_util::sync::CancellationToken;

const LINGER: Duration = Duration::from_millis(300);

fn sh(script: &str) -> Tool {
    Tool::new("sh").args(["-c", script]).linger(LINGER)
}

/// Runs a dump; what arrived, and whether the outlet came back to be ended.
async fn dump(tool: Tool, cancel: &CancellationToken) -> (Result<Done>, Vec<u8>) {
    let (outlet, mut inlet) = pipe();
    let reader = tokio::spawn(async move {
        let mut got = Vec::new();
        let ended = loop {
            match inlet.next_async().await {
                Ok(Some(block)) => got.extend_from_slice(&block),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        (got, ended)
    });
    let result = match tool.dump(outlet, cancel).await {
        Ok((done, outlet)) => outlet.end_async().await.map(|()| done),
        Err(e) => Err(e),
    };
    let (got, ended) = reader.await.unwrap();
    assert_eq!(ended, result.is_ok(), "a stream may only end well if the tool did: {result:?}");
    (result, got)
}

async fn dump_now(tool: Tool) -> (Result<Done>, Vec<u8>) {
    dump(tool, &CancellationToken::new()).await
}

/// Feeds `blocks` to a tool, and ends the stream or breaks it.
async fn feed(tool: Tool, blocks: Vec<Bytes>, whole: bool) -> Result<Done> {
    let (mut outlet, inlet) = pipe();
    let writer = tokio::spawn(async move {
        for block in blocks {
            outlet.send_async(block).await?;
        }
        if whole { outlet.end_async().await } else { Ok(()) }
    });
    let done = tool.restore(inlet, &CancellationToken::new()).await;
    let _ = writer.await.unwrap();
    done
}

fn alive(pid: &str) -> bool {
    // A zombie of somebody else's is as dead.
    std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

/// Waits until a process that was killed is dead: the kernel takes a moment.
async fn dead(pid: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while alive(pid) {
        assert!(Instant::now() < end, "{pid} is alive");
        tokio::task::yield_now().await;
    }
}

/// Waits until a file has a line, watching the file system and not the clock alone.
async fn line_of(path: &Path) -> String {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => assert!(Instant::now() < end, "nobody wrote {}", path.display()),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_large_output_arrives_as_it_was_printed() {
    let (done, got) = dump_now(sh("head -c 40000000 /dev/zero | tr '\\0' x; printf end")).await;
    assert_eq!(done.unwrap(), Done { bytes: 40_000_003, said: None });
    assert_eq!(got.len(), 40_000_003);
    assert!(got.ends_with(b"xend"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_exit_status_after_all_output_fails_the_dump() {
    let (done, _) = dump_now(sh("echo data; echo 'connection lost' >&2; exit 3")).await;
    let error = done.unwrap_err();
    assert_eq!(error.line(), "`sh` failed: exit status 3: connection lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_on_stderr_with_success_are_kept_as_a_note() {
    let (done, got) = dump_now(sh("echo data; printf 'warning: \\033[31mold\\033[0m\\nsecond line\\n' >&2")).await;
    assert_eq!(done.unwrap().said.as_deref(), Some("warning: [31mold[0m; second line"));
    assert_eq!(got, b"data\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_on_stderr_neither_blocks_the_tool_nor_fills_memory() {
    let (done, _) = dump_now(sh("echo data; head -c 5000000 /dev/zero | tr '\\0' e >&2; echo last >&2; exit 1")).await;
    let line = done.unwrap_err().line();
    assert!(line.ends_with("elast") && line.len() < 17_000, "{} bytes", line.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killing_signal_is_named() {
    let (done, _) = dump_now(sh("echo data; kill -SEGV $$")).await;
    assert_eq!(done.unwrap_err().line(), "`sh` failed: it was killed by SIGSEGV");
    let (done, _) = dump_now(sh("kill -9 $$")).await;
    let error = done.unwrap_err();
    assert!(error.line().ends_with("SIGKILL") && error.remedy().unwrap().contains("memory"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_closes_its_output_and_hangs_fails_in_bounded_time() {
    let (done, _) = dump_now(sh("echo data; exec >&-; echo stuck >&2; exec sleep 1000")).await;
    let error = done.unwrap_err();
    assert!(error.line().contains("closed its output, but did not exit"), "{error}");
    assert!(error.remedy().unwrap().contains("stuck"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_left_behind_that_holds_the_output_fails_the_dump_and_dies() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let (done, _) = dump_now(sh(&format!("echo data; sleep 1000 & echo $! > {}", pid.display()))).await;
    let error = done.unwrap_err();
    assert!(error.line().contains("held its output open"), "{error}");
    dead(&line_of(&pid).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_kills_the_whole_group_even_if_it_ignores_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!(
        "trap '' TERM; sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' & echo $$ $! > {}; wait; wait",
        pids.display()
    );
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let running = tokio::spawn(async move { dump(sh(&script), &stop).await.0 });
    let pids = line_of(&pids).await;
    assert!(pids.split(' ').all(alive));
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().kind(), Kind::Interrupted);
    for pid in pids.split(' ') {
        dead(pid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_kills_its_child() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", pid.display());
    let running = tokio::spawn(async move { dump_now(sh(&script)).await });
    let pid = line_of(&pid).await;
    running.abort();
    let end = Instant::now() + Duration::from_secs(20);
    // Not even a zombie may be left.
    while Path::new("/proc").join(&pid).exists() {
        assert!(Instant::now() < end, "{pid} is there");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_run_is_unavailable_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "no program\n").unwrap();
    let cases = [(Path::new("no-such-tool-here"), "install it"), (&script, "make it executable")];
    for (program, remedy) in cases {
        let (done, _) = dump_now(Tool::new(program)).await;
        let error = done.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.remedy().unwrap().contains(remedy), "{error}");
        assert_eq!(find_program(program.as_os_str()).unwrap_err().line(), error.line());
    }
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let (done, _) = dump_now(Tool::new(&script)).await;
    let error = done.unwrap_err();
    assert!(error.kind() == Kind::Unavailable && error.remedy().unwrap().contains("#!"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_sees_a_clean_environment() {
    let (done, got) = dump_now(Tool::new("env").env("QBACKD_DATABASE", "shop")).await;
    done.unwrap();
    let text = String::from_utf8(got).unwrap();
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
    names.retain(|name| !["HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["LANG", "PATH", "QBACKD_DATABASE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_tool_s_bytes_pass_before_a_block_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    super::super::support::fixture::sh("mkfifo", &[fifo.to_str().unwrap()]);
    let (outlet, mut inlet) = pipe();
    let script = format!("echo early; cat {}", fifo.display());
    let running = tokio::spawn(async move { sh(&script).dump(outlet, &CancellationToken::new()).await });
    // The tool is still waiting for the fifo when this arrives.
    assert_eq!(inlet.next_async().await.unwrap().as_deref(), Some(&b"early\n"[..]));
    tokio::task::spawn_blocking(move || std::fs::write(fifo, "late")).await.unwrap().unwrap();
    assert_eq!(inlet.next_async().await.unwrap().as_deref(), Some(&b"late"[..]));
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_tool_gets_every_byte_and_is_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("got");
    let blocks = vec![Bytes::from(vec![7; 500_000]); 9];
    let done = feed(sh(&format!("cat > {}; echo fine; echo well >&2", file.display())), blocks, true).await.unwrap();
    assert_eq!(done, Done { bytes: 4_500_000, said: Some("fine; well".into()) });
    assert_eq!(std::fs::metadata(file).unwrap().len(), 4_500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_tool_that_ends_early_is_blamed_by_its_status_and_words() {
    let blocks = || vec![Bytes::from(vec![7; 500_000]); 9];
    let error = feed(sh("head -c 5 >/dev/null; echo 'relation exists' >&2; exit 4"), blocks(), true).await.unwrap_err();
    assert_eq!(error.line(), "`sh` failed: exit status 4: relation exists");
    let error = feed(sh("head -c 5 >/dev/null"), blocks(), true).await.unwrap_err();
    assert!(error.line().contains("stopped reading"), "{error}");
    let error = feed(sh("exec <&-; exec sleep 1000"), blocks(), true).await.unwrap_err();
    assert!(error.line().contains("stopped reading"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_backup_never_looks_whole_to_a_restore_tool() {
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("done");
    let tool = sh(&format!("cat >/dev/null; touch {}", done.display()));
    let error = feed(tool, vec![Bytes::from_static(b"half")], false).await.unwrap_err();
    assert!(error.is_consequence(), "{error}");
    assert!(!done.exists(), "the tool saw the end of its input");
}
