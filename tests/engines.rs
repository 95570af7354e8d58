//! The suite every engine passes: seed, back up, wipe, restore, compare. Below it, what is special to each.

mod command;
mod files;
mod files_in_motion;
mod hostile;
mod process;
mod sqlite;
mod sqlite_restore;

use qbackd::engine::RestoreRequest;
use qbackd::error::Kind;

use crate::support::fixture::{Fixture, open};
use crate::support::memory::{MemorySink, back_up, dump, run_in};

/// Compares two fingerprints line by line: a whole tree on the screen tells nobody anything.
#[track_caller]
fn same(now: &str, before: &str, what: &str) {
    if now == before {
        return;
    }
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (now, before) = (lines(now), lines(before));
    let gone: Vec<_> = before.difference(&now).take(5).collect();
    let new: Vec<_> = now.difference(&before).take(5).collect();
    panic!("{what}: gone {gone:#?}, new {new:#?}");
}

/// Restores over what is there.
fn overwrite() -> RestoreRequest {
    RestoreRequest { overwrite: true, ..RestoreRequest::default() }
}

/// What is backed up comes back after the original is gone, and reading the backup proves it without restoring.
async fn round_trip<F: Fixture>() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = F::new(dir.path());
    let engine = open(fixture.engine(), &fixture.seed());
    let before = fixture.fingerprint();
    let run = run_in(dir.path(), "shop");

    let backup = back_up(engine.as_ref(), fixture.engine(), &run).await.unwrap();
    same(&fixture.fingerprint(), &before, "the backup changed its source");
    assert_eq!(std::fs::read_dir(&run.scratch).unwrap().count(), 0, "scratch is not empty after the dump");
    let parsed = engine.parse(&backup, &run).await.unwrap();
    assert!(!parsed.checks.is_empty());
    assert_eq!(std::fs::read_dir(&run.scratch).unwrap().count(), 0, "scratch is not empty after parsing");

    fixture.wipe();
    assert_ne!(fixture.fingerprint(), before, "the fixture cannot tell whether data is there");
    let plan = engine.plan_restore(&backup, &RestoreRequest::default(), &run).await.unwrap();
    assert!(!plan.steps.is_empty());
    assert_eq!(plan.replaces.is_empty(), fixture.sees_its_target());
    let restored = engine.restore(&backup, &RestoreRequest::default(), &run).await.unwrap();
    assert!(!restored.checks.is_empty());
    same(&fixture.fingerprint(), &before, "not everything came back");
    assert_eq!(std::fs::read_dir(&run.scratch).unwrap().count(), 0, "scratch is not empty after the restore");
}

/// Existing data is only replaced when that was said.
async fn guards_what_exists<F: Fixture>() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = F::new(dir.path());
    let engine = open(fixture.engine(), &fixture.seed());
    let before = fixture.fingerprint();
    let run = run_in(dir.path(), "shop");
    let backup = back_up(engine.as_ref(), fixture.engine(), &run).await.unwrap();
    let plan = engine.plan_restore(&backup, &RestoreRequest::default(), &run).await.unwrap();
    assert!(!plan.replaces.is_empty(), "the plan does not say that something is replaced");
    if fixture.sees_its_target() {
        let error = engine.restore(&backup, &RestoreRequest::default(), &run).await.unwrap_err();
        assert!(error.remedy().unwrap().contains("--overwrite"), "{error}");
        same(&fixture.fingerprint(), &before, "a refused restore changed something");
    }
    engine.restore(&backup, &overwrite(), &run).await.unwrap();
    same(&fixture.fingerprint(), &before, "not everything came back");
}

/// A backup that breaks off while it is read is an error of the restore and of parsing, wherever it breaks.
async fn refuses_half_a_backup<F: Fixture>() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = F::new(dir.path());
    let engine = open(fixture.engine(), &fixture.seed());
    let before = fixture.fingerprint();
    let run = run_in(dir.path(), "shop");
    let mut backup = back_up(engine.as_ref(), fixture.engine(), &run).await.unwrap();
    let whole = backup.content().len();
    for at in [0, whole / 2, whole] {
        backup.breaks_after = Some(at);
        let error = engine.parse(&backup, &run).await.unwrap_err();
        assert!(error.is_consequence(), "parsing {at} of {whole} bytes: {error:?}");
        let error = engine.restore(&backup, &overwrite(), &run).await.unwrap_err();
        assert!(error.is_consequence(), "restoring {at} of {whole} bytes: {error:?}");
        assert_eq!(std::fs::read_dir(&run.scratch).unwrap().count(), 0, "scratch is not empty");
    }
    same(&fixture.fingerprint(), &before, "half a backup replaced whole data");
}

/// A destination that fails ends the dump, and the artifact is not there.
async fn stops_when_the_destination_fails<F: Fixture>() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = F::new(dir.path());
    let engine = open(fixture.engine(), &fixture.seed());
    let run = run_in(dir.path(), "shop");
    let sink = MemorySink::broken();
    let error = dump(engine.as_ref(), &run, &sink).await.unwrap_err();
    assert!(error.is_consequence(), "{error:?}");
    assert!(sink.finished().await.is_empty());
    assert_eq!(std::fs::read_dir(&run.scratch).unwrap().count(), 0, "scratch is not empty");
}

/// A cancelled run ends as interrupted and leaves nothing.
async fn stops_when_cancelled<F: Fixture>() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = F::new(dir.path());
    let engine = open(fixture.engine(), &fixture.seed());
    let before = fixture.fingerprint();
    let run = run_in(dir.path(), "shop");
    let backup = back_up(engine.as_ref(), fixture.engine(), &run).await.unwrap();
    let found = engine.inspect(&run).await.unwrap();
    run.cancel.cancel();
    let sink = MemorySink::default();
    let request = qbackd::engine::DumpRequest { kind: qbackd::model::BackupType::Full, parent: None };
    let error = engine.dump(&found, &request, &sink, &run).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted, "{error}");
    assert!(sink.finished().await.is_empty());
    let error = engine.restore(&backup, &overwrite(), &run).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted, "{error}");
    same(&fixture.fingerprint(), &before, "not everything came back");
    assert_eq!(std::fs::read_dir(&run.scratch).unwrap().count(), 0, "scratch is not empty");
}

/// One module an engine, one test a promise.
macro_rules! every_engine {
    ($($module:ident: $fixture:ty),+ $(,)?) => {$(
        mod $module {
            use crate::support::fixture::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn what_is_backed_up_comes_back() {
                super::round_trip::<$fixture>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn what_exists_is_only_replaced_on_demand() {
                super::guards_what_exists::<$fixture>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn half_a_backup_is_no_restore() {
                super::refuses_half_a_backup::<$fixture>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_failing_destination_ends_the_dump() {
                super::stops_when_the_destination_fails::<$fixture>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_cancelled_run_leaves_nothing() {
                super::stops_when_cancelled::<$fixture>().await;
            }
        }
    )+};
}

every_engine! {
    every_command: CommandFixture,
    every_files: FilesFixture,
    every_sqlite: SqliteFixture,
}
