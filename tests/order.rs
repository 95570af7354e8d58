//! The order of write, fsync and rename, as the kernel saw it: what is published is on the disk before it is published.

mod rules;
pub mod trace;

use std::process::{Command, Stdio};

use self::trace::{Act, Trace};
use crate::support::bench::Bench;
use crate::support::fixture::{CommandFixture, FilesFixture, Fixture, SqliteFixture};

/// Runs a verb under strace.
fn traced<F: Fixture>(bench: &Bench<F>, args: &[&str]) -> Trace {
    traced_command(bench, &bench.command(args))
}

/// Runs a command of a bench under strace.
pub fn traced_command<F: Fixture>(bench: &Bench<F>, plain: &Command) -> Trace {
    let log = bench.path("trace");
    let mut command = Command::new("strace");
    command.args(["--follow-forks", "--decode-fds=path", "--string-limit=4096", "--signal=none"]);
    command.arg(
        "--trace=openat,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,close",
    );
    command.arg("--output").arg(&log).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.current_dir(bench.path("")).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Trace::parse(&std::fs::read_to_string(log).unwrap())
}

fn publishing<F: Fixture>() {
    let bench = Bench::<F>::new();
    // The first run makes every folder up to the root; the second finds them.
    for round in 0..2 {
        let trace = traced(&bench, &["backup", "shop"]);
        let id = bench.listed().remove(round);
        let artifact = bench.artifact(&id);
        let above = bench.root().parent().unwrap().to_owned();
        let made_durable = |act: &Act| matches!(act, Act::Sync(path) if *path == above);
        assert_eq!(trace.first(0, made_durable).is_some(), round == 0, "whoever makes the root makes its name durable");
        rules::published(&trace, &bench.root(), &bench.folder(&id), &[artifact]).unwrap_or_else(|why| panic!("{why}"));
        let begun = rules::begun(&trace, &bench.root(), &bench.folder(&id));
        assert_eq!(begun.is_ok(), round == 0, "only the first run begins a destination: {begun:?}");
    }
}

#[test]
fn a_database_is_on_the_disk_before_its_manifest_makes_it_exist() {
    publishing::<SqliteFixture>();
}

#[test]
fn a_tree_is_on_the_disk_before_its_manifest_makes_it_exist() {
    publishing::<FilesFixture>();
}

#[test]
fn a_commands_output_is_on_the_disk_before_its_manifest_makes_it_exist() {
    publishing::<CommandFixture>();
}

#[test]
fn a_deleted_backup_does_not_exist_before_any_of_its_data_goes() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    bench.ok(&["backup", "shop"]);
    let id = bench.listed().remove(0);
    let (folder, artifact) = (bench.folder(&id), bench.artifact(&id));
    let trace = traced(&bench, &["delete", &id, "--yes"]);
    rules::deleted(&trace, &folder, &[artifact]).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn a_backup_that_no_rule_keeps_does_not_exist_before_any_of_its_data_goes() {
    let bench = Bench::<SqliteFixture>::new();
    bench.ok(&["backup", "shop"]);
    bench.ok(&["backup", "shop"]);
    let id = bench.listed().remove(0);
    let (folder, artifact) = (bench.folder(&id), bench.artifact(&id));
    bench.edit("encryption = \"team\"\n", "encryption = \"team\"\nkeep = { last = 1 }\n");
    let trace = traced(&bench, &["prune", "--yes"]);
    rules::deleted(&trace, &folder, &[artifact]).unwrap_or_else(|why| panic!("{why}"));
}

/// A trace of a run that did everything right, in the words of strace.
const RIGHT: &str = r#"
100 openat(AT_FDCWD</>, "/r/shop/backup/id/a.zst", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 9</r/shop/backup/id/a.zst>
101 write(9</r/shop/backup/id/a.zst>, "abc"..., 3) = 3
101 fsync(9</r/shop/backup/id/a.zst> <unfinished ...>
102 write(2</dev/null>, "close(9) = 0\n", 13) = 13
101 <... fsync resumed>)                    = 0
101 close(9</r/shop/backup/id/a.zst>)       = 0
100 openat(AT_FDCWD</>, "/r/shop/backup/id", O_RDONLY|O_CLOEXEC) = 9</r/shop/backup/id>
100 fsync(9</r/shop/backup/id>)             = 0
100 fsync(9</r/shop/backup>)                = 0
100 fsync(9</r/shop>)                       = 0
100 fsync(9</r>)                            = 0
100 write(10</r/shop/backup/id/.SHA256SUMS.k3f9x2ab>, "sum", 3) = 3
100 fdatasync(10</r/shop/backup/id/.SHA256SUMS.k3f9x2ab>) = 0
100 renameat2(AT_FDCWD</>, "/r/shop/backup/id/.SHA256SUMS.k3f9x2ab", AT_FDCWD</>, "/r/shop/backup/id/SHA256SUMS", RENAME_NOREPLACE) = 0
100 fsync(9</r/shop/backup/id>)             = 0
103 write(11</r/shop/backup/id/.manifest.json.aaaaaaaa>, "{", 1) = 1
103 fsync(11</r/shop/backup/id/.manifest.json.aaaaaaaa>) = 0
100 renameat2(AT_FDCWD</>, "/r/shop/backup/id/.manifest.json.aaaaaaaa", AT_FDCWD</>, "/r/shop/backup/id/manifest.json", RENAME_NOREPLACE <unfinished ...>
104 fsync(12</s/history.db-wal>)            = 0
100 <... renameat2 resumed>)                = 0
100 fsync(9</r/shop/backup/id>)             = 0
100 +++ exited with 0 +++
"#;

fn judged(text: &str) -> Result<(), String> {
    let path = std::path::Path::new;
    let artifact = path("/r/shop/backup/id/a.zst").to_owned();
    rules::published(&Trace::parse(text), path("/r"), path("/r/shop/backup/id"), &[artifact])
}

/// Whether a line resumes the call of another.
fn is_its_end(begin: &str, line: &str) -> bool {
    line.contains("resumed>") && begin.split(' ').next() == line.split(' ').next()
}

#[test]
fn the_rules_accept_what_is_right_and_refuse_it_without_any_one_of_its_syncs() {
    judged(RIGHT).unwrap();
    let lines: Vec<&str> = RIGHT.lines().collect();
    let mut needed = 0;
    for (number, line) in lines.iter().enumerate() {
        let concerns_us = line.contains("sync") && line.contains("/r") || line.contains("rename");
        if !concerns_us || line.contains("resumed") {
            continue;
        }
        let without: Vec<&str> = lines
            .iter()
            .enumerate()
            // What was never begun is not resumed.
            .filter(|(n, other)| *n != number && !(line.contains("unfinished") && is_its_end(line, other)))
            .map(|(_, line)| *line)
            .collect();
        assert!(judged(&without.join("\n")).is_err(), "nobody missed {line}");
        needed += 1;
    }
    assert_eq!(needed, 11, "lines that something depends on");
}

#[test]
fn the_rules_refuse_what_is_out_of_order() {
    let moved = |what: &str, before: &str| {
        let mut lines: Vec<&str> = RIGHT.lines().collect();
        let from = lines.iter().position(|line| line.contains(what)).unwrap();
        let line = lines.remove(from);
        let to = lines.iter().position(|line| line.contains(before)).unwrap();
        lines.insert(to, line);
        judged(&lines.join("\n"))
    };
    // Written after it was synced.
    assert!(moved("fsync(9</r/shop/backup/id/a.zst>", "write(9</r/shop/backup/id/a.zst>").is_err());
    assert!(moved("fsync(11</r/shop", "write(11</r/shop").is_err());
    // Renamed before it was synced, or before what it vouches for.
    assert!(moved("\"/r/shop/backup/id/manifest.json\"", "fsync(11</r/shop").is_err());
    assert!(moved("\"/r/shop/backup/id/manifest.json\"", "\"/r/shop/backup/id/SHA256SUMS\"").is_err());
    assert!(moved("fsync(9</r>)", "write(9</r/shop/backup/id/a.zst>").is_err());
    // An fsync that failed is none.
    assert!(
        judged(&RIGHT.replace(
            "<... fsync resumed>)                    = 0",
            "<... fsync resumed>) = -1 EIO (Input/output error)"
        ))
        .is_err()
    );
}

#[test]
fn a_manifest_that_goes_after_the_data_is_refused() {
    let path = std::path::Path::new;
    let judged = |text: &str| {
        rules::deleted(&Trace::parse(text), path("/r/shop/backup/id"), &[path("/r/shop/backup/id/a").to_owned()])
    };
    let (manifest, sync, data) = (
        "1 unlink(\"/r/shop/backup/id/manifest.json\") = 0\n",
        "1 fsync(9</r/shop/backup/id>) = 0\n",
        "2 unlinkat(AT_FDCWD</>, \"/r/shop/backup/id/a\", 0) = 0\n",
    );
    judged(&[manifest, sync, data].concat()).unwrap();
    for wrong in [[manifest, data, sync], [data, manifest, sync], [sync, manifest, data], [manifest, sync, ""]] {
        assert!(judged(&wrong.concat()).is_err(), "{wrong:?}");
    }
}

/// A trace of a run that begins a destination and does everything right.
const BEGUN: &str = r#"
100 write(9</r/.qbackd.json.k3f9x2ab>, "{", 1) = 1
100 fsync(9</r/.qbackd.json.k3f9x2ab>) = 0
100 renameat2(AT_FDCWD</>, "/r/.qbackd.json.k3f9x2ab", AT_FDCWD</>, "/r/qbackd.json", RENAME_NOREPLACE) = 0
100 fsync(8</r>) = 0
100 openat(AT_FDCWD</>, "/r/.RECOVERY.txt.k3f9x2ab", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 9</r/.RECOVERY.txt.k3f9x2ab>
100 write(9</r/.RECOVERY.txt.k3f9x2ab>, "HOW", 3) = 3
100 fdatasync(9</r/.RECOVERY.txt.k3f9x2ab>) = 0
100 rename("/r/.RECOVERY.txt.k3f9x2ab", "/r/RECOVERY.txt") = 0
100 fsync(8</r>) = 0
100 openat(AT_FDCWD</>, "/r/shop/backup/id/a.zst", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 9</r/shop/backup/id/a.zst>
101 write(9</r/shop/backup/id/a.zst>, "abc"..., 3) = 3
"#;

#[test]
fn a_destination_that_is_begun_in_another_order_or_without_a_sync_is_refused() {
    let path = std::path::Path::new;
    let judged = |lines: &[&str]| rules::begun(&Trace::parse(&lines.join("\n")), path("/r"), path("/r/shop/backup/id"));
    let lines: Vec<&str> = BEGUN.lines().filter(|line| !line.is_empty()).collect();
    judged(&lines).unwrap();
    for (number, line) in lines.iter().enumerate() {
        let mut without = lines.clone();
        without.remove(number);
        // A file is made by its first write as well; what is left out at the end came after all that counts.
        let dispensable = line.contains("openat") || line.contains("write(9</r/shop");
        assert_eq!(judged(&without).is_ok(), dispensable, "without {line}");
    }
    for (first, second) in [(0, 1), (1, 2), (2, 3), (3, 4), (3, 5), (5, 6), (6, 7), (7, 8), (8, 9), (2, 7)] {
        let mut swapped = lines.clone();
        swapped.swap(first, second);
        assert!(judged(&swapped).is_err(), "{} and {} in the other order", lines[first], lines[second]);
    }
}

#[test]
fn a_call_that_was_interrupted_and_resumed_counts_when_it_ended() {
    let trace = Trace::parse(RIGHT);
    let synced = |act: &Act| matches!(act, Act::Sync(path) if path.ends_with("a.zst"));
    let position = trace.acts.iter().position(synced).unwrap();
    assert!(matches!(&trace.acts[position - 1], Act::Write(path) if path.ends_with("null")), "{:?}", trace.acts);
}
