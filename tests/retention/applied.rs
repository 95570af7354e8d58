//! What the program deletes and what it says of it: `prune`, and the end of each backup.

use std::sync::Arc;

use qbackd::history::{StateDir, lock};
use qbackd::job::prune::{Act, prune};
use qbackd::model::SystemClock;
use serde_json::Value;

use super::{backup_of, bench, context};
use crate::support::bench::{Bench, names};
use crate::support::fixture::CommandFixture;

/// Three nightly backups of long ago, made while nothing was deleted; then the rules.
fn three(policy: &str) -> (Bench<CommandFixture>, [String; 3]) {
    let bench = bench("");
    let made = ["20260101T020000Z", "20260102T020000Z", "20260103T020000Z"].map(|time| backup_of(&bench, time));
    bench.configure(super::DUMP, policy);
    (bench, made)
}

/// What is decided for each backup in `prune --json`, oldest first: id, verdict, reasons.
fn verdicts(document: &Value, destination: usize) -> Vec<(String, String, Vec<String>)> {
    let backups = document["databases"][0]["destinations"][destination]["backups"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let row = |b: &Value| {
        let reasons = b["reasons"].as_array().unwrap().iter().map(text).collect();
        (format!("shop/{}", text(&b["id"])), text(&b["verdict"]), reasons)
    };
    backups.iter().rev().map(row).collect()
}

#[test]
fn a_dry_run_gives_every_reason_and_changes_nothing() {
    let (bench, made) = three("keep = { last = 1, daily = 2 }\n");
    let said = bench.ok(&["prune", "shop", "--dry-run"]);
    let line = |id: &str| said.lines().find(|line| line.contains(&id[5..])).unwrap().to_owned();
    assert!(line(&made[0]).contains("delete") && line(&made[0]).contains("no rule keeps it"), "{said}");
    assert!(line(&made[1]).contains("keep") && line(&made[1]).contains("daily 2 of 2: 2026-01-02"), "{said}");
    assert!(line(&made[2]).contains("newest good full; last 1 of 1; daily 1 of 2: 2026-01-03"), "{said}");
    assert!(said.contains("to delete: 1 of 3 backups"), "{said}");
    let document = bench.json(&["prune", "--dry-run"]);
    assert_eq!(document["dry_run"], true);
    let told = verdicts(&document, 0);
    assert_eq!(told[0], (made[0].clone(), "delete".into(), vec!["no rule keeps it".into()]));
    assert_eq!(told[2].2, ["newest good full", "last 1 of 1", "daily 1 of 2: 2026-01-03"]);
    assert!(document["freed_bytes"].as_u64().unwrap() > 0);
    assert_eq!(bench.listed(), made);
    assert!(bench.runs("prune").is_empty());
}

#[test]
fn prune_asks_first_and_then_deletes_what_it_said() {
    let (bench, made) = three("keep = { last = 2 }\n");
    let said = bench.fails(2, &["prune", "shop"]);
    assert!(said.contains("Delete 1 backup for ever") && said.contains("--yes"), "{said}");
    assert_eq!(bench.listed(), made, "it only asked");
    let said = bench.ok(&["prune", "shop", "--yes"]);
    assert!(said.contains(&format!("deleted {} at local", made[0])) && said.contains("1 backup deleted, "), "{said}");
    assert_eq!(bench.listed(), made[1..]);
    assert!(!bench.folder(&made[0]).exists(), "data was left behind");
    let run = &bench.runs("prune")[0];
    assert_eq!((&run["outcome"], &run["backup"]), (&"succeeded".into(), &made[0][5..].into()));
    assert_eq!(run["notes"][0], "no rule keeps it");
    let document = bench.json(&["prune"]);
    assert_eq!((&document["freed_bytes"], &document["dry_run"]), (&0.into(), &false.into()));
    assert_eq!(bench.runs("prune").len(), 1, "what deletes nothing is no run");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_but_what_somebody_saw_and_agreed_to() {
    let (bench, made) = three("keep = { last = 2 }\n");
    let name = "shop".parse().unwrap();
    let planned = {
        let context = context(&bench, Arc::new(SystemClock));
        prune(&context, &context.database(&name).unwrap(), Act::DryRun).await.unwrap()
    };
    // While the question was on the screen somebody made the rules stricter.
    bench.edit("last = 2", "last = 1");
    let context = context(&bench, Arc::new(SystemClock));
    let done = prune(&context, &context.database(&name).unwrap(), Act::Agreed(&planned.agreed())).await.unwrap();
    assert_eq!(bench.listed(), made[1..]);
    let told: Vec<_> = done.going().map(|(_, judged)| (judged.decision.id.as_str(), judged.deleted)).collect();
    assert_eq!(told, [(&made[1][5..], false), (&made[0][5..], true)]);
}

#[test]
fn without_keep_nothing_is_deleted_and_prune_says_why() {
    let (bench, made) = three("");
    assert!(bench.ok(&["prune", "--yes"]).contains("nothing was deleted"));
    bench.ok(&["backup", "shop"]);
    assert_eq!(bench.listed()[..3], made);
    assert!(bench.runs("prune").is_empty());
    assert!(bench.ok(&["prune", "--dry-run"]).contains("there is no `keep`"));
}

#[test]
fn a_backup_is_followed_by_retention_where_it_went_and_nowhere_else() {
    let (bench, made) = three("keep = { last = 2 }\n");
    let text = bench.configuration();
    let second = "[destination.second]\nservice = \"fs\"\nroot = \"$HERE/second\"\nmin_free = \"0%\"\n\n[encryption";
    bench.set_configuration(
        &text
            .replace("[encryption", second)
            .replace("destinations = [\"local\"]", "destinations = [\"local\", \"second\"]"),
    );
    bench.ok(&["backup", "shop", "--to", "second"]);
    assert!(bench.folder(&made[0]).exists(), "the backup went to another destination");
    bench.ok(&["backup", "shop"]);
    assert_eq!([0, 1, 2].map(|n| bench.folder(&made[n]).exists()), [false, false, true]);
}

#[test]
fn a_destination_of_its_own_rules_goes_by_them() {
    let (bench, made) = three("keep = { last = 1 }\n");
    bench.edit("min_free = \"0%\"", "min_free = \"0%\"\nkeep = { last = 2 }");
    bench.ok(&["prune", "--yes"]);
    assert_eq!(bench.listed(), made[1..]);
}

#[test]
fn a_destination_that_says_prune_false_loses_nothing() {
    let (bench, made) = three("keep = { last = 1 }\n");
    bench.edit("min_free = \"0%\"", "min_free = \"0%\"\nprune = false");
    bench.ok(&["prune", "--yes"]);
    bench.ok(&["backup", "shop"]);
    assert_eq!(bench.listed()[..3], made);
    let told = verdicts(&bench.json(&["prune", "--dry-run"]), 0);
    assert_eq!(told[0].1, "keep");
    assert_eq!(told[0].2, ["held: `prune = false`"]);
    // What somebody asks for by name is another matter.
    bench.ok(&["delete", &made[0], "--yes"]);
    assert!(!bench.listed().contains(&made[0]));
}

#[test]
fn what_is_not_recognised_stays() {
    let (bench, made) = three("keep = { last = 1 }\n");
    let backups = bench.root().join("shop/backup");
    // A backup that another host makes now, folders and files of people, another database whose name begins the same.
    for file in [
        "20251231T020000Z-full-k3f9x2ab/dump.zst.age",
        "2025-old/manifest.json",
        "notes.txt",
        "../../shop-2/backup/20251231T020000Z-full-k3f9x2ab/manifest.json",
        "../mine/file",
    ] {
        let path = backups.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "not ours").unwrap();
    }
    std::fs::write(bench.folder(&made[0]).join("a person's note"), "mine").unwrap();
    bench.ok(&["prune", "shop", "--yes"]);
    let mut left = names(&backups);
    left.sort();
    let mut expected = vec!["20251231T020000Z-full-k3f9x2ab", "2025-old", "notes.txt", &made[0][5..], &made[2][5..]];
    expected.sort_unstable();
    assert_eq!(left, expected);
    assert_eq!(names(&bench.folder(&made[0])), ["a person's note"]);
    assert!(bench.root().join("shop-2/backup/20251231T020000Z-full-k3f9x2ab/manifest.json").exists());
    assert!(bench.root().join("shop/mine/file").exists());
}

#[test]
fn times_of_files_mean_nothing() {
    let (bench, made) = three("keep = { last = 1 }\n");
    // As after a copy of the whole place, newest first.
    for (age, id) in made.iter().enumerate() {
        crate::support::fixture::sh(
            "find",
            &[bench.folder(id).to_str().unwrap(), "-exec", "touch", "-d", &format!("{age} days ago"), "{}", "+"],
        );
    }
    bench.ok(&["prune", "--yes"]);
    assert_eq!(bench.listed(), made[2..]);
}

#[test]
fn retention_waits_for_nobody_who_works_on_the_database_but_can_explain() {
    let (bench, made) = three("keep = { last = 1 }\n");
    let state = StateDir::prepare(&bench.path("state")).unwrap();
    let held = lock::hold(&state, &"shop".parse().unwrap()).unwrap();
    assert!(bench.fails(75, &["prune", "--yes"]).contains("shop is busy"));
    assert_eq!(bench.listed(), made);
    assert!(bench.ok(&["prune", "--dry-run"]).contains("to delete: 2 of 3 backups"));
    drop(held);
    bench.ok(&["prune", "--yes"]);
    assert_eq!(bench.listed(), made[2..]);
}
