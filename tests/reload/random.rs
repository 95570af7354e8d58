//! Reloads at random moments under runs: no firing is lost, none is doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use serde_json::Value;

use super::{bench, daemon, database};
use crate::support::bench::Bench;
use crate::support::daemon::{Daemon, until};
use crate::support::fixture::CommandFixture;

/// How long edits go on.
const LENGTH: Duration = Duration::from_secs(60);

/// Databases that no edit touches, each with the seconds between its firings and what its dump does.
const UNTOUCHED: &[(&str, u64, &str)] = &[
    ("fives", 5, "echo data"),
    ("also-fives", 5, "echo data"),
    ("sixes", 6, "echo data; sleep 1"),
    ("tens", 10, "echo data; sleep 2; echo data"),
    // Its runs overlap its times: what comes due while it runs is made up for once, by the newest.
    ("overlaps", 2, "echo data; sleep 5"),
];

/// Small and the same for a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn every(seconds: u64) -> String {
    format!("full = \"*/{seconds} * * * * *\"")
}

fn untouched() -> String {
    let table = |(name, seconds, dump): &(&str, u64, &str)| {
        format!(
            "[database.{name}]\nengine = \"command\"\npolicy = \"plain\"\ndump = [\"sh\", \"-c\", \"{dump}\"]\n{}\n",
            every(*seconds)
        )
    };
    UNTOUCHED.iter().map(table).collect()
}

/// One edit of everything else, in one of several ways; `n` is its number.
fn edit(dice: &mut Dice, bench: &Bench<CommandFixture>, daemon: &Daemon, n: u64) {
    let (more, odd) = (bench.path("etc/more.toml"), bench.path("etc/odd.toml"));
    let text = match dice.below(8) {
        0 => "[database.broken\n".to_owned(),
        1 => database("edited", "full = \"25:00\""),
        2 => format!("# {n}\n"),
        3 => database("edited", &every(1 + dice.below(9))),
        4 => database("edited", &every(3)) + &database(&format!("new{}", n % 4), &every(4)),
        5 => database("edited", &format!("{}\nrandomized_delay = \"{}s\"", every(7), dice.below(5))),
        6 => database("edited", &format!("{}\npause_after = {n}\nenabled = {}", every(3), n.is_multiple_of(2))),
        _ => format!("[policy.p{n}]\npause_after = {n}\n"),
    };
    match dice.below(4) {
        0 => fs::write(&more, text).unwrap(),
        1 => {
            fs::write(bench.path("etc/.more.toml.swp"), text).unwrap();
            fs::rename(bench.path("etc/.more.toml.swp"), &more).unwrap();
        }
        2 => {
            fs::write(&more, text).unwrap();
            daemon.signal(Signal::HUP);
        }
        _ => {
            fs::write(&more, text).unwrap();
            // Either exit code: the edit may be a bad one.
            bench.run(&["reload"]);
        }
    }
    match dice.below(6) {
        0 => fs::write(&odd, "[").unwrap(),
        _ => drop(fs::remove_file(&odd)),
    }
}

/// The end of a run is recorded before the daemon looks for what came due meanwhile.
const NOTICED: SignedDuration = SignedDuration::from_secs(1);

struct Fired {
    due: Timestamp,
    started: Timestamp,
    ended: Timestamp,
}

fn time(run: &Value, key: &str) -> Timestamp {
    run[key].as_str().unwrap_or_else(|| panic!("no {key} in {run}")).parse().unwrap()
}

/// What the history has of each database, in the order of its times. No instant is there twice.
fn history(bench: &Bench<CommandFixture>) -> BTreeMap<String, Vec<Fired>> {
    let mut found: BTreeMap<String, Vec<Fired>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for run in bench.runs("backup").iter().rev() {
        let name = run["database"].as_str().unwrap();
        let due = time(run, "due");
        assert!(seen.insert((name.to_owned(), due, run["attempt"].as_u64())), "{name} ran twice for {due}");
        // Its last runs may have been ended by the stop.
        assert!(["succeeded", "interrupted"].contains(&run["outcome"].as_str().unwrap()), "{run}");
        let fired = Fired { due, started: time(run, "started"), ended: time(run, "ended") };
        found.entry(name.to_owned()).or_default().push(fired);
    }
    found
}

#[test]
fn reloads_at_random_lose_no_firing_and_double_none() {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let bench = bench();
    fs::write(bench.path("etc/untouched.toml"), untouched()).unwrap();
    bench.edit("[daemon]\n", "[daemon]\nmax_parallel = 100\n");
    let daemon = daemon(&bench);
    let (begun, mut edits) = (Instant::now(), 0);
    while begun.elapsed() < LENGTH {
        let pause = Instant::now() + Duration::from_millis(30 + dice.below(900));
        until("the next edit", || (Instant::now() >= pause).then_some(()));
        edits += 1;
        edit(&mut dice, &bench, &daemon, edits);
    }
    let accepted = daemon.log().iter().filter(|line| line.contains("configuration accepted")).count();
    let rejected = daemon.log().iter().filter(|line| line.contains("the configuration was rejected")).count();
    println!("{edits} edits, {accepted} accepted, {rejected} rejected");
    assert!(accepted > 5 && rejected > 1, "{edits} edits, {accepted} accepted, {rejected} rejected");
    assert!(daemon.stop().success());
    // What was read last may be broken; the history does not depend on it.
    let _ = (fs::remove_file(bench.path("etc/more.toml")), fs::remove_file(bench.path("etc/odd.toml")));
    let history = history(&bench);
    for (name, seconds, _) in UNTOUCHED {
        // The first is no time of the calendar: it never had a backup.
        let fired = &history[*name][1..];
        assert!(fired.len() as u64 >= 30 / seconds.max(&6), "{name} fired {} times", fired.len());
        let step = SignedDuration::from_secs(*seconds as i64);
        for (one, next) in fired.iter().zip(&fired[1..]) {
            let mut missed = one.due + step;
            while missed < next.due {
                // Made up for by a newer one, which had come due when the run before it had ended.
                let busy = one.started <= missed && one.ended >= missed;
                assert!(busy && next.due <= one.ended + NOTICED, "{name} lost {missed} (seed {seed})");
                missed += step;
            }
            assert_eq!(missed, next.due, "{name} ran at no time of its calendar (seed {seed})");
        }
    }
}
