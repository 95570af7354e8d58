//! `qbackd try`: proof on one screen, without any configuration.

mod compare;
mod workshop;

use std::time::{Duration, Instant};

use serde::Serialize;

use self::compare::Comparison;
use self::workshop::Workshop;
use super::{Global, ground, output, progress, report, signals};
use crate::error::{Error, Explain, Result};
use crate::job::backup::{Made, backup};
use crate::job::restore::{Order, plan, restore};
use crate::job::{Context, Place, Wanted};
use crate::model::{Manifest, Progress, Size};

/// Back something up encrypted, restore it beside, and compare.
///
/// Needs no configuration, no root and no key. Backs up a database or a folder
/// (by default a sample SQLite database that it makes), encrypted to a new key,
/// into ./qbackd-try; restores it beside; compares the two by checksums that are
/// computed from outside; and shows the commands that do the same by hand. What
/// it is pointed at is only read.
///
/// Examples:
///   qbackd try
///   qbackd try /srv/app/app.db
///   qbackd try /etc
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// An SQLite file (or its URL) or a folder; by default a sample database is made.
    #[arg(value_name = "URL|PATH")]
    what: Option<String>,
}

#[derive(Serialize)]
struct Printed<'a> {
    source: String,
    backup: report::Backup,
    restored: String,
    backup_seconds: f64,
    restore_seconds: f64,
    comparison: &'a Comparison,
    by_hand: &'a [String],
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let folder = std::path::absolute(workshop::FOLDER).explain(|| "cannot tell where this folder is")?;
    let workshop = Workshop::set_up(&folder, args.what.as_deref())?;
    signals::block_on(|cancel| async {
        let context = ground::context(workshop.plan()?, "try", cancel)?;
        let tried = there_and_back(&workshop, &context, global).await?;
        prove(&workshop, &tried, global)
    })
}

/// What was backed up and brought back, and how long each took.
struct Tried {
    manifest: Manifest,
    backup: Duration,
    restore: Duration,
}

async fn there_and_back(workshop: &Workshop, context: &Context, global: &Global) -> Result<Tried> {
    let say = |text: String| if global.json { Ok(()) } else { output::line(&text) };
    say(format!("source     {}", workshop.described()))?;

    let begun = Instant::now();
    let manifest = back_up(workshop, context).await?.manifest;
    let backup = begun.elapsed();
    let pace = |took: Duration| pace(manifest.plain_bytes(), took);
    say(format!("backed up  {} in {}", report::figures(&manifest), pace(backup)))?;
    say(format!("           encrypted to {}", workshop.recipient()))?;

    let begun = Instant::now();
    bring_back(workshop, context).await?;
    let restore = begun.elapsed();
    say(format!("restored   {} in {}", workshop.restored().display(), pace(restore)))?;
    Ok(Tried { manifest, backup, restore })
}

/// Compares what came back with its source, and shows it.
fn prove(workshop: &Workshop, tried: &Tried, global: &Global) -> Result<()> {
    let manifest = &tried.manifest;
    let comparison = compare::compare(workshop.source(), workshop.restored_source().subject())?;
    let by_hand = workshop.by_hand(manifest);
    if global.json {
        output::json(&Printed {
            source: workshop.described(),
            backup: report::Backup::new(manifest, "local"),
            restored: workshop.restored().display().to_string(),
            backup_seconds: tried.backup.as_secs_f64(),
            restore_seconds: tried.restore.as_secs_f64(),
            comparison: &comparison,
            by_hand: &by_hand,
        })?;
    } else {
        show(&comparison)?;
    }
    if !comparison.equal() {
        return Err(differs(&comparison));
    }
    if !global.json {
        output::line("\nthe same by hand, with nothing of qbackd:\n")?;
        by_hand.iter().try_for_each(|command| output::line(&format!("  {command}")))?;
        output::line(&format!("\nAll of it is in {}; remove it when you like.", workshop.folder().display()))?;
    }
    Ok(())
}

async fn back_up(workshop: &Workshop, context: &Context) -> Result<Made> {
    let database = context.database(workshop.name())?;
    let progress = Progress::default();
    progress::watch_one(&progress, backup(context, &database, None, &progress)).await
}

async fn bring_back(workshop: &Workshop, context: &Context) -> Result<()> {
    let progress = Progress::default();
    let order = Order {
        wanted: Wanted::Latest(workshop.name().clone()),
        from: Some(Place::Folder(workshop.backups())),
        keys: workshop.keys(),
        request: workshop.restore_request(),
        dry_run: false,
    };
    let planned = plan(context, order, &progress).await?;
    progress::watch_one(&progress, restore(context, planned)).await.map(drop)
}

fn show(comparison: &Comparison) -> Result<()> {
    output::line("compared   from a second connection, every value in order:\n")?;
    let verdict = |row: &compare::Row| if row.equal { "  equal" } else { "  DIFFERS" };
    let row = |row: &compare::Row| {
        vec![verdict(row).into(), row.what.clone(), report::grouped(row.count), row.sha256.clone()]
    };
    output::table(&["", "WHAT", "COUNT", "SHA-256"], comparison.rows.iter().map(row).collect())
}

fn differs(comparison: &Comparison) -> Error {
    let differing: Vec<&str> = comparison.rows.iter().filter(|row| !row.equal).map(|row| row.what.as_str()).collect();
    Error::failed("what was restored is not what was backed up")
        .because(format!("{} differ{}", differing.join(", "), if differing.len() == 1 { "s" } else { "" }))
        .hint("if the source was written to meanwhile, try one at rest; else this is a defect of qbackd: please report it")
}

/// `1.2s, 41.0 MiB/s`
fn pace(bytes: u64, took: Duration) -> String {
    let ms = took.as_millis().max(1);
    let rate = u64::try_from(u128::from(bytes) * 1000 / ms).unwrap_or(u64::MAX);
    format!("{:.1}s, {}/s", took.as_secs_f64(), Size(rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::{Connection, OpenFlags};
    use tokio_util::sync::CancellationToken;

    fn sql(path: &std::path::Path, sql: &str) {
        Connection::open_with_flags(path, OpenFlags::default()).unwrap().execute_batch(sql).unwrap();
    }

    #[test]
    fn a_row_that_came_back_another_is_told_and_fails() {
        // As much stack as the program itself has; a thread of a test has less.
        let run = || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(flip_a_row());
        };
        std::thread::Builder::new().stack_size(8 << 20).spawn(run).unwrap().join().unwrap();
    }

    async fn flip_a_row() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("shop.db");
        sql(&source, "CREATE TABLE price(id INTEGER PRIMARY KEY, cents); CREATE TABLE other(id);");
        sql(&source, "INSERT INTO price VALUES (1, 100), (2, 200);");
        let workshop = Workshop::set_up(&dir.path().join("trial"), source.to_str()).unwrap();
        let context = ground::context(workshop.plan().unwrap(), "try", CancellationToken::new()).unwrap();
        let global = Global { config: "absent".into(), socket: None, json: true, verbose: 0, quiet: 0 };
        let tried = there_and_back(&workshop, &context, &global).await.unwrap();
        prove(&workshop, &tried, &global).unwrap();

        sql(&workshop.restored(), "UPDATE price SET cents = 201 WHERE id = 2");
        let error = prove(&workshop, &tried, &global).unwrap_err();
        assert_eq!(error.line(), "what was restored is not what was backed up: price differs");
        assert!(error.remedy().unwrap().contains("defect of qbackd"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}
