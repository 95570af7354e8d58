//! Tools that die, hang, stall, or are not there.

use std::time::{Duration, Instant};

use super::{all_restore, backup_ends, backup_fails, says, with_a_backup};
use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, Fixture};

/// Another dump than that of the fixture.
fn dumping(bench: &Bench<CommandFixture>, script: &str) {
    let state = bench.fixture.state.display();
    bench.edit(&format!("dump = [\"cat\", \"{state}\"]"), &format!("dump = [\"sh\", \"-c\", \"{script}\"]"));
}

#[test]
fn a_tool_that_fails_half_way() {
    let bench = with_a_backup::<CommandFixture>();
    dumping(&bench, "head -c 2000000 $HERE/data/state; echo connection lost >&2; exit 1");
    backup_fails_without_remedy(&bench, &["`sh` failed", "exit status 1", "connection lost"]);
    all_restore(&bench);
}

#[test]
fn a_tool_that_fails_after_all_of_it() {
    let bench = with_a_backup::<CommandFixture>();
    dumping(&bench, "cat $HERE/data/state; exit 3");
    backup_fails_without_remedy(&bench, &["`sh` failed", "exit status 3"]);
    all_restore(&bench);
}

#[test]
fn a_tool_that_is_killed_half_way() {
    let bench = with_a_backup::<CommandFixture>();
    dumping(&bench, "head -c 2000000 $HERE/data/state; kill -9 $$");
    backup_fails_without_remedy(&bench, &["`sh`", "killed by SIGKILL"]);
    all_restore(&bench);
}

/// What a tool says of itself is all there is to say.
fn backup_fails_without_remedy(bench: &Bench<CommandFixture>, words: &[&str]) {
    let (listed, there) = (bench.listed(), super::contents(&bench.root()));
    let said = bench.fails(1, &["backup", "shop"]);
    for word in [&["backup of shop failed"], words].concat() {
        assert!(said.contains(word), "{word:?} is not in\n{said}");
    }
    assert_eq!(bench.outcomes(), ["failed", "succeeded"]);
    assert_eq!((bench.listed(), bench.unpublished()), (listed, vec![]));
    assert!(super::contents(&bench.root()) == there);
}

#[test]
fn a_tool_that_is_not_there() {
    let bench = with_a_backup::<CommandFixture>();
    bench.edit("dump = [\"cat\"", "dump = [\"no-such-tool\"");
    backup_fails(&bench, 69, &["no-such-tool"]);
    bench.edit("dump = [\"no-such-tool\"", "dump = [\"cat\"");
    all_restore(&bench);
}

#[test]
fn a_dump_that_takes_longer_than_timeout() {
    let bench = with_a_backup::<CommandFixture>();
    dumping(&bench, "echo begun; exec sleep 600");
    bench.edit("[policy.plain]", "[policy.plain]\ntimeout = \"1s\"");
    let begun = Instant::now();
    backup_ends(&bench, 1, "timed out", &["not done within 1s", "`timeout`"]);
    assert!(begun.elapsed() < Duration::from_secs(15));
    all_restore(&bench);
}

#[test]
fn a_dump_that_stalls_for_longer_than_stall_timeout() {
    let bench = with_a_backup::<CommandFixture>();
    dumping(&bench, "echo begun; exec sleep 600");
    bench.edit("[policy.plain]", "[policy.plain]\nstall_timeout = \"1s\"");
    let begun = Instant::now();
    backup_ends(&bench, 1, "timed out", &["no byte moved for 1s while running sh", "`stall_timeout`"]);
    assert!(begun.elapsed() < Duration::from_secs(15));
    all_restore(&bench);
}

#[test]
fn a_restore_command_that_stops_half_way_did_not_restore_whatever_it_says() {
    let bench = with_a_backup::<CommandFixture>();
    let state = bench.fixture.state.display().to_string();
    for (script, words) in [
        ("head -c 10 > /dev/null", &["`sh`", "stopped reading", "before the end of the backup"][..]),
        ("cat > /dev/null; echo disk on fire >&2; exit 1", &["`sh` failed", "exit status 1", "disk on fire"]),
    ] {
        bench.configure(&format!("dump = [\"cat\", \"{state}\"]\nrestore = [\"sh\", \"-c\", \"{script}\"]\n"), "");
        let said = bench.fails(1, &["restore", "shop", "--yes"]);
        for word in [&["restore of shop/"], words].concat() {
            assert!(said.contains(word), "{word:?} is not in\n{said}");
        }
        assert_eq!(bench.runs("restore")[0]["outcome"], "failed");
    }
    let said = {
        bench.configure(&format!("dump = [\"cat\", \"{state}\"]\n"), "");
        bench.fails(69, &["restore", "shop", "--yes"])
    };
    says(&said, &["no `restore` command", "qbackd download shop/"]);
    assert_eq!(bench.fixture.fingerprint(), bench.before());
}
