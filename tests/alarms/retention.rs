//! Retention as the daemon applies it: after each success, and daily.

use super::{Desk, amend, desk, events};
use crate::support::daemon::{Daemon, until};

fn backups(bench: &Desk, count: usize) {
    (0..count).for_each(|_| drop(bench.ok(&["backup", "shop"])));
}

/// Waits until so many backups are left.
fn left(bench: &Desk, count: usize) {
    until("retention was applied", || (bench.listed().len() == count).then_some(()));
}

#[test]
fn retention_is_applied_after_each_success_and_daily_whatever_restarts() {
    let bench = desk("keep = { last = 4 }\n", "");
    let daemon = Daemon::start(&bench);
    until("the daily work began", || (events(&bench, "daily").len() == 1).then_some(()));
    backups(&bench, 5);
    assert_eq!(bench.listed().len(), 4);
    assert!(daemon.stop().success());

    // Less is kept from now on, and no backup comes that retention could follow.
    bench.edit("last = 4", "last = 3");
    assert!(Daemon::start(&bench).stop().success());
    assert_eq!((bench.listed().len(), events(&bench, "daily").len()), (4, 1), "a restart is no new day");
    amend(&bench, "UPDATE events SET at = at - 25 * 3600000 WHERE word = 'daily'");
    let daemon = Daemon::start(&bench);
    left(&bench, 3);
    assert!(daemon.stop().success());
    let run = bench.runs("prune")[0].clone();
    assert_eq!((&run["initiated_by"], &run["notes"][0]), (&"the schedule".into(), &"no rule keeps it".into()));

    // A clock that was ahead for a while does not put it off.
    bench.edit("last = 3", "last = 2");
    amend(&bench, "UPDATE events SET at = at + 400 * 86400000 WHERE word = 'daily'");
    let daemon = Daemon::start(&bench);
    left(&bench, 2);
    assert!(daemon.stop().success());

    // Rules of the destination alone are rules as well.
    bench.edit("keep = { last = 2 }\n", "");
    bench.edit("min_free = \"0%\"", "min_free = \"0%\"\nkeep = { last = 1 }");
    amend(&bench, "DELETE FROM events WHERE word = 'daily'");
    let daemon = Daemon::start(&bench);
    left(&bench, 1);
    assert!(daemon.stop().success());
}

#[test]
fn where_it_cannot_be_noted_what_a_backup_means_nothing_is_deleted_and_it_is_told() {
    let bench = desk("keep = { last = 1 }\n", "");
    let daemon = Daemon::start(&bench);
    backups(&bench, 2);
    assert_eq!(bench.listed().len(), 1);
    amend(
        &bench,
        "UPDATE databases SET failures = 1, first_seen = 7;
         CREATE TRIGGER no_note BEFORE INSERT ON databases WHEN new.first_seen = 7
             BEGIN SELECT RAISE(ABORT, 'the disk is odd'); END",
    );
    backups(&bench, 1);
    daemon.says("cannot note what the run means for shop; old backups stay until one can be noted");
    assert_eq!(bench.listed().len(), 2, "who knows whether the new one is good");
    let run = bench.runs("backup")[0].clone();
    assert_eq!(run["outcome"], "succeeded");
    assert!(run["notes"][0].as_str().unwrap().contains("the disk is odd"), "{run}");
    amend(&bench, "DROP TRIGGER no_note");
    backups(&bench, 1);
    assert_eq!(bench.listed().len(), 1);
    assert!(daemon.stop().success());
}

#[test]
fn the_daemon_explains_each_keep_and_delete_and_does_just_that() {
    let bench = desk("", "");
    let daemon = Daemon::start(&bench);
    backups(&bench, 3);
    bench.edit("destinations = [\"local\"]", "destinations = [\"local\"]\nkeep = { last = 2 }");
    bench.ok(&["reload"]);
    let made = bench.listed();
    let said = bench.ok(&["prune", "shop", "--dry-run"]);
    let line = |id: &str| {
        said.lines().find(|line| line.contains(&id[5..])).unwrap_or_else(|| panic!("{id}: {said}")).to_owned()
    };
    assert!(line(&made[0]).contains("no rule keeps it"), "{said}");
    assert!(line(&made[1]).contains("last 2 of 2"), "{said}");
    assert!(line(&made[2]).contains("newest good full; last 1 of 2"), "{said}");
    assert_eq!(bench.listed(), made);
    bench.ok(&["prune", "shop", "--yes"]);
    assert_eq!(bench.listed(), made[1..]);
    assert!(daemon.stop().success());
}
