//! `qbackd list`: the backups at a destination.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Global, ground, human, output, report, signals};
use crate::error::{Error, Result};
use crate::job::{Context, Place};
use crate::model::{Clock, Name, Size, SystemClock};
use crate::repository::{Listing, Repository};

/// List backups and chains, straight from the destination.
///
/// Examples:
///   qbackd list
///   qbackd list shop
///   qbackd list --from /mnt/rescued/backups
///   qbackd list shop --from offsite --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Of this database only.
    pub(super) name: Option<Name>,
    /// The destination to ask: a name of the configuration, a folder, or SERVICE://BUCKET/ROOT?option=value.
    #[arg(long, value_name = "DEST|URL|DIR")]
    pub(super) from: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Printed {
    /// Published and sound, oldest first.
    backups: Vec<report::Backup>,
    /// Published, with a manifest that cannot be used.
    damaged: Vec<Damaged>,
    /// Running now, or left by a run that died.
    unfinished: Vec<Found>,
    /// What lies among backups and is none.
    strangers: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Damaged {
    id: String,
    destination: String,
    error: String,
}

#[derive(Debug, Serialize)]
struct Found {
    path: String,
    destination: String,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let from = ground::place(args.from.as_deref())?;
    let plan = ground::plan_to_read(global, from.as_ref())?;
    signals::block_on(|cancel: CancellationToken| async {
        let (context, _guard) = ground::context_to_read(plan, "list", cancel)?;
        let (printed, failures) = gather(&context, from.as_ref(), args.name.as_ref()).await;
        // A database that is gone from the files may still have backups; a name that nobody knows is a typing error.
        if let (Some(name), true, None) = (&args.name, printed.is_empty() && failures.is_empty(), &from) {
            context.database(name)?;
        }
        if !printed.backups.is_empty() || failures.is_empty() || global.json {
            show(&printed, &context, global)?;
        }
        failures.into_iter().next().map_or(Ok(()), Err)
    })
}

/// Asks every place. One that does not answer hides no other.
async fn gather(context: &Context, from: Option<&Place>, name: Option<&Name>) -> (Printed, Vec<Error>) {
    let (mut printed, mut failures) = (Printed::default(), Vec::new());
    let (expected, others) = (context.places(from, name), context.other_places(from, name));
    let places = expected.into_iter().map(|place| (place, true)).chain(others.into_iter().map(|place| (place, false)));
    for (place, is_expected) in places {
        let listed = async {
            let repository = context.open(&place)?;
            Ok::<_, Error>((repository.label().to_owned(), repository.list(name).await?))
        };
        match listed.await {
            Ok((destination, listing)) => printed.add(destination, listing),
            Err(e) if is_expected => failures.push(e),
            Err(e) => output::warn(&e.line()),
        }
    }
    (printed, failures)
}

impl Printed {
    fn is_empty(&self) -> bool {
        self.backups.is_empty() && self.damaged.is_empty() && self.unfinished.is_empty()
    }

    fn add(&mut self, destination: String, listing: Listing) {
        let at = || destination.clone();
        self.backups.extend(listing.backups.iter().map(|manifest| report::Backup::new(manifest, &destination)));
        self.damaged.extend(listing.damaged.iter().map(|(id, e)| Damaged {
            id: id.to_string(),
            destination: at(),
            error: e.line(),
        }));
        self.unfinished.extend(listing.unfinished.iter().map(|id| Found { path: id.to_string(), destination: at() }));
        self.strangers.extend(listing.strangers.into_iter().map(|path| Found { path, destination: at() }));
    }
}

fn show(printed: &Printed, context: &Context, global: &Global) -> Result<()> {
    if global.json {
        return output::json(printed);
    }
    let now = SystemClock.now();
    if printed.backups.is_empty() {
        output::tell("there is no backup");
    } else {
        let row = |b: &report::Backup| {
            vec![
                b.id.clone(),
                b.kind.to_string(),
                human::ago(b.started, now),
                Size(b.plain_bytes).to_string(),
                Size(b.stored_bytes).to_string(),
                context.called(&b.destination),
            ]
        };
        output::table(&["BACKUP", "TYPE", "AGE", "SIZE", "STORED", "AT"], printed.backups.iter().map(row).collect())?;
    }
    for damaged in &printed.damaged {
        output::warn(&output::clean(&damaged.error));
    }
    if !printed.damaged.is_empty() {
        let count = output::count(printed.damaged.len(), "damaged backup");
        output::warn(&format!("{count}; `qbackd delete ID` removes one"));
    }
    for unfinished in &printed.unfinished {
        output::tell(&format!(
            "{} at {}: not complete: a run is making it, or died",
            unfinished.path, unfinished.destination
        ));
    }
    for stranger in &printed.strangers {
        output::tell(&format!(
            "{} at {}: not ours; it is left alone",
            output::clean(&stranger.path),
            stranger.destination
        ));
    }
    Ok(())
}
