//! The text format of Prometheus (exposition format 0.0.4): families of rows with labels.

use std::fmt::{Display, Write};

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

/// What the rows of a family are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    /// A number that goes up and down.
    Gauge,
    /// A number that only goes up, from the start of the daemon.
    Counter,
}

impl Page {
    /// A family: its name, what it means, its rows. One without rows is left out.
    pub(super) fn family<'a, V: Display>(
        &mut self,
        name: &str,
        kind: Type,
        help: &str,
        rows: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, V)>,
    ) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        let kind = match kind {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
        };
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in rows {
            self.text.push_str(name);
            for (place, (label, content)) in labels.iter().enumerate() {
                self.text.push(if place == 0 { '{' } else { ',' });
                let _ = write!(self.text, "{label}=\"");
                self.escaped(content);
                self.text.push('"');
            }
            let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
        }
    }

    /// All of it.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_with_its_labels_escaped_and_one_without_rows_is_not() {
        let mut page = Page::default();
        page.family(
            "a_bytes",
            Type::Gauge,
            "How large.",
            [(vec![], 1.5), (vec![("x", "1"), ("y", "a\"b\\c\nd")], 2.0)],
        );
        page.family::<u64>("b_total", Type::Counter, "Never.", []);
        assert_eq!(
            page.into_text(),
            "# HELP a_bytes How large.\n# TYPE a_bytes gauge\na_bytes 1.5\na_bytes{x=\"1\",y=\"a\\\"b\\\\c\\nd\"} 2\n"
        );
    }
}
