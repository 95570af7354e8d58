//! The keys that open backups, as verbs that read them take them.

use std::path::PathBuf;

/// Where the keys are, if not where the configuration says.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Keys")]
pub(super) struct KeyArgs {
    /// A file of age identities or an ssh private key; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(super) identity: Vec<PathBuf>,
    /// A file with the passphrase of backups that are encrypted to one.
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
}
