//! kill -9 at every step and at random moments, and a cancel at every step: nothing half is listed, the next run works and sweeps.

mod scratch;

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use qbackd::model::Step;

use crate::support::bench::Bench;
use crate::support::daemon::until;
use crate::support::fixture::{CommandFixture, FilesFixture, Fixture, SqliteFixture, sh};

/// What must hold after a kill, whenever it came: what is listed is whole; the next run works and sweeps; it restores.
fn all_is_well_after<F: Fixture>(bench: &Bench<F>, listed_before: usize, moment: &str) -> usize {
    let listed = bench.listed();
    assert!(
        listed.len() == listed_before || listed.len() == listed_before + 1,
        "{moment}: {} backups where there were {listed_before}",
        listed.len()
    );
    for id in &listed[listed_before..] {
        bench.ok(&["verify", id, "--level", "checksum"]);
    }
    bench.ok(&["backup", "shop"]);
    assert_eq!(bench.unpublished(), Vec::<String>::new(), "{moment}: the next run left debris of the dead one");
    assert_eq!(bench.scratch_left(), Vec::<String>::new(), "{moment}: the next run left scratch of the dead one");
    let now = bench.listed();
    assert_eq!(now.len(), listed.len() + 1, "{moment}: the next run did not publish");
    now.len()
}

fn at_every_step<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut published = 0;
    for (step, word) in Step::ALL {
        let killed = bench.command(&["backup", "shop"]).env("QBACKD_DIE_AT", word).output().unwrap();
        assert_eq!(killed.status.signal(), Some(9), "nothing died at {word}: {killed:?}");
        let dead = bench.listed().len();
        let exists = matches!(step, Step::Published | Step::Finished);
        assert_eq!(dead, published + usize::from(exists), "what is listed after a death at {word}");
        if step != Step::Finished {
            // Looking at the history is enough to learn that the run is dead.
            let last = bench.json(&["history", "-n", "1"]);
            assert_ne!(last["runs"][0]["outcome"], "succeeded", "at {word}");
        }
        published = all_is_well_after(&bench, published, word);
        let outcomes: Vec<String> = bench.outcomes();
        assert_eq!(outcomes[0], "succeeded", "at {word}");
        let expected = if step == Step::Finished { "succeeded" } else { "interrupted" };
        assert_eq!(outcomes[1], expected, "the dead run in the history, at {word}");
    }
    bench.restores_to_what_it_was();
}

#[test]
fn a_sqlite_backup_killed_at_any_step_publishes_nothing_half() {
    at_every_step::<SqliteFixture>();
}

#[test]
fn a_backup_of_files_killed_at_any_step_publishes_nothing_half() {
    at_every_step::<FilesFixture>();
}

#[test]
fn a_command_backup_killed_at_any_step_publishes_nothing_half() {
    at_every_step::<CommandFixture>();
}

/// Whether a process ends by itself within a time, to the microsecond as poll(2) can.
fn ends_within(process: &mut Child, limit: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let pid = rustix::process::Pid::from_child(process);
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)).unwrap() > 0
}

/// 200 moments of a run, always the same ones relative to its length; `QBACKD_TEST_MOMENTS` asks for more.
#[test]
fn a_backup_killed_at_random_moments_publishes_nothing_half() {
    let moments: u64 = std::env::var("QBACKD_TEST_MOMENTS").ok().map_or(200, |n| n.parse().unwrap());
    let bench = Bench::<SqliteFixture>::new();
    let begun = Instant::now();
    bench.ok(&["backup", "shop"]);
    let length = begun.elapsed();
    let (mut published, mut killed, mut random) = (1, 0, 42u64);
    for moment in 0..moments {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let after = length.mul_f64((random >> 40) as f64 / (1u64 << 24) as f64);
        let mut run = bench.command(&["backup", "shop"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        killed += usize::from(!ends_within(&mut run, after));
        run.kill().unwrap();
        run.wait().unwrap();
        published = all_is_well_after(&bench, published, &format!("moment {moment}, {after:?} after the start"));
        if published > 40 {
            bench.forget_all_backups();
            published = 0;
        }
    }
    assert!(killed as u64 > moments / 2, "only {killed} of {moments} runs were still running when they were killed");
    bench.restores_to_what_it_was();
}

/// A run that is cancelled in the middle ends as interrupted, leaves nothing, and exits as shells expect.
#[test]
fn ctrl_c_and_sigterm_end_a_run_cleanly() {
    for (signal, code) in [(rustix::process::Signal::INT, 130), (rustix::process::Signal::TERM, 143)] {
        let bench = Bench::<CommandFixture>::with_keys(
            "dump = [\"sh\", \"-c\", \"head -c 3000000 /dev/urandom; touch $HERE/reached; exec sleep 600\"]\n",
        );
        let mut run = bench.command(&["backup", "shop"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        bench.wait_for("reached", Duration::from_secs(20));
        rustix::process::kill_process(rustix::process::Pid::from_child(&run), signal).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(code));
        assert_eq!(bench.unpublished(), Vec::<String>::new());
        assert_eq!(bench.outcomes(), ["interrupted"]);
        assert!(bench.listed().is_empty());
    }
}

/// Opens a fifo for writing as soon as somebody waits at its other end.
fn somebody_at(gate: &Path) -> File {
    let open = || OpenOptions::new().write(true).custom_flags(without_waiting()).open(gate).ok();
    until("the run gets there", open)
}

/// `O_NONBLOCK`: a fifo that nobody reads is refused instead of waited for.
fn without_waiting() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits() as i32
}

#[test]
fn a_backup_cancelled_at_any_step_is_published_whole_or_not_at_all_and_leaves_nothing() {
    let bench = Bench::<SqliteFixture>::new();
    let gate = bench.path("gate");
    sh("mkfifo", &[gate.to_str().unwrap()]);
    let mut published = 0;
    for (step, word) in Step::ALL {
        let mut verb = bench.command(&["backup", "shop"]);
        verb.env("QBACKD_WAIT_AT", word).env("QBACKD_GATE", &gate);
        let mut run = verb.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let held = somebody_at(&gate);
        rustix::process::kill_process(rustix::process::Pid::from_child(&run), rustix::process::Signal::INT).unwrap();
        // It says so when everybody was told to stop.
        let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut said: Vec<String> = Vec::new();
        while !said.last().is_some_and(|line| line.contains("once more to stop at once")) {
            said.push(lines.next().unwrap_or_else(|| panic!("{word}: it did not hear the signal: {said:?}")));
        }
        drop(held);
        said.extend(lines);
        let status = run.wait().unwrap();
        // Once the manifest is there the backup exists, and nobody takes it back.
        let exists = matches!(step, Step::Published | Step::Finished);
        assert_eq!(status.code(), Some(if exists { 0 } else { 130 }), "at {word}: {said:?}");
        published += usize::from(exists);
        assert_eq!(bench.listed().len(), published, "at {word}: {said:?}");
        let expected = if exists { "succeeded" } else { "interrupted" };
        assert_eq!(bench.outcomes()[0], expected, "at {word}: {said:?}");
        let told = said.iter().any(|line| line.starts_with("error: ") && line.contains("interrupted before"));
        assert_eq!(told, !exists, "at {word}: {said:?}");
        assert_eq!((bench.unpublished(), bench.scratch_left()), (vec![], vec![]), "left by a cancel at {word}");
    }
    bench.restores_to_what_it_was();
}
