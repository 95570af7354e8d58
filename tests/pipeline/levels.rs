//! `compression`: the level is what zstd makes of it, and every processor takes part.

use std::process::{Command, Stdio};

use crate::support::bench::Bench;
use crate::support::daemon::until;
use crate::support::fixture::{CommandFixture, sh};

/// Text as dumps have it: few words, many times, in no order.
fn text() -> String {
    let mut random = 7u64;
    let word = |_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("word{} ", (random >> 40) % 3000)
    };
    (0..200_000).map(word).collect()
}

#[test]
fn a_higher_level_stores_less_and_brings_back_the_same() {
    let bench = Bench::<CommandFixture>::with_keys("dump = ['cat', '$HERE/text']\n");
    std::fs::write(bench.path("text"), text()).unwrap();
    let mut stored = Vec::new();
    for level in [1, 19] {
        let here = bench.path("text").display().to_string();
        bench.configure(&format!("dump = ['cat', '{here}']\n"), &format!("compression = 'zstd:{level}'\n"));
        let made = bench.json(&["backup", "shop"])["backups"][0].clone();
        assert_eq!(made["plain_bytes"], text().len(), "{made}");
        stored.push(made["stored_bytes"].as_u64().unwrap());
        bench.ok(&["verify", made["id"].as_str().unwrap(), "--level", "decode"]);
        // zstd itself comes to about the same; age adds a header and a little a block.
        let own = sh("sh", &["-c", &format!("zstd -q -c -{level} '{here}' | wc -c")]).trim().parse::<u64>().unwrap();
        let ours = stored[stored.len() - 1];
        assert!(ours.abs_diff(own) * 20 < own, "zstd:{level} stored {ours}, zstd -{level} makes {own}");
    }
    assert!(stored[1] * 100 < stored[0] * 95, "zstd:1 and zstd:19 stored {stored:?}");
}

/// How many threads compress in a backup that sees so many processors.
fn compressing(bench: &Bench<CommandFixture>, through: &[&str]) -> usize {
    for gate in ["reached", "go"] {
        let _ = std::fs::remove_file(bench.path(gate));
    }
    let verb = bench.command(&["backup", "shop"]);
    let mut command = Command::new(through[0]);
    command.args(&through[1..]).arg(verb.get_program()).args(verb.get_args()).current_dir(bench.path(""));
    let mut run = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // What a thread starts is called as it is.
    let threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", run.id())).unwrap().flatten();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        tasks.map(name).filter(|name| name.trim() == "zstd").count()
    };
    until("the dump waits", || bench.path("reached").exists().then_some(()));
    let count = until("it compresses", || Some(threads()).filter(|count| *count > 1));
    std::fs::write(bench.path("go"), "").unwrap();
    let status = run.wait().unwrap();
    assert!(status.success());
    // The one that hands out the work.
    count - 1
}

#[test]
fn every_processor_takes_part_in_compressing() {
    let bench = Bench::<CommandFixture>::with_keys(
        "dump = ['sh', '-c', 'head -c 9000000 /dev/zero; touch $HERE/reached; while [ -d $HERE/data ] && ! [ -e $HERE/go ]; do sleep 0.1; done']\n",
    );
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(compressing(&bench, &["env"]), processors.min(4));
    let first = sh("sh", &["-c", "taskset -cp $$ | sed 's/.*: //; s/[,-].*//'"]);
    assert_eq!(compressing(&bench, &["taskset", "-c", first.trim()]), 1);
}
