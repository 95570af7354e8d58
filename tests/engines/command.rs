//! What is special to the command engine.

use qbackd::engine::{RestoreRequest, SourceOptions, registry};
use qbackd::error::Kind;

use crate::support::fixture::open;
use crate::support::memory::{MemorySink, back_up, dump, run_in};

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_zero_bytes_is_a_failure_although_the_command_exits_0() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open("command", "dump = [\"sh\", \"-c\", \"echo 'no such database' >&2\"]");
    let sink = MemorySink::default();
    let error = dump(engine.as_ref(), &run_in(dir.path(), "shop"), &sink).await.unwrap_err();
    assert!(error.line().contains("printed nothing") && error.line().contains("no such database"), "{error}");
    assert!(sink.finished().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_command_leaves_no_artifact() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open("command", "dump = [\"sh\", \"-c\", \"echo data; exit 1\"]");
    let sink = MemorySink::default();
    let error = dump(engine.as_ref(), &run_in(dir.path(), "shop"), &sink).await.unwrap_err();
    assert!(error.line().contains("exit status 1"), "{error}");
    assert!(sink.finished().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_dump_in_the_middle_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open("command", "dump = [\"yes\"]");
    let (run, sink) = (run_in(dir.path(), "shop"), MemorySink::default());
    let (cancel, started) = (run.cancel.clone(), sink.started.clone());
    tokio::spawn(async move {
        started.cancelled().await;
        cancel.cancel();
    });
    let error = dump(engine.as_ref(), &run, &sink).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted);
    assert!(sink.finished().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_knows_its_database_and_its_words_become_notes() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open("command", "dump = [\"sh\", \"-c\", \"printf %s $QBACKD_DATABASE; echo careful >&2\"]");
    let backup = back_up(engine.as_ref(), "command", &run_in(dir.path(), "shop")).await.unwrap();
    assert_eq!(backup.content().as_ref(), b"shop");
    assert_eq!(backup.artifacts.keys().next().unwrap().as_str(), "shop.dump");
    assert_eq!(backup.manifest().notes, ["`sh` said: careful"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_command_is_found_out_before_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open("command", "dump = [\"no-such-tool-here\"]");
    let error = engine.inspect(&run_in(dir.path(), "shop")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_restore_command_the_way_by_hand_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open("command", "dump = [\"echo\", \"x\"]");
    let run = run_in(dir.path(), "shop");
    let backup = back_up(engine.as_ref(), "command", &run).await.unwrap();
    let error = engine.restore(&backup, &RestoreRequest::default(), &run).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.remedy().unwrap().contains("qbackd download shop/"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_place_needs_a_command_that_knows_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_in(dir.path(), "shop");
    let (original, other) = (dir.path().join("original"), dir.path().join("other"));
    let request =
        RestoreRequest { to: Some(other.display().to_string()), overwrite: true, ..RestoreRequest::default() };
    let keys = |target: String| format!("dump = [\"echo\", \"x\"]\nrestore = [\"sh\", \"-c\", \"cat > {target}\"]");

    let deaf = open("command", &keys(original.display().to_string()));
    let backup = back_up(deaf.as_ref(), "command", &run).await.unwrap();
    let error = deaf.restore(&backup, &request, &run).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(!original.exists(), "it wrote over the original");

    let knowing = open("command", &keys(format!("${{QBACKD_RESTORE_TO:-{}}}", original.display())));
    knowing.restore(&backup, &request, &run).await.unwrap();
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "x\n");
    assert!(!original.exists());
    knowing.restore(&backup, &RestoreRequest::default(), &run).await.unwrap();
    assert_eq!(std::fs::read_to_string(&original).unwrap(), "x\n");
}

#[test]
fn a_command_without_a_program_is_an_error_of_its_key() {
    let open = registry::by_name("command").unwrap().open.unwrap();
    let options = |keys: &str| toml::from_str::<SourceOptions>(keys).unwrap();
    for (keys, key) in [("", "dump"), ("dump = [\"\"]", "dump"), ("dump = [\"x\"]\nrestore = [\"\"]", "restore")] {
        assert_eq!(open(&options(keys)).err().unwrap().key, key);
    }
}
