//! What is printed: tables and JSON on stdout, errors on stderr.
//!
//! With `--json` stdout carries exactly one document. A verb that fails before it printed one leaves
//! `{"error": {"kind", "message", "hint", "exit_code"}}` there; the words for people go to stderr all the same.
//! A reader that closes stdout early (`| head`) ends the output, not the work.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::error::{Error, Result, from_io};

/// Blanks between two columns.
const GAP: u16 = 2;
/// Text is not folded into less than this many columns; then the terminal breaks the lines.
const NARROW: u16 = 30;

static GONE: AtomicBool = AtomicBool::new(false);
static PRINTED: AtomicBool = AtomicBool::new(false);

/// Prints a line on stdout. Nothing happens if nobody reads it any more.
pub(super) fn line(text: &str) -> Result<()> {
    write(format!("{text}\n").as_bytes())
}

/// Prints the one JSON document of a verb.
pub(super) fn json(document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(document).map_err(|e| Error::failed("cannot make JSON").because(e))?;
    PRINTED.store(true, Relaxed);
    line(&text)
}

/// Prints one JSON document of many, each on its line, for verbs that follow.
pub(super) fn json_line(document: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(document).map_err(|e| Error::failed("cannot make JSON").because(e))?;
    PRINTED.store(true, Relaxed);
    line(&text)
}

/// Writes bytes to stdout.
pub(super) fn write(bytes: &[u8]) -> Result<()> {
    if stdout_is_gone() {
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {
            GONE.store(true, Relaxed);
            Ok(())
        }
        other => other.map_err(|e| from_io("cannot write to standard output", e)),
    }
}

/// Whether the reader of stdout went away. Verbs that follow end then.
pub(super) fn stdout_is_gone() -> bool {
    GONE.load(Relaxed)
}

/// Tells people something on stderr.
pub(super) fn tell(text: &str) {
    // There is nobody else to tell that nobody listens.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Warns people on stderr.
pub(super) fn warn(text: &str) {
    tell(&format!("{} {text}", paint("warning:", AnsiColor::Yellow)));
}

/// Tells how a verb failed, and with which exit code.
pub(super) fn error(error: &Error, code: u8, json: bool) {
    tell(&format!("{} {}", paint("error:", AnsiColor::Red), error.line()));
    if let Some(hint) = error.remedy() {
        tell(&format!("{} {hint}", paint("hint:", AnsiColor::Cyan)));
    }
    if json && !PRINTED.load(Relaxed) {
        let document = serde_json::json!({ "error": {
            "kind": error.kind().word(),
            "message": error.line(),
            "hint": error.remedy(),
            "exit_code": code,
        }});
        // The error is being told already; that it cannot be printed as well changes nothing.
        let _ = self::json(&document);
    }
}

/// A table without borders. On a terminal the last column is wrapped to what is left of its width, ids and times never;
/// elsewhere every row is one line.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    let widths = table.column_max_content_widths();
    let last = widths.len().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP));
        if index < last {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let fixed: u16 = widths.iter().take(last).map(|width| width + GAP).sum();
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > fixed.saturating_add(NARROW) => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(size.ws_col);
        }
        _ => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    line(&table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n"))
}

/// Text from elsewhere (a tool's message, a manifest) made harmless for a terminal and for one line.
pub(super) fn clean(text: &str) -> String {
    text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `1 database`, `2 databases`.
pub(super) fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// Whether colours may be used on `stream`: it is a terminal and NO_COLOR is not set (no-color.org).
pub(super) fn coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn paint(text: &str, colour: AnsiColor) -> String {
    if !coloured(&std::io::stderr()) {
        return text.to_owned();
    }
    let style = Style::new().bold().fg_color(Some(colour.into()));
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_cannot_move_the_cursor_or_break_the_line() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{9b}31m\n"), "a [2Jb c 31m");
    }
}
