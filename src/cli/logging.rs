//! Where tracing goes: stderr, as much of it as `-v` and `-q` ask for.

use rustix::fs::fstat;
use tracing_subscriber::EnvFilter;

use super::{Global, output};

/// Starts it. Whoever started one before keeps it.
pub(super) fn start(global: &Global) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter(global.verbose, global.quiet)))
        .with_writer(std::io::stderr)
        .with_ansi(output::coloured(&std::io::stderr()))
        .with_target(false)
        // A stderr that is closed is no reason to die.
        .log_internal_errors(false);
    let started = if stderr_is_the_journal() { builder.without_time().try_init() } else { builder.try_init() };
    if started.is_err() {
        tracing::debug!("a subscriber was there already");
    }
}

/// Libraries are heard from only when somebody debugs.
fn filter(verbose: u8, quiet: u8) -> &'static str {
    match (verbose, quiet) {
        (_, 2..) => "off",
        (_, 1) => "error",
        (0, 0) => "warn",
        (1, 0) => "warn,qbackd=info",
        (2, 0) => "info,qbackd=debug",
        (3.., 0) => "debug,qbackd=trace",
    }
}

/// The journal puts its own time on every line. `JOURNAL_STREAM` is the device and inode of the journal's end, so that a
/// stderr that was sent elsewhere is not taken for it (systemd.exec(5)).
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(std::io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}
