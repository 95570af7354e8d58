//! What was written: the tables of all files as one document, each with the places of its keys. Nothing is typed yet.

use std::collections::{BTreeMap, HashMap};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Findings, did_you_mean};
use super::source::{Source, Span, part};
use crate::model::Name;

/// The kinds of tables that have a name: `[destination.NAME]`.
const NAMED: [&str; 5] = ["destination", "encryption", "policy", "notify", "database"];
/// The kinds of tables that stand alone.
const ALONE: [&str; 2] = ["daemon", "signing"];

/// One table of the configuration.
#[derive(Debug)]
pub(super) struct Section<'s> {
    /// How messages call it: `[policy.nightly]`.
    pub title: String,
    /// Its header.
    pub head: Span,
    /// What it says.
    pub table: DeTable<'s>,
}

impl Section<'_> {
    /// Whether the key was written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a list without elements was written.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        matches!(self.table.get(key).map(Spanned::get_ref), Some(DeValue::Array(list)) if list.is_empty())
    }

    /// The place of a key itself, or of the header where the key was not written.
    pub(super) fn key(&self, key: &str) -> Span {
        self.table.get_key_value(key).map_or(self.head, |(key, _)| Span::new(self.head.file, key.span()))
    }

    /// The place of what a key says, or of the header where it was not written.
    pub(super) fn value(&self, key: &str) -> Span {
        self.at(key, &[])
    }

    /// The place within what a key says: the path goes on with keys of tables and numbers of elements.
    pub(super) fn at(&self, key: &str, path: &[&str]) -> Span {
        let Some(mut value) = self.table.get(key) else { return self.head };
        for step in path {
            let next = match value.get_ref() {
                DeValue::Table(table) => table.get(*step),
                DeValue::Array(array) => step.parse().ok().and_then(|i: usize| array.get(i)),
                _ => None,
            };
            let Some(next) = next else { break };
            value = next;
        }
        Span::new(self.head.file, value.span())
    }

    /// The place of element `i` of a list; of the value itself where it is no list.
    pub(super) fn element(&self, key: &str, i: usize) -> Span {
        self.at(key, &[&i.to_string()])
    }
}

/// All tables of all files.
#[derive(Debug, Default)]
pub(super) struct Document<'s> {
    /// Where the files are no TOML; around these places the rest may be misread.
    pub broken: Vec<Span>,
    alone: HashMap<&'static str, Section<'s>>,
    named: HashMap<&'static str, BTreeMap<Name, Section<'s>>>,
}

impl<'s> Document<'s> {
    /// Parses the files and lays their tables together. What is found after the mark is more than syntax.
    pub(super) fn parse(sources: &'s [Source], found: &mut Findings) -> (Self, usize) {
        let mut document = Self::default();
        let mut roots = Vec::with_capacity(sources.len());
        for (file, source) in sources.iter().enumerate() {
            let (root, errors) = DeTable::parse_recoverable(source.text());
            roots.push(root);
            for error in errors {
                let span = Span::new(file, error.span().unwrap_or(0..0));
                document.broken.push(span);
                found.push(syntax_error(source, span, error.message()));
            }
        }
        let mark = found.count();
        for ((file, source), root) in sources.iter().enumerate().zip(roots) {
            for (key, value) in root.into_inner() {
                document.add(file, source, key, value, found);
            }
        }
        (document, mark)
    }

    /// The table `[kind]`.
    pub(super) fn alone(&self, kind: &str) -> Option<&Section<'s>> {
        self.alone.get(kind)
    }

    /// The tables `[kind.NAME]`.
    pub(super) fn named(&self, kind: &str) -> impl Iterator<Item = (&Name, &Section<'s>)> {
        self.named.get(kind).into_iter().flatten()
    }

    /// The table `[kind.NAME]` of this name.
    pub(super) fn get(&self, kind: &str, name: &str) -> Option<&Section<'s>> {
        self.named.get(kind)?.get(name)
    }

    /// Gives the tables `[kind.NAME]` away.
    pub(super) fn take(&mut self, kind: &str) -> BTreeMap<Name, Section<'s>> {
        self.named.remove(kind).unwrap_or_default()
    }

    /// The names of all tables `[kind.NAME]`.
    pub(super) fn names(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.named(kind).map(|(name, _)| name.as_str())
    }

    fn add(
        &mut self,
        file: usize,
        source: &Source,
        key: Spanned<std::borrow::Cow<'s, str>>,
        value: Spanned<DeValue<'s>>,
        found: &mut Findings,
    ) {
        // What the parser made of a header without its end: the value stands in front of its key.
        if value.span().end <= key.span().start {
            return;
        }
        let word = key.get_ref().as_ref();
        let at = Span::new(file, key.span());
        let known = ALONE.iter().chain(&NAMED);
        let Some(kind) = known.clone().find(|kind| **kind == word) else {
            let help = did_you_mean(word, known.clone().copied())
                .unwrap_or_else(|| format!("the tables are {}", known.copied().collect::<Vec<_>>().join(", ")));
            if matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_)) {
                found.push(Diagnostic::error(format!("unknown table `{word}`")).at(at, "no such table").help(help));
            } else {
                found.push(
                    Diagnostic::error(format!("`{word}` stands in no table"))
                        .at(at, "there are no keys outside of tables")
                        .help("write the table above it, like [destination.local]")
                        .about_absence(),
                );
            }
            return;
        };
        let head = head_of(file, source, key.span(), value.span());
        let DeValue::Table(table) = value.into_inner() else {
            let title = if ALONE.contains(kind) { format!("[{kind}]") } else { format!("[{kind}.NAME]") };
            found.push(Diagnostic::error(format!("`{kind}` must be a table")).at(head, format!("write {title}")));
            return;
        };
        if ALONE.contains(kind) {
            let title = format!("[{kind}]");
            match self.alone.get(kind) {
                Some(first) => found.push(twice(&title, head, first.head)),
                None => drop(self.alone.insert(kind, Section { title, head, table })),
            }
            return;
        }
        for (name_key, value) in table {
            self.add_named(kind, file, source, name_key, value, found);
        }
    }

    fn add_named(
        &mut self,
        kind: &'static str,
        file: usize,
        source: &Source,
        key: Spanned<std::borrow::Cow<'s, str>>,
        value: Spanned<DeValue<'s>>,
        found: &mut Findings,
    ) {
        let at = Span::new(file, key.span());
        let word = key.get_ref().as_ref();
        let head = head_of(file, source, key.span(), value.span());
        let DeValue::Table(table) = value.into_inner() else {
            found.push(
                Diagnostic::error(format!("`{word}` stands in [{kind}], which has no keys of its own"))
                    .at(at, format!("which {kind}?"))
                    .help(format!("write [{kind}.NAME] above it")),
            );
            return;
        };
        let Ok(name) = word.parse::<Name>() else {
            found.push(
                Diagnostic::error(format!("`{word}` is no name for a {kind}"))
                    .at(at, "use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or a digit"),
            );
            return;
        };
        let title = format!("[{kind}.{name}]");
        if kind == "encryption" && name.as_str() == "none" {
            found.push(
                Diagnostic::error("no encryption can be called `none`")
                    .at(at, "`encryption = \"none\"` means no encryption"),
            );
            return;
        }
        let tables = self.named.entry(kind).or_default();
        match tables.get(&name) {
            Some(first) => found.push(twice(&title, head, first.head)),
            None => drop(tables.insert(name, Section { title, head, table })),
        }
    }
}

fn syntax_error(source: &Source, span: Span, message: &str) -> Diagnostic {
    if message == "duplicate key" {
        return written_twice(source, span);
    }
    let (what, label) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, format!("expected {expected}")),
        None => (message, String::new()),
    };
    if what == "invalid boolean" || what == "string values must be quoted" {
        return Diagnostic::error("not TOML: a text without quotes")
            .at(span, "this is no value")
            .help("write it in quotes; only numbers, true and false go without");
    }
    Diagnostic::error(format!("not TOML: {what}")).at(span, label)
}

/// A key or a header that stands in one file for the second time; the parser tells only that place.
fn written_twice(source: &Source, again: Span) -> Diagnostic {
    let line = source.lines_of(again.start..again.start);
    let here = part(source.text(), line.clone()).trim();
    let key = part(source.text(), again.start..again.end);
    let is_header = here.starts_with('[');
    let same = |text: &str| {
        if is_header {
            return text.trim() == here;
        }
        text.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
    };
    let (name, length) = if is_header { (here.to_owned(), here.len()) } else { (format!("`{key}`"), key.len()) };
    let at = |start: usize, text: &str| {
        let begin = start + (text.len() - text.trim_start().len());
        Span::new(again.file, begin..begin + length)
    };
    let place = if is_header { at(line.start, part(source.text(), line.clone())) } else { again };
    let found = Diagnostic::error(format!("{name} is defined twice")).at(place, "defined again here");
    let mut end = line.start;
    for text in part(source.text(), ..line.start).split_inclusive('\n').rev() {
        let start = end - text.len();
        if same(text) {
            return found.at(at(start, text), "first defined here");
        }
        if !is_header && text.trim_start().starts_with('[') {
            break;
        }
        end = start;
    }
    found
}

fn twice(title: &str, again: Span, first: Span) -> Diagnostic {
    Diagnostic::error(format!("{title} is defined twice"))
        .at(again, "defined again here")
        .at(first, "first defined here")
        .help("a table is defined once; bring its keys together in one file, or choose another name")
}

/// The header `[…]` of a table, or its key where it has none.
fn head_of(file: usize, source: &Source, key: std::ops::Range<usize>, value: std::ops::Range<usize>) -> Span {
    let header = source.text().get(value.clone()).is_some_and(|text| text.starts_with('['));
    Span::new(file, if header && value.start <= key.start && key.end <= value.end { value } else { key })
}
