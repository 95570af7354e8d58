//! A restore by the daemon, for somebody who may not read the keys: into the database's own place and nowhere else.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::{Args, agree, show_done, show_dry, show_plan};
use crate::cli::{Global, daemon, ground, output, watching};
use crate::config;
use crate::control::{Client, Handle, Restore};
use crate::error::{Error, Kind, Result};
use crate::job::Wanted;
use crate::job::restore::{Done, Outline};
use crate::model::SecretRef;

/// The daemon, if it is the one to restore: the keys are out of this user's reach, and nothing was asked for that only somebody
/// with keys of their own may do.
///
/// # Errors
/// What was typed is no backup; the daemon does not answer.
pub(super) fn instead(args: &Args, global: &Global) -> Result<Option<Client>> {
    let keys = &args.keys;
    let elsewhere = args.to.is_some() || args.from.is_some() || args.parts.files_to.is_some();
    let only = &args.parts;
    let parts = [&only.database, &only.schema, &only.table, &only.file].iter().any(|part| !part.is_empty());
    if elsewhere || parts || args.verify || !keys.identity.is_empty() || keys.passphrase_file.is_some() {
        return Ok(None);
    }
    let wanted: Wanted = ground::typed(&args.what)?;
    match wanted.database().is_some() && out_of_reach(global) {
        true => daemon::find(global),
        false => Ok(None),
    }
}

/// Whether the configuration, or a key that it names, is there but not for this user.
fn out_of_reach(global: &Global) -> bool {
    let Ok(loaded) = config::load(&global.config) else { return unreadable(&global.config) };
    let options = || loaded.plan.encryptions.values().map(|encryption| &encryption.options);
    let secret = |secret: &SecretRef| match secret {
        SecretRef::File(path) => closed(path),
        SecretRef::Credential(_) => std::env::var_os("CREDENTIALS_DIRECTORY").is_none(),
        SecretRef::Env(_) | SecretRef::Command(_) => false,
    };
    options().flat_map(|options| &options.identity_files).any(|path| closed(path))
        || options().filter_map(|options| options.passphrase.as_ref()).any(secret)
}

/// Whether the folder of the configuration, or a file in it, is closed to this user.
fn unreadable(dir: &Path) -> bool {
    match std::fs::read_dir(dir) {
        Err(e) => e.kind() == ErrorKind::PermissionDenied,
        Ok(entries) => entries.flatten().any(|entry| closed(&entry.path())),
    }
}

fn closed(path: &Path) -> bool {
    File::open(path).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied)
}

/// Asks for the plan, shows it, asks the person, and watches the daemon restore what was agreed to.
pub(super) async fn run(daemon: &Client, args: &Args, global: &Global, cancel: CancellationToken) -> Result<()> {
    let ask = Restore { what: args.what.clone(), dry_run: true, ..Restore::default() };
    let planned = tokio::select! {
        planned = daemon.restore::<Outline>(&ask) => planned?,
        () = cancel.cancelled() => return Err(Error::interrupted()),
    };
    if args.dry_run {
        return show_dry(&planned, false, global);
    }
    if !global.json {
        show_plan(&planned)?;
        output::line("by       the daemon, since you may not read the keys")?;
    }
    planned.has_room()?;
    let overwrite = agree(&planned.plan, args)?;
    let ask = Restore {
        what: planned.backup.clone(),
        overwrite,
        agreed: Some(planned.plan.replaces.clone()),
        backup_first: args.backup_first,
        dry_run: false,
    };
    let run: Handle = daemon.restore(&ask).await?;
    let ended = watching::watch(daemon, &[run], &cancel, |_, _| Ok(())).await?;
    let ended = ended.into_iter().next().map(|(_, ended)| ended);
    let ended = watching::result(ended.ok_or_else(|| Error::new(Kind::Unavailable, "nothing was restored"))??)?;
    ended.warnings.iter().for_each(|warning| output::warn(&output::clean(warning)));
    // A daemon that forgot what exactly it did has restored all the same.
    let Some(restored) = ended.restored else { return output::line(&format!("restored {}", planned.backup)) };
    let done: Done =
        serde_json::from_value(restored).map_err(|e| Error::failed("cannot read what was restored").because(e))?;
    if global.json { output::json(&done) } else { show_done(&done) }
}
