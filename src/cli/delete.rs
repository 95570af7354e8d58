//! `qbackd delete`: delete one backup by hand.

use super::{Global, ask, ground, output, owner, signals};
use crate::error::{Error, Kind, Result};
use crate::job::{Wanted, delete};
use crate::model::Size;

/// Delete one backup.
///
/// Asks first. The manifest goes first, the data after: nobody ever sees half a
/// backup.
///
/// Examples:
///   qbackd delete shop/20261120T020000Z-full-k3f9x2ab
///   qbackd delete shop/20261120T020000Z-full-k3f9x2ab --yes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The backup: an id, or a unique beginning of one.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    /// The incrementals that build on it as well.
    #[arg(long)]
    pub(super) with_children: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if args.with_children {
        return Err(Error::new(
            Kind::Unavailable,
            "`delete --with-children` comes with incremental backups, which are not built",
        ));
    }
    let wanted: Wanted = ground::typed(&args.id)?;
    if matches!(wanted, Wanted::Latest(_)) && !args.id.ends_with("@latest") {
        return Err(Error::new(Kind::Usage, format!("`{}` is a database, not a backup", args.id))
            .hint(format!("give an id as `qbackd list` shows them, or {}@latest", args.id)));
    }
    let plan = ground::plan(global)?;
    owner::become_owner(&plan.daemon.state_dir)?;
    signals::block_on(|cancel| async {
        let context = ground::context(plan, "delete", cancel)?;
        let planned = delete::plan(&context, None, &wanted).await?;
        let (at, stored) = (planned.manifest.reference(), Size(planned.manifest.stored_bytes()));
        output::tell(&format!("to delete: {at} at {}, {stored}", planned.at()));
        if planned.last {
            output::warn(&format!("it is the last backup of {} there", at.database));
        }
        ask::confirm("Delete it for ever?", args.yes)?;
        let gone = delete::delete(&context, planned).await?;
        if global.json {
            return output::json(
                &serde_json::json!({ "deleted": gone.reference().to_string(), "stored_bytes": gone.stored_bytes() }),
            );
        }
        output::line(&format!("deleted {}", gone.reference()))
    })
}
