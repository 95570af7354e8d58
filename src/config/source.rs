//! The text of the files, and places in it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::slice::SliceIndex;
use std::sync::OnceLock;

/// A place in one of the files: bytes `start..end` of file number `file`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The number of the file in lexical order.
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// The place `range` of file `file`.
    pub(super) fn new(file: usize, range: Range<usize>) -> Self {
        Self { file, start: range.start, end: range.end }
    }
}

/// The part of a text, nothing where there is no such part: spans come from parsers, and a wrong one must not end the daemon.
pub(super) fn part(text: &str, range: impl SliceIndex<str, Output = str>) -> &str {
    text.get(range).unwrap_or_default()
}

/// One file of the configuration.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
    /// Where each line begins; found when the first error asks.
    lines: OnceLock<Vec<usize>>,
}

impl Source {
    /// The file at `path` with this text.
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        Self { path, text, lines: OnceLock::new() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            std::iter::once(0)
                .chain(self.text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1))
                .collect()
        })
    }

    /// Line and column of a byte, both counted from 1, columns in characters.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let at = self.boundary(at);
        let line = self.lines().partition_point(|start| *start <= at);
        let start = self.lines()[line - 1];
        (line, part(&self.text, start..at).chars().count() + 1)
    }

    /// The bytes of the lines that `range` touches, without the last line's end.
    pub(super) fn lines_of(&self, range: Range<usize>) -> Range<usize> {
        let (start, end) = (self.boundary(range.start), self.boundary(range.end.max(range.start)));
        let first = part(&self.text, ..start).rfind('\n').map_or(0, |i| i + 1);
        let last = part(&self.text, end..).find('\n').map_or(self.text.len(), |i| end + i);
        first..last
    }

    /// The nearest place at or before `at` where a character begins.
    pub(super) fn boundary(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let source = Source::new("a".into(), "ab\näö = 1\n".into());
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(2), (1, 3));
        assert_eq!(source.position(3), (2, 1));
        assert_eq!(source.position(8), (2, 4));
        assert_eq!(source.position(500), (3, 1));
        assert_eq!(&source.text()[source.lines_of(5..6)], "äö = 1");
    }
}
