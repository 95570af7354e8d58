//! `qbackd delete`: delete one backup by hand.

use super::{Global, ask, ground, output, owner, signals};
use crate::error::{Error, Kind, Result};
use crate::job::{Wanted, delete};
use crate::model::Size;

/// Delete one backup.
///
/// Asks first. The manifest goes first, the data after: nobody ever sees half a
/// backup. One whose manifest is damaged can be deleted by its id.
///
/// Examples:
///   qbackd delete shop/20261120T020000Z-full-k3f9x2ab
///   qbackd delete shop/20261120T020000Z-full-k3f9x2ab --yes
///   qbackd delete shop/20261120T020000Z-full-k3f9x2ab --from offsite
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The backup: an id, or a unique beginning of one.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    /// The destination to delete it from: a name of the configuration, or a folder.
    #[arg(long, value_name = "DEST|DIR")]
    pub(super) from: Option<String>,
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
    let from = ground::place(args.from.as_deref())?;
    let plan = ground::plan(global)?;
    owner::become_owner(&plan.daemon.state_dir)?;
    signals::block_on(|cancel| async {
        let context = ground::context(plan, "delete", cancel)?;
        let planned = delete::plan(&context, from.as_ref(), &wanted).await?;
        let at = planned.at.clone();
        match (&planned.damage, planned.stored_bytes) {
            (Some(damage), _) => {
                output::tell(&format!("to delete: {at} at {}, which is damaged", planned.place()));
                output::warn(&output::clean(&damage.line()));
            }
            (None, stored) => {
                output::tell(&format!("to delete: {at} at {}, {}", planned.place(), Size(stored.unwrap_or(0))));
            }
        }
        if planned.last {
            let what = if planned.damage.is_some() { "there is no sound" } else { "it is the last" };
            output::warn(&format!("{what} backup of {} there", at.database));
        }
        ask::confirm("Delete it for ever?", args.yes)?;
        let stored_bytes = planned.stored_bytes;
        delete::delete(&context, planned).await?;
        if global.json {
            return output::json(&serde_json::json!({ "deleted": at.to_string(), "stored_bytes": stored_bytes }));
        }
        output::line(&format!("deleted {at}"))
    })
}
