//! Backups that are much smaller than those before.

use std::sync::Arc;

use qbackd::history::{History, StateDir};
use qbackd::job::pausing;
use qbackd::model::{Clock, SystemClock};

use super::{events, one, reader, said, with};

#[test]
fn a_backup_much_smaller_than_those_before_is_suspicious_until_one_is_normal() {
    let bench = with(&[("shop", "dump = ['cat', '$HERE/data.bin']")]);
    let fill = |bytes: usize| std::fs::write(bench.path("data.bin"), vec![b'x'; bytes]).unwrap();
    fill(100_000);
    (0..3).for_each(|_| drop(bench.ok(&["backup", "shop"])));
    fill(10_000);
    let output = bench.run(&["backup", "shop"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && told.contains("much smaller than those before: 9.8 KiB instead of about 97.7 KiB"),
        "{told}"
    );
    let (code, shop) = one(&bench, "shop");
    assert_eq!((code, &shop["state"]), (3, &"active".into()));
    let hold = pausing::hold(&reader(&bench), &"shop".parse().unwrap()).unwrap().unwrap();
    assert_eq!(shop["suspicious"]["backup"], hold.backup.as_str());
    assert_eq!(shop["last_full"]["id"], hold.backup.as_str());
    assert!(said(&bench, &["status"]).1.contains("suspiciously small"));
    assert_eq!(events(&bench, "shop"), ["suspicious-size"]);
    fill(90_000);
    bench.ok(&["backup", "shop"]);
    assert_eq!(one(&bench, "shop").0, 0);
    assert_eq!(pausing::hold(&reader(&bench), &"shop".parse().unwrap()).unwrap(), None);
}

#[test]
fn a_size_that_somebody_accepts_is_the_usual_one_from_then_on() {
    let bench = with(&[("shop", "dump = ['cat', '$HERE/data.bin']")]);
    let fill = |bytes: usize| std::fs::write(bench.path("data.bin"), vec![b'x'; bytes]).unwrap();
    let name = "shop".parse().unwrap();
    fill(100_000);
    (0..3).for_each(|_| drop(bench.ok(&["backup", "shop"])));
    fill(10_000);
    bench.ok(&["backup", "shop"]);
    assert!(pausing::hold(&reader(&bench), &name).unwrap().is_some());
    let accept = || {
        let state = Arc::new(StateDir::prepare(&bench.path("state")).unwrap());
        let (history, _) = History::open(state, "db1", Arc::new(SystemClock)).unwrap();
        pausing::accept_size(&history, &name, "alice", SystemClock.now()).unwrap()
    };
    assert_eq!((accept(), accept()), (true, false), "there is one hold to lift");
    (0..4).for_each(|_| drop(bench.ok(&["backup", "shop"])));
    assert_eq!((pausing::hold(&reader(&bench), &name).unwrap(), one(&bench, "shop").0), (None, 0));
    assert_eq!(events(&bench, "shop"), ["suspicious-size", "accept-size"]);
}
