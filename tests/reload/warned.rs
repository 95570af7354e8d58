//! What the files ask for and is not done is named at every load, whoever asked for it.

use std::fs;

use rustix::process::Signal;

use super::{bench, daemon, database};

#[test]
fn what_has_no_effect_is_named_in_the_journal_at_every_load() {
    let bench = bench();
    let daemon = daemon(&bench);
    let more = bench.path("etc/more.toml");
    fs::write(&more, database("new", "max_loss = \"1h\"")).unwrap();
    let line = daemon.says("`max_loss` ");
    assert!(line.contains("WARN") && line.contains("etc/more.toml:6:"), "{line}");
    daemon.signal(Signal::HUP);
    daemon.says_times("`max_loss` ", 2);
    bench.ok(&["reload"]);
    daemon.says_times("`max_loss` ", 3);
    fs::write(&more, database("new", "max_loss = \"1h\"\nfull = \"03:00\"")).unwrap();
    daemon.says_times("`max_loss` ", 4);
    // One that is refused is not in use, and what is in use did not change.
    fs::write(&more, database("new", "max_loss = \"1h\"\nfull = \"25:00\"")).unwrap();
    daemon.says("the configuration was rejected");
    fs::write(&more, database("new", "")).unwrap();
    daemon.says("the files are whole again");
    assert_eq!(daemon.log().iter().filter(|line| line.contains("`max_loss` ")).count(), 4);
}
