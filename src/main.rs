//! The program: the command line, and the daemon it may start.

use std::process::ExitCode;

fn main() -> ExitCode {
    qbackd::cli::main(qbackd::daemon::serve)
}
