//! When nothing is deleted though the rules would: damage, suspicion, refusal, a crash.

use std::os::unix::process::ExitStatusExt;

use super::{backup_of, bench};
use crate::support::bench::Bench;
use crate::support::fixture::CommandFixture;

/// Three backups of long ago, of which the rules keep the last.
fn three() -> (Bench<CommandFixture>, [String; 3]) {
    let bench = bench("");
    let made = ["20260101T020000Z", "20260102T020000Z", "20260103T020000Z"].map(|time| backup_of(&bench, time));
    bench.configure(super::DUMP, "keep = { last = 1 }\n");
    (bench, made)
}

fn all_there(bench: &Bench<CommandFixture>, made: &[String]) -> bool {
    made.iter().all(|id| bench.folder(id).join("manifest.json").exists() && bench.artifact(id).exists())
}

#[test]
fn a_damaged_manifest_holds_everything_at_its_destination_and_fails_no_backup() {
    let (bench, made) = three();
    let manifest = bench.folder(&made[1]).join("manifest.json");
    let sound = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, &sound[..sound.len() / 2]).unwrap();

    let said = bench.fails(1, &["prune", "--yes"]);
    assert!(said.contains("nothing is deleted at local") && said.contains(&made[1]), "{said}");
    let run = &bench.runs("prune")[0];
    assert_eq!(run["outcome"], "failed");
    assert!(run["error"].as_str().unwrap().contains("is damaged"), "{run}");
    assert!(all_there(&bench, &made));
    let said = bench.fails(1, &["prune", "--dry-run"]);
    assert!(said.contains("is damaged"), "{said}");

    let output = bench.run(&["backup", "shop"]);
    assert!(output.status.success(), "{output:?}");
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(warned.contains("old backups of shop stay: nothing is deleted at local"), "{warned}");
    let backup = &bench.runs("backup")[0];
    assert_eq!(backup["outcome"], "succeeded");
    assert!(backup["notes"].to_string().contains("old backups of shop stay"), "{backup}");
    assert!(all_there(&bench, &made));

    std::fs::write(&manifest, sound).unwrap();
    bench.ok(&["prune", "--yes"]);
    assert_eq!(bench.listed().len(), 1);
}

#[test]
fn a_destination_that_cannot_be_listed_is_a_failure_and_stops_no_other() {
    let (bench, made) = three();
    bench.edit("[encryption", "[destination.away]\nservice = \"fs\"\nroot = \"/nowhere/at/all\"\n\n[encryption");
    bench.edit("destinations = [\"local\"]", "destinations = [\"away\", \"local\"]");
    let said = bench.fails(1, &["prune", "--yes"]);
    assert!(said.contains("there is no folder /nowhere/at/all"), "{said}");
    assert_eq!([0, 1, 2].map(|n| bench.folder(&made[n]).exists()), [false, false, true]);
    assert!(!std::path::Path::new("/nowhere").exists(), "looking made a folder");
    let outcomes: Vec<_> = bench.runs("prune").iter().map(|run| run["outcome"].clone()).collect();
    assert_eq!(outcomes, ["succeeded", "succeeded", "failed"]);
}

/// Three backups of the usual size, of which the rules keep one, and one of a database that is nearly empty.
fn shrunken() -> Bench<CommandFixture> {
    let bench = Bench::<CommandFixture>::with_keys("dump = [\"cat\", \"$HERE/rows\"]\nrestore = [\"cat\"]\n");
    std::fs::write(bench.path("rows"), USUAL).unwrap();
    (0..3).for_each(|_| drop(bench.ok(&["backup", "shop"])));
    bench.edit("encryption = \"team\"\n", "encryption = \"team\"\nkeep = { last = 1 }\n");
    std::fs::write(bench.path("rows"), "one row\n").unwrap();
    bench.ok(&["backup", "shop"]);
    bench
}

const USUAL: &str = "a row that is there\nand another row that is there\nand one more of them\n";

#[test]
fn a_suspiciously_small_backup_pushes_no_good_one_out() {
    let bench = shrunken();
    assert_eq!(bench.listed().len(), 4, "it is the newest, and the rules keep the newest only");
    let said = bench.ok(&["prune", "--dry-run"]);
    assert!(said.contains("is of a suspicious size") && said.contains("nothing to delete"), "{said}");
    assert!(bench.ok(&["prune"]).contains("nothing was deleted"));
    bench.ok(&["backup", "shop"]);
    assert_eq!(bench.listed().len(), 5, "a second one of the kind is no better");
    std::fs::write(bench.path("rows"), USUAL).unwrap();
    bench.ok(&["backup", "shop"]);
    assert_eq!(bench.listed().len(), 1, "with a normal backup the rules apply again");
}

#[test]
fn somebody_may_say_that_a_suspicious_size_is_right() {
    let bench = shrunken();
    bench.ok(&["prune", "--yes"]);
    assert_eq!(bench.listed().len(), 1);
    bench.ok(&["backup", "shop"]);
    assert_eq!(bench.listed().len(), 1, "it is believed from now on");
}

#[test]
fn a_destination_that_refuses_a_deletion_is_asked_for_no_other() {
    let (mut bench, made) = three();
    bench.give_up_root();
    let modes = |mode: &str, id: &String| {
        crate::support::fixture::sh("chmod", &[mode, bench.folder(id).to_str().unwrap()]);
    };
    modes("555", &made[0]);
    let said = bench.fails(77, &["prune", "--yes"]);
    assert!(said.contains(&format!("cannot delete {}", made[0])), "{said}");
    assert!(all_there(&bench, &made), "the oldest goes first, and after it nothing was tried");
    let run = &bench.runs("prune")[0];
    assert_eq!((&run["outcome"], &run["backup"]), (&"failed".into(), &made[0][5..].into()));
    // It is no failure of a backup.
    bench.ok(&["backup", "shop"]);
    assert_eq!(bench.outcomes()[0], "succeeded");
    modes("755", &made[0]);
    bench.ok(&["prune", "--yes"]);
    assert_eq!(bench.listed().len(), 1);
}

#[test]
fn what_a_crash_between_manifest_and_data_left_is_swept_by_the_next_run() {
    let (bench, made) = three();
    let killed = bench.command(&["prune", "--yes"]).env("QBACKD_DIE_AT", "recorded").output().unwrap();
    assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
    assert!(all_there(&bench, &made), "it died before it deleted");
    // As if it had died one step later.
    std::fs::remove_file(bench.folder(&made[0]).join("manifest.json")).unwrap();
    bench.ok(&["prune", "--yes"]);
    assert_eq!(bench.listed(), made[2..]);
    assert!(bench.unpublished().is_empty(), "the data is left");
    let outcomes: Vec<_> = bench.runs("prune").iter().map(|run| run["outcome"].clone()).collect();
    assert_eq!(outcomes, ["succeeded", "interrupted"], "one was deleted by the dead run, one by the next");
}
