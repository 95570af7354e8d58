//! `qbackd history`: the runs, what each of them said, and what people did among them.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Global, daemon, human, output, signals};
use crate::config;
use crate::control::{self, Client, Entry};
use crate::error::{Error, Kind, Result};
use crate::history::{Action, Filter, Item, Line, Reader, Run, StateDir};
use crate::model::{Clock, Outcome, Size, SystemClock};

/// Show the runs: when, how long, how big, how they ended, who asked; and among
/// them what else people did: pauses, cancellations, reloads.
///
/// With the id of a run, or the beginning of it if that is unique: everything
/// about it and its own lines. Runs of every kind are here, also those that
/// failed before they had begun. With -f and --json every run (or action, or
/// line) is a document on a line of its own.
///
/// Examples:
///   qbackd history
///   qbackd history shop -n 5
///   qbackd history 20261120T020000Z-db1-k3f9x2ab
///   qbackd history -f
///   qbackd history shop --json | jq -r '.runs | first | .outcome'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// A database or a run.
    #[arg(value_name = "NAME|RUN")]
    what: Option<String>,
    /// How many runs to show.
    #[arg(short = 'n', value_name = "COUNT", default_value_t = 50)]
    count: usize,
    /// Go on and show what is added.
    #[arg(short, long)]
    follow: bool,
}

/// How often a history that is followed is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What is asked about.
enum Subject {
    Runs(Filter),
    One(Box<Run>),
}

/// The history and the locks that tell which runs live.
struct Book {
    state: StateDir,
    reader: Reader,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if let Some(daemon) = daemon::find(global)? {
        return signals::block_on_looking(|cancel| async move {
            tokio::select! {
                told = through(&daemon, args, global) => told,
                () = cancel.cancelled() => Ok(()),
            }
        });
    }
    let Some(book) = Book::open(global)? else {
        return nothing(args, global);
    };
    match (book.subject(args.what.as_deref())?, args.follow) {
        (Subject::Runs(filter), false) => show_items(book.reader.page(&book.state, &[filter], args.count)?, global),
        (Subject::One(run), false) => show_one(&run, &book.reader.lines(&run.id, 0)?, global),
        (Subject::Runs(filter), true) => {
            signals::block_on_looking(|cancel| follow_runs(&book, filter, args.count, global, cancel))
        }
        (Subject::One(run), true) => signals::block_on_looking(|cancel| follow_one(&book, *run, global, cancel)),
    }
}

/// What the daemon tells: runs, or one run and its lines, and what is added to them.
async fn through(daemon: &Client, args: &Args, global: &Global) -> Result<()> {
    let ask = control::History { what: args.what.clone(), count: args.count, follow: args.follow };
    let mut told = daemon.history::<Run, Action, Line>(&ask).await?;
    let (mut items, mut lines) = (Vec::new(), Vec::new());
    // A run that was asked for by its id is told before its lines; everything else is the runs of a database, or of all.
    let by_id = |run: &Run| args.what.as_ref().is_some_and(|what| run.database.as_str() != what);
    while let Some(entry) = told.next().await? {
        match entry {
            Entry::Error(problem) => return Err(problem.into()),
            Entry::Run(run) if args.follow => match by_id(&run) {
                false => follow_run(&run, global)?,
                true if !items.is_empty() => return follow_end(&run, global),
                true => {
                    if !global.json {
                        head(&run)?;
                    }
                    items.push(Item::run(run));
                }
            },
            Entry::Action(action) if args.follow => follow_action(&action, global)?,
            Entry::Line(line) if args.follow => follow_line(&line, global)?,
            Entry::Run(run) => items.push(Item::run(run)),
            Entry::Action(action) => items.push(Item::Action(action)),
            Entry::Line(line) => lines.push(line),
        }
        if output::stdout_is_gone() {
            return Ok(());
        }
    }
    if args.follow {
        return Err(Error::new(Kind::Unavailable, "the daemon ended").hint("`systemctl status qbackd` tells how it is"));
    }
    match items.first() {
        Some(Item::Run(run)) if by_id(run) => show_one(run, &lines, global),
        _ => show_items(items, global),
    }
}

impl Book {
    /// `None` if no run was ever recorded.
    fn open(global: &Global) -> Result<Option<Self>> {
        // A mistake somewhere in the files must not hide what happened.
        let path = config::daemon(&global.config).state_dir;
        if matches!(std::fs::symlink_metadata(&path), Err(e) if e.kind() == std::io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let state = StateDir::open(&path)?;
        Ok(Reader::open(&state)?.map(|reader| Self { state, reader }))
    }

    /// A word can be both: a database may be called `2026`. What something is recorded of wins.
    fn subject(&self, what: Option<&str>) -> Result<Subject> {
        let Some(what) = what else { return Ok(Subject::Runs(Filter::default())) };
        let filter = what.parse().ok().map(|name| Filter { database: Some(name) });
        if let Some(filter) = filter
            && self.reader.knows(&filter)?
        {
            return Ok(Subject::Runs(filter));
        }
        self.reader
            .run(what)
            .and_then(|run| self.reader.settled(&self.state, run))
            .map(|run| Subject::One(Box::new(run)))
            .map_err(
                |e| {
                    if e.kind() == Kind::NotFound && !e.line().contains("more than one") { unknown(what) } else { e }
                },
            )
    }
}

fn unknown(what: &str) -> Error {
    Error::new(Kind::NotFound, format!("no run of a database `{what}` is recorded, and no run begins so"))
        .hint("`qbackd history` lists the runs")
}

fn nothing(args: &Args, global: &Global) -> Result<()> {
    match &args.what {
        Some(what) => Err(unknown(what)),
        None => show_items(Vec::new(), global),
    }
}

/// The newest first.
#[derive(Default, Serialize)]
struct Recorded {
    runs: Vec<Run>,
    actions: Vec<Action>,
}

#[derive(Serialize)]
struct One<'a> {
    run: &'a Run,
    lines: &'a [Line],
}

/// Shows what comes oldest first the other way round.
fn show_items(items: Vec<Item>, global: &Global) -> Result<()> {
    if global.json {
        let mut recorded = Recorded::default();
        items.into_iter().rev().for_each(|item| match item {
            Item::Run(run) => recorded.runs.push(*run),
            Item::Action(action) => recorded.actions.push(action),
        });
        return output::json(&recorded);
    }
    if items.is_empty() {
        output::tell("no run is recorded yet");
        return Ok(());
    }
    let now = SystemClock.now();
    let shown = |item: &Item| match item {
        Item::Run(run) => row(run, now),
        Item::Action(action) => action_row(action),
    };
    output::table(&HEADER, items.iter().rev().map(shown).collect())
}

const HEADER: [&str; 9] = ["RUN", "DATABASE", "KIND", "STARTED", "TOOK", "SIZE", "OUTCOME", "BY", "TEXT"];

fn row(run: &Run, now: Timestamp) -> Vec<String> {
    vec![
        run.id.to_string(),
        run.database.to_string(),
        run.kind.to_string(),
        human::local(run.started),
        length(run, now),
        run.stored_bytes.map_or_else(String::new, |bytes| Size(bytes).to_string()),
        outcome(run).to_owned(),
        run.initiated_by.clone(),
        run.error.clone().unwrap_or_default(),
    ]
}

/// What somebody did, in the columns of a run.
fn action_row(action: &Action) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        or_none(action.run.as_ref().map(ToString::to_string)),
        or_none(action.database.as_ref().map(ToString::to_string)),
        action.word.clone(),
        human::local(action.at),
        String::new(),
        String::new(),
        String::new(),
        action.who.clone(),
        action.text.clone(),
    ]
}

fn outcome(run: &Run) -> &'static str {
    run.outcome.map_or("running", Outcome::as_str)
}

/// How long it took, or takes by now; nothing for one that died at an unknown time.
fn length(run: &Run, now: Timestamp) -> String {
    match (run.ended, run.outcome) {
        (Some(ended), _) => human::took(ended.duration_since(run.started)),
        (None, None) => human::took(now.duration_since(run.started)),
        (None, Some(_)) => String::new(),
    }
}

fn show_one(run: &Run, lines: &[Line], global: &Global) -> Result<()> {
    if global.json {
        return output::json(&One { run, lines });
    }
    head(run)?;
    if !lines.is_empty() {
        output::line("")?;
    }
    lines.iter().try_for_each(said)
}

/// Everything about a run that is known, one thing a line.
fn head(run: &Run) -> Result<()> {
    let now = SystemClock.now();
    let bytes = |n: Option<u64>| n.map(|n| Size(n).to_string());
    let phases = run.phases.iter().map(|p| format!("{} {:.1}s", p.phase, p.ms as f64 / 1000.0)).collect::<Vec<_>>();
    let facts = [
        ("run", Some(run.id.to_string())),
        ("database", Some(run.database.to_string())),
        ("kind", Some(run.kind.to_string())),
        ("destinations", Some(run.destinations.join(", "))),
        ("backup", run.backup.as_ref().map(|id| format!("{}/{id}", run.database))),
        ("by", Some(run.initiated_by.clone())),
        ("started", Some(format!("{} ({})", human::local(run.started), human::ago(run.started, now)))),
        ("ended", run.ended.map(human::local)),
        ("took", Some(length(run, now))),
        ("outcome", Some(outcome(run).to_owned())),
        ("error", run.error.clone()),
        ("hint", run.hint.clone()),
        ("plain", bytes(run.plain_bytes)),
        ("stored", bytes(run.stored_bytes)),
        ("tables", run.tables.map(|n| n.to_string())),
        ("rows", run.rows.map(|n| n.to_string())),
        ("phases", Some(phases.join(", "))),
        ("notes", Some(run.notes.join("; "))),
    ];
    for (name, value) in facts {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            output::line(&format!("{name:<13} {}", output::clean(&value)))?;
        }
    }
    Ok(())
}

fn said(line: &Line) -> Result<()> {
    output::line(&format!("{}  {:<7}  {}", human::local(line.at), line.level.as_str(), output::clean(&line.text)))
}

/// Shows the last runs and what was done among them, oldest first, then each run that starts and each that ends, and what is done.
async fn follow_runs(
    book: &Book,
    filter: Filter,
    count: usize,
    global: &Global,
    cancel: CancellationToken,
) -> Result<()> {
    let (reader, state) = (&book.reader, &book.state);
    let mut seen = reader.seen(state, &filter)?;
    let mut items = reader.page(state, std::slice::from_ref(&filter), count)?;
    seen.note_all(&items);
    let mut looks = looks();
    loop {
        for item in &items {
            match item {
                Item::Run(run) => follow_run(run, global)?,
                Item::Action(action) => follow_action(action, global)?,
            }
        }
        if !next(&mut looks, &cancel).await {
            return Ok(());
        }
        items = reader.added(state, &filter, &mut seen)?;
    }
}

/// Shows a run and its lines until it ends.
async fn follow_one(book: &Book, run: Run, global: &Global, cancel: CancellationToken) -> Result<()> {
    if !global.json {
        head(&run)?;
    }
    let (mut run, mut last) = (run, 0);
    let mut looks = looks();
    while next(&mut looks, &cancel).await {
        // Asked before the lines: what an ended run said is all there.
        run = book.reader.settled(&book.state, book.reader.run(run.id.as_str())?)?;
        for line in book.reader.lines(&run.id, last)? {
            last = line.number;
            follow_line(&line, global)?;
        }
        if run.outcome.is_some() {
            return follow_end(&run, global);
        }
    }
    Ok(())
}

/// A run that is new, or has ended, on one line.
fn follow_run(run: &Run, global: &Global) -> Result<()> {
    if global.json {
        return output::json_line(run);
    }
    output::line(&output::clean(&row(run, SystemClock.now()).join("  ")))
}

/// What somebody did, on one line.
fn follow_action(action: &Action, global: &Global) -> Result<()> {
    if global.json {
        return output::json_line(action);
    }
    output::line(&output::clean(&action_row(action).join("  ")))
}

fn follow_line(line: &Line, global: &Global) -> Result<()> {
    if global.json { output::json_line(line) } else { said(line) }
}

/// The last that is told of a run that was followed.
fn follow_end(run: &Run, global: &Global) -> Result<()> {
    if global.json {
        return output::json_line(run);
    }
    let how = match &run.error {
        Some(error) => format!("{}: {error}", outcome(run)),
        None => outcome(run).to_owned(),
    };
    output::line(&output::clean(&how))
}

fn looks() -> tokio::time::Interval {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    looks
}

/// Waits for the next look; `false` when nobody wants one any more.
async fn next(looks: &mut tokio::time::Interval, cancel: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = cancel.cancelled() => false,
        _ = looks.tick() => !output::stdout_is_gone(),
    }
}
