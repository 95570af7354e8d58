//! How far a run is: for `systemctl status`, and for `status`.

use std::process::Command;

use super::Shop;
use crate::support::daemon::{Daemon, until};

/// Takes 2 MiB, then half of 48 MiB, and waits after each. Before that all of it is read once.
const KEYS: &str = "dump = ['head', '-c', '50331648', '/dev/zero']\n\
    restore = ['sh', '-c', 'await() { while [ -d $HERE ] && ! [ -e $HERE/$1 ]; do sleep 0.05; done; }; \
    head -c 2097152 > $HERE/taken; await half; head -c 25165824 > $HERE/taken; await go; cat > $HERE/taken']\n";

/// How far shop is, in the words `(shop 41%)`.
fn percent(line: &str) -> Option<u32> {
    line.split_once("1 running (shop ")?.1.split_once("%)")?.0.parse().ok()
}

#[test]
fn the_status_says_how_far_a_run_is_while_nothing_else_happens() {
    let bench = Shop::with_keys(KEYS);
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop"]);
    let asked = Command::new("curl")
        .args(["-sS", "--max-time", "30", "-d", r#"{"what": "shop", "overwrite": true}"#, "--unix-socket"])
        .arg(bench.path("run/control.sock"))
        .arg("http://qbackd/v1/restore")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&asked.stdout).contains("\"run\""), "{asked:?}");
    let told = |least: u32| {
        until("systemd is told how far it is", || {
            daemon.told().iter().filter_map(|line| percent(line)).find(|percent| *percent >= least)
        })
    };
    let first = told(1);
    std::fs::write(bench.path("half"), "").unwrap();
    let second = told(75);
    assert!(first < 75 && second < 99, "{first} {second}");
    let shown = percent(&bench.ok(&["status"])).unwrap();
    assert!((75..99).contains(&shown), "{shown}");
    std::fs::write(bench.path("go"), "").unwrap();
    daemon.says("shop: restore ok: ");
    until("nothing runs", || {
        let last = daemon.told().into_iter().rfind(|line| line.starts_with("STATUS="))?;
        (!last.contains("running")).then_some(())
    });
    assert!(daemon.stop().success());
}
