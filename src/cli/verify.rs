//! `qbackd verify`: whether a stored backup is whole.

use clap::ValueEnum;

use super::keys::KeyArgs;
use super::{Global, ground, output, progress, signals};
use crate::error::Result;
use crate::job::{Wanted, verify};
use crate::model::Progress;

/// Prove that a stored backup is whole.
///
/// `checksum` reads what is stored and needs no key; `decode` decrypts,
/// decompresses, compares with what was backed up and lets the database's tool
/// parse it; `restore` brings it back into a scratch instance.
///
/// Examples:
///   qbackd verify shop
///   qbackd verify shop@latest --level decode --identity ./identity.txt
///   qbackd verify shop --from /mnt/rescued/backups
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// A database (its newest backup) or a backup: an id, a unique beginning of one, NAME@latest.
    #[arg(value_name = "NAME|ID")]
    pub(super) what: String,
    /// How much is proven.
    #[arg(long, value_enum, default_value_t = Level::Checksum)]
    pub(super) level: Level,
    /// The destination to read from: a name of the configuration, a folder, or SERVICE://BUCKET/ROOT?option=value.
    #[arg(long, value_name = "DEST|URL|DIR")]
    pub(super) from: Option<String>,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

/// How much a verify proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// What is stored is what was stored.
    Checksum,
    /// It can be decrypted and read.
    Decode,
    /// It can be restored.
    Restore,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let from = ground::place(args.from.as_deref())?;
    let wanted: Wanted = ground::typed(&args.what)?;
    let keys = ground::given(&args.keys)?;
    let plan = ground::plan_to_read(global, from.as_ref())?;
    let level = match args.level {
        Level::Checksum => verify::Level::Checksum,
        Level::Decode => verify::Level::Decode,
        Level::Restore => verify::Level::Restore,
    };
    signals::block_on(|cancel| async {
        let (context, _guard) = ground::context_to_read(plan, "verify", cancel)?;
        let progress = Progress::default();
        let work = verify::verify(&context, from.as_ref(), &wanted, level, &keys, &progress);
        let proof = progress::watch_one(&progress, work).await?;
        if global.json {
            return output::json(&proof);
        }
        output::line(&format!("{} at {}: proven", proof.backup, proof.at))?;
        proof.checks.iter().try_for_each(|check| output::line(&format!("  {}", output::clean(check))))
    })
}
