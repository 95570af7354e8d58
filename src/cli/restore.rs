//! `qbackd restore`: bring data back.

mod by_daemon;

use std::path::PathBuf;

use serde::Serialize;

use super::keys::KeyArgs;
use super::{Global, ask, ground, human, output, progress, signals};
use crate::engine::{RestorePlan, RestoreRequest, Selection};
use crate::error::{Error, Kind, Result};
use crate::job::Context;
use crate::job::backup::backup;
use crate::job::restore::{Done, Order, Outline, Planned, plan, restore};
use crate::model::{Clock, Progress, Size, SystemClock};

/// Bring data back.
///
/// Shows a plan first (which backup, how large, where to, whether there is room,
/// what is overwritten) and asks before it overwrites anything. What is restored
/// lies beside until it is complete and checked, then takes its place by a
/// rename. Works on a bare machine too: it needs this program, a destination and
/// a key. A member of the database's `owner` group who cannot read the key has the
/// daemon restore, into the database's own place and nowhere else.
///
/// Examples:
///   qbackd restore shop --dry-run
///   qbackd restore shop --to /tmp/shop.db
///   qbackd restore shop@latest --overwrite --backup-first
///   qbackd restore www --file etc/app.conf --to /tmp/www
///   qbackd restore shop --from /mnt/rescued/backups --identity ./identity.txt --to ./shop.db
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// A database (its newest backup) or a backup: an id, a unique beginning of one, NAME@latest.
    #[arg(value_name = "NAME|ID")]
    pub(super) what: String,
    #[command(flatten)]
    pub(super) point: Point,
    /// Restore to here instead of where it came from.
    #[arg(long, value_name = "URL|PATH")]
    pub(super) to: Option<String>,
    /// The destination to read from: a name of the configuration, a folder, or SERVICE://BUCKET/ROOT?option=value.
    #[arg(long, value_name = "DEST|URL|DIR")]
    pub(super) from: Option<String>,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// A file with the password of a server the configuration does not know.
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) parts: Parts,
    #[command(flatten)]
    pub(super) how: How,
    /// Show the plan and change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// With --dry-run: read and decode everything the restore would read.
    #[arg(long, requires = "dry_run")]
    pub(super) verify: bool,
    /// Overwrite what is there.
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Back up the database before it is overwritten.
    #[arg(long, conflicts_with_all = ["to", "files_to"])]
    pub(super) backup_first: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// Up to when or where; needs an archived log.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Point in time")]
pub(super) struct Point {
    /// Up to this time.
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// Up to this position of PostgreSQL's log.
    #[arg(long, value_name = "LSN")]
    pub(super) lsn: Option<String>,
    /// Up to this transaction of MySQL or MariaDB.
    #[arg(long, value_name = "GTID")]
    pub(super) gtid: Option<String>,
    /// Up to this named restore point of PostgreSQL.
    #[arg(long, value_name = "NAME")]
    pub(super) restore_point: Option<String>,
}

/// Which parts of the backup; each may be given several times.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Parts")]
pub(super) struct Parts {
    /// This database of a server only.
    #[arg(long, value_name = "NAME")]
    pub(super) database: Vec<String>,
    /// This schema only.
    #[arg(long, value_name = "NAME")]
    pub(super) schema: Vec<String>,
    /// This table only.
    #[arg(long, value_name = "NAME")]
    pub(super) table: Vec<String>,
    /// This file or folder of the archived files only.
    #[arg(long, value_name = "PATH")]
    pub(super) file: Vec<String>,
    /// Put the archived files below this folder.
    #[arg(long, value_name = "DIR")]
    pub(super) files_to: Option<PathBuf>,
    /// Leave the archived files out.
    #[arg(long, conflicts_with_all = ["file", "files_to"])]
    pub(super) no_files: bool,
    /// Roles and tablespaces of the server as well.
    #[arg(long)]
    pub(super) globals: bool,
}

/// How a server takes it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Servers")]
pub(super) struct How {
    /// Leave owners and grants out.
    #[arg(long)]
    pub(super) no_owner: bool,
    /// Have everything belong to this role.
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Option<String>,
    /// Create the database on the server.
    #[arg(long)]
    pub(super) create: bool,
}

#[derive(Serialize)]
struct PrintedPlan<'a> {
    #[serde(flatten)]
    outline: &'a Outline,
    verified: bool,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    not_built(args)?;
    if let Some(daemon) = by_daemon::instead(args, global)? {
        return signals::block_on_looking(|cancel| async move { by_daemon::run(&daemon, args, global, cancel).await });
    }
    let from = ground::place(args.from.as_deref())?;
    let files = &ground::plan_to_read(global, from.as_ref())?;
    let order = Order {
        wanted: ground::typed(&args.what)?,
        from,
        keys: ground::given(&args.keys)?,
        request: request(args)?,
        dry_run: args.dry_run,
    };
    signals::block_on(|cancel| async {
        let (context, _guard) = if args.backup_first {
            // It writes: a backup that is recorded nowhere is not made.
            (ground::context(files.clone(), "restore", cancel)?, None)
        } else {
            ground::context_to_read(files.clone(), "restore", cancel)?
        };
        let progress = Progress::default();
        let mut planned = progress::watch_one(&progress, plan(&context, order, &progress)).await?;
        if args.dry_run {
            return dry_run(&context, &planned, args.verify, &progress, global).await;
        }
        if !global.json {
            show_plan(&planned.outline())?;
        }
        planned.has_room(&context)?;
        if agree(&planned.plan, args)? {
            planned.agree_to_overwrite();
        }
        if args.backup_first && !planned.plan.replaces.is_empty() {
            first(&context, &planned).await?;
        }
        let done = progress::watch_one(&progress, restore(&context, planned)).await?;
        if global.json { output::json(&done) } else { show_done(&done) }
    })
}

fn request(args: &Args) -> Result<RestoreRequest> {
    let files_to = args.parts.files_to.as_ref().map(|path| path.display().to_string());
    if args.to.is_some() && files_to.is_some() {
        return Err(Error::new(Kind::Usage, "--to and --files-to both say where the files go").hint("give one of them"));
    }
    Ok(RestoreRequest {
        to: args.to.clone().or(files_to),
        at: None,
        only: Selection {
            databases: args.parts.database.clone(),
            schemas: args.parts.schema.clone(),
            tables: args.parts.table.clone(),
            files: args.parts.file.clone(),
        },
        overwrite: args.overwrite,
    })
}

/// What the program understands but has nothing yet that could do it.
fn not_built(args: &Args) -> Result<()> {
    let point = &args.point;
    let later = [
        (
            "a restore to a point in time",
            [&point.at, &point.lsn, &point.gtid, &point.restore_point].iter().any(|given| given.is_some()),
        ),
        ("--password-file", args.password_file.is_some()),
        ("--globals", args.parts.globals),
        ("--no-files", args.parts.no_files),
        ("--no-owner", args.how.no_owner),
        ("--role", args.how.role.is_some()),
        ("--create", args.how.create),
    ];
    match later.iter().find(|(_, given)| *given) {
        Some((what, _)) => {
            Err(Error::new(Kind::Unavailable, format!("{what} comes with the engines of servers, which are not built")))
        }
        None => Ok(()),
    }
}

async fn dry_run(
    context: &Context,
    planned: &Planned,
    verify: bool,
    progress: &Progress,
    global: &Global,
) -> Result<()> {
    if verify {
        progress::watch_one(progress, planned.rehearse(context)).await?;
    }
    show_dry(&planned.outline(), verify, global)
}

fn show_dry(outline: &Outline, verify: bool, global: &Global) -> Result<()> {
    if global.json {
        output::json(&PrintedPlan { outline, verified: verify })?;
        return outline.has_room();
    }
    show_plan(outline)?;
    outline.has_room()?;
    output::line(if verify {
        "\nevery byte was read, opened and compared; nothing was changed"
    } else {
        "\nnothing was changed"
    })
}

fn show_plan(outline: &Outline) -> Result<()> {
    let Outline { backup, from, started, holds, plan, .. } = outline;
    output::line(&format!("restore  {backup} from {from}"))?;
    output::line(&format!("made     {} ({})", human::local(*started), human::ago(*started, SystemClock.now())))?;
    output::line(&format!("holds    {holds}"))?;
    output::line(&format!("to       {}", output::clean(&plan.target)))?;
    for need in &plan.needs {
        let folder = output::clean(&need.folder.display().to_string());
        output::line(&format!("needs    {} in {folder}, {} free", Size(need.bytes), Size(need.free)))?;
    }
    for (number, step) in plan.steps.iter().enumerate() {
        output::line(&format!(
            "{}  {}. {}",
            if number == 0 { "steps  " } else { "       " },
            number + 1,
            output::clean(step)
        ))?;
    }
    for replaced in &plan.replaces {
        output::line(&format!(
            "REPLACES {}{}",
            output::clean(replaced),
            if plan.atomic { "" } else { " (in place: it is lost from the first byte on)" }
        ))?;
    }
    for session in &plan.sessions {
        output::line(&format!("IN USE   {}", output::clean(session)))?;
    }
    plan.notes.iter().try_for_each(|note| output::line(&format!("note     {}", output::clean(note))))
}

/// Nothing that exists is replaced unless somebody said so: by `--overwrite`, by `--yes`, or at the terminal. Gives whether
/// something will be.
fn agree(plan: &RestorePlan, args: &Args) -> Result<bool> {
    if plan.replaces.is_empty() {
        return Ok(false);
    }
    if !args.overwrite && !args.yes {
        ask::confirm("Replace what is there?", false)?;
    } else if !args.yes {
        ask::confirm("Go on?", false)?;
    }
    Ok(true)
}

/// `--backup-first`: what is there now can be had back.
async fn first(context: &Context, planned: &Planned) -> Result<()> {
    let database = context.database(&planned.manifest().database)?;
    let progress = Progress::default();
    let made = progress::watch_one(&progress, backup(context, &database, None, &progress)).await;
    let made = made.map_err(|e| e.during("nothing was restored, since what is there could not be backed up first"))?;
    output::tell(&format!("what was there is {} at {}", made.manifest.reference(), made.destination));
    Ok(())
}

fn show_done(done: &Done) -> Result<()> {
    output::line(&format!("\nrestored {} to {}", done.backup, output::clean(&done.restored.target)))?;
    for check in &done.restored.checks {
        output::line(&format!("  {}", output::clean(check)))?;
    }
    done.restored
        .warnings
        .iter()
        .try_for_each(|warning| output::line(&format!("  warning: {}", output::clean(warning))))
}
