//! The status for people: a sentence, a table that fits the screen, everything about one database.

use std::fmt::Write;

use clap::builder::styling::{AnsiColor, Color, Style};
use jiff::Timestamp;

use crate::cli::{human, output};
use crate::control::status::{Backup, DatabaseStatus, State, Status};
use crate::model::timespan::rough;
use crate::model::{Name, Size, Timespan};

/// Columns where nobody says how many there are.
const COLUMNS: usize = 80;
/// A name is shown in at least so many columns, a remark too.
const LEAST: usize = 16;
const GAP: &str = "  ";

/// Where it is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    columns: usize,
    terminal: bool,
    colours: bool,
}

impl Screen {
    /// Standard output: as wide as the terminal, or as `COLUMNS` says, else 80.
    pub(super) fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let size = rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
        let said = || std::env::var("COLUMNS").ok()?.parse().ok();
        let columns = size.filter(|columns| *columns > 0).or_else(said).unwrap_or(COLUMNS);
        Self {
            columns: columns.clamp(60, 1000),
            terminal: std::io::IsTerminal::is_terminal(&stdout),
            colours: output::coloured(&stdout),
        }
    }

    /// What empties it.
    pub(super) fn clear(self) -> &'static str {
        if self.terminal { "\u{1b}[H\u{1b}[2J" } else { "" }
    }

    fn paint(self, text: &str, colour: AnsiColor) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let style = Style::new().fg_color(Some(Color::Ansi(colour)));
        format!("{style}{text}{style:#}")
    }
}

/// All of it: the sentence, what is wrong with the service, and the table, or everything about those that were asked for.
pub(super) fn all(status: &Status, asked: &[Name], screen: Screen) -> String {
    let mut text = String::new();
    if asked.is_empty() {
        let headline = status.headline();
        let colour = if status.degraded() { AnsiColor::Red } else { AnsiColor::Green };
        let folded: Vec<String> =
            fold(&headline, screen.columns).iter().map(|line| screen.paint(line, colour)).collect();
        text.push_str(&folded.join("\n"));
    }
    for problem in &status.problems {
        let mark = screen.paint("problem:", AnsiColor::Red);
        let newline = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{newline}{mark} {}", output::clean(problem));
    }
    if !asked.is_empty() {
        for one in &status.databases {
            let newline = if text.is_empty() { "" } else { "\n\n" };
            let _ = write!(text, "{newline}{}", details(one, status.at, screen));
        }
    } else if !status.databases.is_empty() {
        let _ = write!(text, "\n\n{}", table(status, screen));
    }
    text
}

/// A sentence on as many lines as it needs, broken after commas only.
fn fold(sentence: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in sentence.split_inclusive(", ") {
        match lines.last_mut() {
            Some(line) if line.len() + part.trim_end().len() <= columns => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    lines.iter().map(|line| cut(line.trim_end(), columns)).collect()
}

/// A column: its head, and the cell of a database.
type Column = (&'static str, fn(&DatabaseStatus, Timestamp) -> String);

fn table(status: &Status, screen: Screen) -> String {
    let (all, at) = (&status.databases, status.at);
    let mut columns: Vec<Column> =
        vec![("STATE", |one, _| one.state.to_string()), ("FULL", |one, at| age(one.last_full.as_ref(), at))];
    if all.iter().any(|one| one.last_incremental.is_some()) {
        columns.push(("INCR", |one, at| age(one.last_incremental.as_ref(), at)));
    }
    columns.push(("SIZE", |one, _| stored(one)));
    if all.iter().any(|one| one.next.is_some()) {
        columns.push(("NEXT", |one, at| one.next.map_or_else(|| "-".into(), |next| wait(at, next))));
    }
    columns.push(("PROVEN", |one, at| one.proven.as_ref().map_or_else(|| "never".into(), |proof| wait(proof.at, at))));

    let rows: Vec<Vec<String>> =
        all.iter().map(|one| columns.iter().map(|(_, cell)| cell(one, at)).collect()).collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(n, (head, _))| rows.iter().map(|row| row[n].len()).chain([head.len()]).max().unwrap_or(0))
        .collect();
    let fixed: usize = widths.iter().map(|width| width + GAP.len()).sum();
    let remarks: Vec<String> = all.iter().map(|one| remark(one, at)).collect();
    let longest = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0);
    let names = longest(&mut all.iter().map(|one| one.name.as_str().len())).max("DATABASE".len());
    let wanted = longest(&mut remarks.iter().map(|remark| remark.chars().count()));
    let room = screen.columns.saturating_sub(fixed + if wanted > 0 { GAP.len() } else { 0 });
    // Names come first; a remark gets what they leave, and a little where they would leave nothing.
    let name = names.min(room.saturating_sub(wanted.min(LEAST)).max(LEAST));
    let rest = room.saturating_sub(name);

    let head = |(n, (head, _)): (usize, &Column)| format!("{GAP}{head:<0$}", widths[n]);
    let heads: String = columns.iter().enumerate().map(head).collect();
    let mut lines = vec![format!("{:<name$}{heads}", "DATABASE").trim_end().to_owned()];
    for ((one, row), remark) in all.iter().zip(&rows).zip(&remarks) {
        let mut line = format!("{:<name$}", cut(one.name.as_str(), name));
        for (n, cell) in row.iter().enumerate() {
            let padded = format!("{cell:<0$}", widths[n]);
            let shown = match colour(one, columns[n].0) {
                Some(colour) => screen.paint(&padded, colour),
                None => padded,
            };
            let _ = write!(line, "{GAP}{shown}");
        }
        let _ = write!(line, "{GAP}{}", cut(remark, rest));
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// The colour of a cell.
fn colour(one: &DatabaseStatus, head: &str) -> Option<AnsiColor> {
    match (head, one.state) {
        ("STATE", State::Failing) => Some(AnsiColor::Red),
        ("STATE", State::Paused | State::Validating) => Some(AnsiColor::Yellow),
        ("STATE", State::Active) => Some(AnsiColor::Green),
        ("STATE", State::Disabled | State::Detached) => Some(AnsiColor::BrightBlack),
        ("FULL", _) if one.stale => Some(AnsiColor::Red),
        ("SIZE", _) if one.suspicious.is_some() => Some(AnsiColor::Red),
        _ => None,
    }
}

/// What else is to be said on the line of a database.
fn remark(one: &DatabaseStatus, at: Timestamp) -> String {
    let mut parts = Vec::new();
    if let Some(running) = &one.running {
        let phase =
            running.phase.clone().unwrap_or_else(|| format!("{} for {}", running.kind, wait(running.started, at)));
        parts.push(running.percent.map_or_else(|| phase.clone(), |percent| format!("{phase} {percent}%")));
    }
    if one.stale {
        parts.push("stale".into());
    }
    match &one.pause {
        Some(pause) if pause.why.is_empty() => parts.push(pause.by.clone()),
        Some(pause) => parts.push(format!("{}: {}", pause.by, pause.why)),
        None if one.failures > 0 => parts.extend(one.last_error.as_ref().map(|failure| failure.error.clone())),
        None => {}
    }
    if one.suspicious.is_some() {
        parts.push("suspiciously small".into());
    }
    output::clean(&parts.join("; "))
}

/// Everything about one database, one thing a line.
fn details(one: &DatabaseStatus, at: Timestamp, screen: Screen) -> String {
    let when = |then: Timestamp| format!("{} ({})", human::local(then), human::ago(then, at));
    let made = |backup: &Backup| {
        let bytes = |n: Option<u64>| n.map_or_else(|| "?".into(), |n| Size(n).to_string());
        format!(
            "{}, {} ({} stored) at {}\n{:15}{}/{}",
            when(backup.started),
            bytes(backup.plain_bytes),
            bytes(backup.stored_bytes),
            backup.destinations.join(", "),
            "",
            one.name,
            backup.id
        )
    };
    let stale = match (one.stale, one.stale_after) {
        (true, Some(limit)) => Some(format!("no success for more than {}", span(limit))),
        (false, Some(limit)) => Some(format!("no; after {} without a success", span(limit))),
        (_, None) => None,
    };
    let running = one.running.as_ref().map(|running| {
        let percent = running.percent.map_or_else(String::new, |percent| format!(" {percent}%"));
        let phase = running.phase.as_ref().map_or_else(String::new, |phase| format!(", {phase}"));
        format!("{} since {}{phase}{percent}: {}", running.kind, human::local(running.started), running.run)
    });
    let why = |why: &str| if why.is_empty() { String::new() } else { format!(": {why}") };
    let facts = [
        ("state", Some(screen.paint(one.state.as_str(), colour(one, "STATE").unwrap_or(AnsiColor::Green)))),
        ("engine", one.engine.clone()),
        ("running", running),
        ("paused", one.pause.as_ref().map(|p| format!("by {}, {}{}", p.by, when(p.since), why(&p.why)))),
        ("failures", one.failing_since.map(|since| format!("{} since {}", one.failures, when(since)))),
        ("stale", stale),
        ("last full", Some(one.last_full.as_ref().map_or_else(|| "never".into(), made))),
        ("incremental", one.last_incremental.as_ref().map(made)),
        ("suspicious", one.suspicious.as_ref().map(|s| format!("{} is much smaller than those before", s.backup))),
        (
            "proven",
            Some(one.proven.as_ref().map_or_else(|| "never".into(), |p| format!("by {} {}", p.how, when(p.at)))),
        ),
        ("next run", Some(one.next.map_or_else(|| "none starts by itself".into(), when))),
        ("last error", one.last_error.as_ref().map(|e| format!("{}: {}", when(e.at), output::clean(&e.error)))),
        ("hint", one.last_error.as_ref().filter(|_| one.failures > 0).and_then(|e| e.hint.clone())),
    ];
    let mut lines = vec![one.name.to_string()];
    lines.extend(facts.into_iter().filter_map(|(name, value)| Some(format!("  {name:<12} {}", value?))));
    lines.join("\n")
}

fn span(seconds: u64) -> String {
    rough(seconds).unwrap_or_else(|| Timespan::from_secs(seconds).to_string())
}

fn age(backup: Option<&Backup>, at: Timestamp) -> String {
    backup.map_or_else(|| "-".into(), |backup| wait(backup.started, at))
}

fn stored(one: &DatabaseStatus) -> String {
    one.last().and_then(|backup| backup.stored_bytes).map_or_else(|| "-".into(), |bytes| Size(bytes).to_string())
}

/// `5m`, `47h`; `now` for less than a minute.
fn wait(from: Timestamp, to: Timestamp) -> String {
    let seconds = u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0);
    rough(seconds).unwrap_or_else(|| "now".into())
}

/// The text in so many columns.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(columns.saturating_sub(1)).collect();
    if columns > 0 {
        cut.push('…');
    }
    cut
}
