//! Callers that are slow or go away hurt nobody.

use std::io::Write;
use std::os::unix::net::UnixStream;

use super::{Shop, slow};
use crate::support::daemon::Daemon;

fn dial(bench: &Shop, request: &str) -> UnixStream {
    let mut stream = UnixStream::connect(bench.path("run/control.sock")).unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
    stream
}

#[test]
fn who_does_not_read_the_progress_holds_up_neither_the_run_nor_the_end_of_the_daemon() {
    let bench = slow();
    // It says more than a socket holds.
    bench.edit("echo hello;", "head -c 30000000 /dev/zero; touch $HERE/begun; ");
    let text = bench.configuration();
    bench.set_configuration(&text);
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop", "--no-block"]);
    let deaf: Vec<_> = (0..60).map(|_| dial(&bench, "GET /v1/runs/shop/progress")).collect();
    let followers: Vec<_> = (0..2).map(|_| dial(&bench, "GET /v1/history?count=1000&follow=true")).collect();
    bench.begun();
    bench.go();
    daemon.says("shop: ok");
    assert!(bench.ok(&["status"]).contains("all fresh"));
    assert!(daemon.stop().success());
    drop((deaf, followers));
}

#[test]
fn a_caller_that_goes_away_leaves_its_run_alone() {
    let bench = slow();
    let daemon = Daemon::start(&bench);
    let mut verb = bench.begin(&["backup", "shop"]);
    bench.begun();
    verb.child.kill().unwrap();
    verb.child.wait().unwrap();
    bench.go();
    daemon.says("shop: ok");
    assert_eq!(bench.outcomes(), ["succeeded"]);
}
