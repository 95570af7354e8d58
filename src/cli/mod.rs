//! The command line, one file a verb. What a verb does can be done without it: here arguments are read and results shown.

pub mod ask;
mod backup;
mod cancel;
mod change;
mod check;
mod completions;
mod daemon;
mod delete;
mod diff;
mod download;
mod ground;
mod history;
mod human;
mod init;
mod keygen;
mod keys;
mod later;
mod list;
mod logging;
mod notify;
mod output;
pub mod owner;
mod pause;
pub mod progress;
mod prune;
mod reload;
mod report;
mod reset_failed;
mod restore;
mod resume;
mod serve;
mod show;
pub mod signals;
mod status;
mod r#try;
mod verify;
mod watching;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};

pub use serve::Serve;

use crate::error::{Kind, Result};

const ABOUT: &str = "qbackd backs up databases: it dumps with the database's own tools, compresses, encrypts, stores, and \
                     proves that it can be brought back.";

const AFTER_HELP: &str = "\
Exit codes:
  0   done
  1   failed
  2   the command line makes no sense
  3   degraded (status)
  69  something needed is not there: a server, a tool, a part that is not built
  75  try again later: somebody else works on the same thing
  77  not permitted
  78  the configuration is wrong
  130, 143  ended by Ctrl-C or SIGTERM

With --json exactly one document goes to stdout. If the verb failed before it
had a result that is {\"error\": {\"kind\", \"message\", \"hint\", \"exit_code\"}}.
Messages for people go to stderr.

First steps:
  qbackd try                     see it work, without any configuration
  qbackd init                    write a first configuration
  qbackd check                   see whether it is right
  qbackd backup --all            make backups
  qbackd status                  see where they stand
  qbackd restore shop --dry-run  see how they would come back";

#[derive(Debug, Parser)]
#[command(name = "qbackd", version, about = ABOUT, after_help = AFTER_HELP, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Everywhere")]
struct Global {
    /// The folder of the configuration.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "QBACKD_CONFIG",
        hide_env_values = true,
        default_value = "/etc/qbackd"
    )]
    config: PathBuf,
    /// The socket of the daemon, instead of what the configuration says.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print one JSON document for programs.
    #[arg(long, global = true)]
    json: bool,
    /// Tell more on stderr; twice: for debugging.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Tell errors only; twice: nothing.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    quiet: u8,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Try(r#try::Args),
    Daemon(serve::Args),
    Init(init::Args),
    Check(check::Args),
    Diff(diff::Args),
    Reload(reload::Args),
    Status(status::Args),
    Backup(backup::Args),
    Cancel(cancel::Args),
    List(list::Args),
    Show(show::Args),
    History(history::Args),
    Restore(Box<restore::Args>),
    Download(download::Args),
    Verify(verify::Args),
    Delete(delete::Args),
    Notify(notify::Args),
    Prune(prune::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    ResetFailed(reset_failed::Args),
    Keygen(keygen::Args),
    Completions(completions::Args),
}

/// Runs the program with the arguments of this process; `serve` is the daemon.
pub fn main(serve: Serve) -> ExitCode {
    run(std::env::args_os(), serve)
}

fn run(args: impl IntoIterator<Item = OsString>, serve: Serve) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    logging::start(&cli.global, u8::from(matches!(cli.verb, Verb::Daemon(_))));
    match dispatch(&cli, serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = signals::exit_code(&error);
            // A status that is not well was shown, and says so itself.
            if error.kind() != Kind::Degraded {
                output::error(&error, code, cli.global.json);
            }
            ExitCode::from(code)
        }
    }
}

fn dispatch(cli: &Cli, serve: Serve) -> Result<()> {
    let global = &cli.global;
    match &cli.verb {
        Verb::Try(args) => r#try::run(args, global),
        Verb::Daemon(args) => serve::run(args, global, serve),
        Verb::Init(args) => init::run(args, global),
        Verb::Check(args) => check::run(args, global),
        Verb::Diff(args) => diff::run(args, global),
        Verb::Reload(args) => reload::run(args, global),
        Verb::Status(args) => status::run(args, global),
        Verb::Backup(args) => backup::run(args, global),
        Verb::Cancel(args) => cancel::run(args, global),
        Verb::List(args) => list::run(args, global),
        Verb::Show(args) => show::run(args, global),
        Verb::History(args) => history::run(args, global),
        Verb::Restore(args) => restore::run(args, global),
        Verb::Download(args) => download::run(args, global),
        Verb::Verify(args) => verify::run(args, global),
        Verb::Delete(args) => delete::run(args, global),
        Verb::Notify(args) => notify::run(args, global),
        Verb::Prune(args) => prune::run(args, global),
        Verb::Pause(args) => pause::run(args, global),
        Verb::Resume(args) => resume::run(args, global),
        Verb::ResetFailed(args) => reset_failed::run(args, global),
        Verb::Keygen(args) => keygen::run(args, global),
        Verb::Completions(args) => completions::run(args),
    }
}

/// What clap has to say: help, the version, or what is wrong with the arguments.
fn refuse(error: &clap::Error) -> ExitCode {
    if let Some(later) = later::verb(error) {
        output::error(&later, later.exit_code(), false);
        return ExitCode::from(later.exit_code());
    }
    // Whoever closed the terminal does not want to read it.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_of_every_verb_make_sense_to_clap() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_explains_itself_with_examples() {
        for verb in Cli::command().get_subcommands() {
            let long = verb.get_long_about().unwrap_or_default().to_string();
            assert!(long.contains("Examples:") && long.contains("  qbackd "), "{}: {long}", verb.get_name());
        }
    }

    #[test]
    fn a_verb_that_is_here_is_not_named_as_one_to_come() {
        for verb in Cli::command().get_subcommands() {
            assert!(later::comes_with(verb.get_name()).is_none(), "{}", verb.get_name());
        }
    }
}
