//! `qbackd completions`: what a shell needs to complete our verbs and flags.

use clap::{CommandFactory, ValueEnum};
use clap_complete::{generate, shells};

use super::{Cli, output};
use crate::error::Result;

/// Print completions for a shell.
///
/// Examples:
///   qbackd completions bash > /etc/bash_completion.d/qbackd
///   qbackd completions zsh > /usr/local/share/zsh/site-functions/_qbackd
///   qbackd completions fish > ~/.config/fish/completions/qbackd.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Result<()> {
    let (mut command, mut script) = (Cli::command(), Vec::new());
    match args.shell {
        Shell::Bash => generate(shells::Bash, &mut command, "qbackd", &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, "qbackd", &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, "qbackd", &mut script),
    }
    output::write(&script)
}
