//! What was found in the files, for people (with the lines themselves, secrets starred) and for programs.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level as Shown, Origin, Renderer, Snippet};
use serde::Serialize;

use super::diagnostic::{Diagnostic, Findings, Level};
use super::mask::Mask;
use super::source::{Source, Span, part};
use crate::error::{Error, Kind};

/// More places than this of one finding are counted, not listed.
const MOST_LISTED: usize = 8;

/// The address that would be shown, and the right one.
type Address = (String, String);

/// Everything that was found, errors first, each in the order of the files.
#[derive(Debug)]
pub struct Report {
    sources: Arc<[Source]>,
    diagnostics: Vec<Diagnostic>,
    masks: HashMap<usize, Mask>,
}

/// One finding as a program reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `error` or `warning`.
    pub level: &'static str,
    /// The file, absent where the finding is no line of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What is wrong, and what is said about its place.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Report {
    pub(super) fn new(sources: Arc<[Source]>, findings: Findings) -> Self {
        let mut diagnostics = findings.sorted();
        let mut masks = HashMap::new();
        for diagnostic in &mut diagnostics {
            // Where places are listed without their lines, nothing of the lines is shown.
            if diagnostic.listed {
                continue;
            }
            for file in diagnostic.places.iter().map(|(span, _)| span.file).collect::<Vec<_>>() {
                let Some(source) = sources.get(file) else { continue };
                let mask: &Mask = masks.entry(file).or_insert_with(|| Mask::of(source.text()));
                diagnostic.message = mask.clean(&diagnostic.message);
                diagnostic.help = diagnostic.help.as_deref().map(|help| mask.clean(help));
                for (_, label) in &mut diagnostic.places {
                    *label = mask.clean(label);
                }
            }
        }
        Self { sources, diagnostics, masks }
    }

    /// The findings.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The files that were read, in lexical order.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// How many errors and how many warnings.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.diagnostics.iter().filter(|d| d.level == Level::Error).count();
        (errors, self.diagnostics.len() - errors)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// For people: each finding with its lines, an empty line between two.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&self.show(&renderer, diagnostic));
            out.push('\n');
        }
        out
    }

    /// For programs.
    pub fn rows(&self) -> Vec<Row> {
        let row = |diagnostic: &Diagnostic, place: Option<&(Span, String)>| {
            let known = place.and_then(|(span, label)| Some((self.sources.get(span.file)?, span, label)));
            let position = known.map(|(source, span, _)| source.position(span.start));
            let label = known.map_or("", |(.., label)| label.as_str());
            Row {
                level: diagnostic.level.as_str(),
                file: known.map(|(source, ..)| source.path().display().to_string()),
                line: position.map(|(line, _)| line),
                column: position.map(|(_, column)| column),
                message: match label {
                    "" => diagnostic.message.clone(),
                    label => format!("{}: {label}", diagnostic.message),
                },
                help: diagnostic.help.clone(),
            }
        };
        let mut rows = Vec::new();
        for diagnostic in &self.diagnostics {
            if diagnostic.listed {
                rows.extend(diagnostic.places.iter().map(|place| row(diagnostic, Some(place))));
            } else {
                rows.push(row(diagnostic, diagnostic.places.first()));
            }
        }
        rows
    }

    /// For the journal: a line each, `file:line:column: message`.
    pub fn lines(&self) -> impl Iterator<Item = (Level, String)> {
        self.diagnostics.iter().map(|diagnostic| {
            let place = diagnostic.places.first().map(|(span, _)| format!("{}: ", self.address(*span)));
            let more = diagnostic.places.len().saturating_sub(1);
            let more = if diagnostic.listed && more > 0 { format!(" (and {more} more)") } else { String::new() };
            (diagnostic.level, format!("{}{}{more}", place.unwrap_or_default(), diagnostic.message))
        })
    }

    fn address(&self, span: Span) -> String {
        let Some(source) = self.sources.get(span.file) else { return String::new() };
        let (line, column) = source.position(span.start);
        format!("{}:{line}:{column}", source.path().display())
    }

    fn show(&self, renderer: &Renderer, diagnostic: &Diagnostic) -> String {
        let level = match diagnostic.level {
            Level::Error => Shown::ERROR,
            Level::Warning => Shown::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
        let mut columns = Vec::new();
        if diagnostic.listed {
            for (span, _) in diagnostic.places.iter().take(MOST_LISTED) {
                let Some(source) = self.sources.get(span.file) else { continue };
                let (line, column) = source.position(span.start);
                let origin = Origin::path(source.path().display().to_string()).line(line).char_column(column);
                group = group.element(origin);
            }
            if let Some(more) = diagnostic.places.len().checked_sub(MOST_LISTED).filter(|more| *more > 0) {
                group = group.element(Shown::NOTE.message(format!("and {more} more")));
            }
        } else {
            for places in by_file(&diagnostic.places) {
                let first = std::ptr::eq(places.as_ptr(), diagnostic.places.as_ptr());
                if let Some((snippet, shift)) = self.snippet(places, first) {
                    group = group.element(Element::Cause(snippet));
                    columns.extend(shift);
                }
            }
        }
        if let Some(help) = &diagnostic.help {
            group = group.element(Shown::HELP.message(help.as_str()));
        }
        let mut text = renderer.render(&[group]);
        if diagnostic.listed {
            // No place of a list is less than another.
            text = text.replace(":::", "-->");
        }
        // Stars are rarely as long as what they hide; the address must be the one in the file.
        for (shown, real) in columns {
            text = text.replacen(&shown, &real, 1);
        }
        text
    }

    /// The lines around the places of one file (`main` if the first of them is the one to mend), and the address that will be shown for the first of them with the right one.
    fn snippet<'r>(
        &'r self,
        places: &'r [(Span, String)],
        main: bool,
    ) -> Option<(Snippet<'r, Annotation<'r>>, Option<Address>)> {
        let first = places.first()?.0;
        let source = self.sources.get(first.file)?;
        let start = places.iter().map(|(span, _)| span.start).min()?;
        let end = places.iter().map(|(span, _)| span.end).max()?;
        let range = source.lines_of(start..end);
        let empty = Mask::default();
        let (text, place) = self.masks.get(&first.file).unwrap_or(&empty).apply(source.text(), range.clone());
        let (line, column) = source.position(first.start);
        let path = source.path().display().to_string();
        let shown = text.floor_char_boundary(place(source.boundary(first.start)));
        let before = part(&text, ..shown);
        let shown_column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let shift = (shown_column != column)
            .then(|| (format!("{path}:{line}:{shown_column}"), format!("{path}:{line}:{column}")));
        let annotations: Vec<_> = places
            .iter()
            .enumerate()
            .map(|(i, (span, label))| {
                let kind = if i == 0 && main { AnnotationKind::Primary } else { AnnotationKind::Context };
                let start = text.floor_char_boundary(place(source.boundary(span.start)));
                let end = text.floor_char_boundary(place(source.boundary(span.end.max(span.start)))).max(start);
                let marked = kind.span(start..end);
                if label.is_empty() { marked } else { marked.label(label.as_str()) }
            })
            .collect();
        let (first_line, _) = source.position(range.start);
        Some((Snippet::source(text).path(path).line_start(first_line).annotations(annotations), shift))
    }
}

/// Neighbouring places that are in one file.
fn by_file(places: &[(Span, String)]) -> impl Iterator<Item = &[(Span, String)]> {
    places.chunk_by(|a, b| a.0.file == b.0.file)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl From<&Report> for Error {
    /// One line, for who cannot show the report itself.
    fn from(report: &Report) -> Self {
        let (errors, _) = report.counts();
        let count = if errors == 1 { "an error".to_owned() } else { format!("{errors} errors") };
        let error = Self::new(Kind::Configuration, format!("the configuration has {count}"))
            .hint("run `qbackd check` to see every one at its place");
        match report.lines().find(|(level, _)| *level == Level::Error) {
            Some((_, first)) => error.because(first),
            None => error,
        }
    }
}
