//! `qbackd delete`: delete one backup by hand.

use super::{Global, ask, daemon, ground, output, owner, signals};
use crate::control::{Client, Delete, Deleted, ToDelete};
use crate::error::{Error, Kind, Result};
use crate::job::{Place, Wanted, delete};
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
    // A folder is the caller's own business, with the caller's own rights.
    let daemon = if matches!(from, Some(Place::Folder(_))) { None } else { daemon::find(global)? };
    if let Some(daemon) = daemon {
        return signals::block_on_looking(|cancel| async move {
            tokio::select! {
                done = through(&daemon, from, args, global) => done,
                () = cancel.cancelled() => {
                    Err(Error::interrupted().hint("if the daemon was told to delete it by then, it does"))
                }
            }
        });
    }
    let plan = ground::plan(global)?;
    owner::become_owner(&plan.daemon.state_dir)?;
    signals::block_on(|cancel| async {
        let context = ground::context(plan, "delete", cancel)?;
        let planned = delete::plan(&context, from.as_ref(), &wanted).await?;
        agree(&planned.told(), args)?;
        show(&delete::delete(&context, planned).await?, global)
    })
}

/// The daemon deletes, what was shown and nothing else.
async fn through(daemon: &Client, from: Option<Place>, args: &Args, global: &Global) -> Result<()> {
    let named = from.and_then(|place| if let Place::Destination(name) = place { Some(name) } else { None });
    let ask = Delete { id: args.id.clone(), from: named, with_children: false, dry_run: true };
    let planned: ToDelete = daemon.delete(&ask).await?;
    agree(&planned, args)?;
    let at = planned.at.parse().map_err(|_| Error::failed(format!("{} is no destination", planned.at)))?;
    let deleted: Deleted =
        daemon.delete(&Delete { id: planned.to_delete, from: Some(at), dry_run: false, ..ask }).await?;
    show(&deleted, global)
}

fn agree(planned: &ToDelete, args: &Args) -> Result<()> {
    let ToDelete { to_delete, at, .. } = planned;
    match &planned.damage {
        Some(damage) => {
            output::tell(&format!("to delete: {to_delete} at {at}, which is damaged"));
            output::warn(&output::clean(damage));
        }
        None => output::tell(&format!("to delete: {to_delete} at {at}, {}", Size(planned.stored_bytes.unwrap_or(0)))),
    }
    if planned.last {
        let what = if planned.damage.is_some() { "there is no sound" } else { "it is the last" };
        output::warn(&format!("{what} backup of {} there", planned.database));
    }
    ask::confirm("Delete it for ever?", args.yes)
}

fn show(deleted: &Deleted, global: &Global) -> Result<()> {
    if global.json { output::json(deleted) } else { output::line(&format!("deleted {}", deleted.deleted)) }
}
