//! One thing that is wrong, or worth a warning, and its places; and the list that collects them while everything is checked.

use super::source::Span;
use crate::model::nearest;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The configuration cannot be used.
    Error,
    /// It can be, but something in it does not do what it says, yet or here.
    Warning,
}

impl Level {
    /// The word for people and for JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// What is wrong, in lowercase, without a full stop.
    pub message: String,
    /// Where, with what to say about each place; the first is the one to mend. Empty when it is no line of a file.
    pub places: Vec<(Span, String)>,
    /// Whether `places` is a mere list, shown without the lines.
    pub listed: bool,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether it says that something is not there; where a file could not be read to its end, that means nothing.
    absence: bool,
}

impl Diagnostic {
    fn new(level: Level, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), places: Vec::new(), listed: false, help: None, absence: false }
    }

    /// An error.
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self::new(Level::Error, message)
    }

    /// A warning.
    pub(super) fn warning(message: impl Into<String>) -> Self {
        Self::new(Level::Warning, message)
    }

    /// The same with one more place and what to say about it.
    #[must_use]
    pub(super) fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.places.push((span, label.into()));
        self
    }

    /// The same with these places as a list.
    #[must_use]
    pub(super) fn used_at(mut self, spans: impl IntoIterator<Item = Span>) -> Self {
        self.places.extend(spans.into_iter().map(|span| (span, String::new())));
        self.listed = true;
        self
    }

    /// The same with what to do about it.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, marked as being about something that is not there.
    #[must_use]
    pub(super) fn about_absence(mut self) -> Self {
        self.absence = true;
        self
    }

    /// The same, with help if there is any.
    #[must_use]
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Diagnostic>);

impl Findings {
    /// Adds one.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// How many there are: a mark to compare with later.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether an error was added after the mark that points into this place.
    pub(super) fn error_within(&self, mark: usize, place: Span) -> bool {
        let within = |at: &Span| at.file == place.file && place.start <= at.start && at.end <= place.end;
        let errors = self.0.iter().skip(mark).filter(|d| d.level == Level::Error);
        errors.flat_map(|d| d.places.first()).any(|(at, _)| within(at))
    }

    /// Says `name` instead of `alias` in what was added after the mark.
    pub(super) fn rename_since(&mut self, mark: usize, alias: &str, name: &str) {
        for diagnostic in self.0.iter_mut().skip(mark) {
            let rename = |text: &str| {
                text.replace(&format!("`{alias}`"), &format!("`{name}`"))
                    .replace(&format!("`{alias}."), &format!("`{name}."))
            };
            diagnostic.message = rename(&diagnostic.message);
            diagnostic.help = diagnostic.help.as_deref().map(rename);
            for (_, label) in &mut diagnostic.places {
                *label = rename(label);
            }
        }
    }

    /// Drops what may only follow from syntax errors: absences, and whatever stands on a line for which `broken` is true.
    pub(super) fn drop_consequences(&mut self, mark: usize, broken: impl Fn(Span) -> bool) {
        let mut index = 0;
        self.0.retain(|diagnostic| {
            index += 1;
            index <= mark || !(diagnostic.absence || diagnostic.places.iter().any(|(span, _)| broken(*span)))
        });
    }

    /// Errors in the order of their places, then warnings in that order; what is no line of a file comes first.
    pub(super) fn sorted(self) -> Vec<Diagnostic> {
        let mut all = self.0;
        all.sort_by_key(|d| (d.level, d.places.first().map(|(span, _)| *span)));
        all.dedup();
        all
    }
}

/// The help "did you mean …?", where one of `known` is near enough to `word`.
pub(super) fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}
