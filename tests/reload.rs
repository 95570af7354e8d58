//! The daemon takes over an edit of its files, whole or not at all, in whatever way they change.

mod diff;
mod files;
mod kept;
mod random;
mod rejected;
mod warned;

use qbackd::control::{Client, Status};

use crate::support::bench::Bench;
use crate::support::daemon::Daemon;
use crate::support::fixture::{CommandFixture, Fixture};

/// A bench whose database is made by a command and has no schedule.
fn bench() -> Bench<CommandFixture> {
    Bench::new()
}

/// A daemon that also tells what it finds by looking.
fn daemon<F: Fixture>(bench: &Bench<F>) -> Daemon {
    Daemon::run(bench, bench.command(&["-v", "daemon"]))
}

/// A file with one more database, which is dumped by `echo`; `more` are keys of it.
fn database(name: &str, more: &str) -> String {
    format!(
        "[database.{name}]\nengine = \"command\"\npolicy = \"plain\"\ndump = [\"echo\", \"{name}\"]\nrestore = [\"true\"]\n{more}\n"
    )
}

/// The status, as the running daemon tells it.
fn status<F: Fixture>(bench: &Bench<F>) -> Status {
    status_at(bench, "run/control.sock")
}

fn status_at<F: Fixture>(bench: &Bench<F>, socket: &str) -> Status {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let socket = bench.path(socket);
    runtime.block_on(async move { Client::connect(&socket).await.unwrap().unwrap().status(&[]).await.unwrap() })
}

/// The names of the databases that the daemon knows.
fn known<F: Fixture>(bench: &Bench<F>) -> Vec<String> {
    let mut names: Vec<String> = status(bench).databases.iter().map(|database| database.name.to_string()).collect();
    names.sort();
    names
}
