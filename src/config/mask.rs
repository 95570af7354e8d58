//! What must not be shown when a line of a file is: secrets that were written where a reference belongs, the user info of URLs,
//! private keys. Works on text that is not TOML too, since syntax errors show lines as well.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::part;
use crate::model::nearest;

/// Shown instead of a secret.
pub(super) const STARS: &str = "***";

/// The keys of a reference to a secret.
const REFERENCE: &[&str] = &["file", "env", "credential", "command"];

/// Whether the value of a key with this name may be a secret, also if the name is misspelt.
pub(super) fn is_secret(key: &str) -> bool {
    const WORDS: &[&str] = &["password", "passphrase", "passwd", "secret", "token", "credential"];
    let key = key.to_ascii_lowercase();
    if ["_file", "_files", "_path", "_id", "_arn"].iter().any(|end| key.ends_with(end)) {
        return false;
    }
    key == "key"
        || key.starts_with("sas")
        || key.ends_with("_key")
        || WORDS.iter().any(|word| key.contains(word) || strsim::jaro_winkler(word, &key) > 0.87)
}

/// What is secret in one file.
#[derive(Debug, Default)]
pub(super) struct Mask {
    /// Sorted, apart from each other.
    ranges: Vec<Range<usize>>,
    /// The values themselves, for messages that quote them.
    values: Vec<String>,
}

impl Mask {
    /// Finds what is secret in `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut found = Finder { text, ranges: Vec::new(), users: Vec::new(), values: Vec::new() };
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            found.line(at, line);
            at += line.len();
        }
        let (table, _) = DeTable::parse_recoverable(text);
        found.table(table.get_ref(), &mut Vec::new(), false);
        let Finder { mut ranges, users, mut values, .. } = found;
        values.extend(ranges.iter().map(|range| part(text, range.clone()).to_owned()));
        ranges.extend(users);
        for range in &mut ranges {
            *range = text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end);
        }
        ranges.retain(|r| r.start < r.end);
        ranges.sort_by_key(|r| (r.start, r.end));
        let mut apart: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        values.retain(|value| value.len() >= 4);
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self { ranges: apart, values }
    }

    /// The part `shown` of `text` with stars for secrets, and where a byte of `text` went.
    pub(super) fn apply(&self, text: &str, shown: Range<usize>) -> (String, impl Fn(usize) -> usize + use<>) {
        let mut out = String::with_capacity(shown.len());
        // What was cut, and where its replacement begins and ends.
        let mut cuts: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        let mut at = shown.start;
        for range in &self.ranges {
            let (start, end) = (range.start.max(shown.start), range.end.min(shown.end));
            if start >= end {
                continue;
            }
            out.push_str(part(text, at..start));
            let begin = out.len();
            out.push_str(STARS);
            // Lines keep their numbers.
            out.extend(part(text, start..end).chars().filter(|c| *c == '\n'));
            cuts.push((start..end, begin..out.len()));
            at = end;
        }
        out.push_str(part(text, at..shown.end));
        let base = shown.start;
        let place = move |byte: usize| {
            let mut new = byte.saturating_sub(base);
            for (cut, to) in &cuts {
                if byte >= cut.end {
                    new = to.end + (byte - cut.end);
                } else if byte > cut.start {
                    new = to.end;
                }
            }
            new
        };
        (out, place)
    }

    /// `message` without any of the secrets.
    pub(super) fn clean(&self, message: &str) -> String {
        self.values.iter().fold(message.to_owned(), |text, value| {
            if text.contains(value.as_str()) { text.replace(value.as_str(), STARS) } else { text }
        })
    }
}

struct Finder<'t> {
    text: &'t str,
    ranges: Vec<Range<usize>>,
    /// Names of users in URLs: starred in their lines, but ordinary words elsewhere.
    users: Vec<Range<usize>>,
    values: Vec<String>,
}

impl Finder<'_> {
    /// What is secret in one line, whether it is TOML or not.
    fn line(&mut self, start: usize, line: &str) {
        self.user_info(start, line);
        for key in ["AGE-SECRET-KEY-", "AGE-PLUGIN-", "-----BEGIN"] {
            for (at, _) in line.match_indices(key) {
                let end = part(line, at..).find(['"', '\'', '\n', ' ']).map_or(line.len(), |i| at + i);
                self.ranges.push(start + at + 5..start + end);
            }
        }
        for (equals, _) in line.match_indices('=') {
            let before = part(line, ..equals).trim_end().trim_end_matches(['"', '\'']);
            let word = before.rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).next();
            let outer = word.map_or("", |word| before.strip_suffix(word).unwrap_or_default()).trim_end();
            let reference = word == Some("credential") && outer.ends_with(['.', '{', ',']);
            if word.is_some_and(is_secret) && !reference {
                let rest = part(line, equals + 1..);
                let value = equals + 1 + (rest.len() - rest.trim_start().len());
                self.value(start, line, value);
            }
        }
    }

    /// The value that begins at `at` of a line and belongs to a secret key.
    fn value(&mut self, start: usize, line: &str, at: usize) {
        let rest = part(line, at..);
        let range = match rest.chars().next() {
            None | Some('{') => return,
            Some(quote @ ('"' | '\'')) => {
                let inside = rest.trim_start_matches(quote);
                let opened = rest.len() - inside.len();
                let end = inside.find(quote).unwrap_or(inside.trim_end().len());
                at + opened..at + opened + end
            }
            Some('[') => at..at + rest.trim_end().len(),
            Some(_) => at..at + rest.find([',', '}', '#', '\n', ' ']).unwrap_or(rest.len()),
        };
        self.ranges.push(start + range.start..start + range.end);
    }

    /// `user:password` between `://` and the last `@` of the same word.
    fn user_info(&mut self, start: usize, text: &str) {
        for (at, _) in text.match_indices("://") {
            let from = at + 3;
            let url = part(text, from..).split(['"', '\'', '\n']).next().unwrap_or_default();
            if let Some((user, _)) = url.rsplit_once('@') {
                self.users.push(start + from..start + from + user.len());
                self.values.extend(user.split_once(':').map(|(_, password)| password.to_owned()));
            }
        }
    }

    fn table(&mut self, table: &DeTable<'_>, path: &mut Vec<String>, secret: bool) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            // `[kind.NAME]` and a key stand in front of what a reference is written in.
            let reference = path.len() >= 3 && REFERENCE.contains(&name);
            let address = path.first().is_some_and(|first| first == "notify") && name == "url";
            if secret && nearest(name, REFERENCE.iter().copied()).is_none() {
                // A secret where the word `file` or `env` belongs.
                self.ranges.push(key.span());
            }
            path.push(name.to_owned());
            self.any(value, path, !reference && (secret || address || is_secret(name)));
            path.pop();
        }
    }

    fn any(&mut self, value: &Spanned<DeValue<'_>>, path: &mut Vec<String>, secret: bool) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, path, secret),
            DeValue::Array(array) => array.iter().for_each(|item| self.any(item, path, secret)),
            _ if !secret => {}
            DeValue::String(text) => {
                let Some(raw) = self.text.get(value.span()) else { return };
                let quote = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { 1 };
                let (start, end) = (value.span().start + quote, value.span().end.saturating_sub(quote));
                self.ranges.push(start..end);
                self.values.push(text.to_string());
            }
            _ => self.ranges.push(value.span()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let whole = if text.starts_with('[') { text.to_owned() } else { format!("[database.d]\n{text}") };
        let start = whole.len() - text.len();
        Mask::of(&whole).apply(&whole, start..whole.len()).0
    }

    #[test]
    fn secrets_are_starred_wherever_they_stand() {
        for (text, shown) in [
            ("password = \"hunter2\"", "password = \"***\""),
            ("pasword = 'hunter2' # why", "pasword = '***' # why"),
            ("password.file = \"/etc/x\"", "password.file = \"/etc/x\""),
            ("password = { file = \"/etc/x\" }", "password = { file = \"/etc/x\" }"),
            ("x = { token = \"hunter2\", y = 1 }", "x = { token = \"***\", y = 1 }"),
            ("url = \"pg://me:hunter2@db/shop\"", "url = \"pg://***@db/shop\""),
            ("url = \"pg://db/shop?password=hunter2&x=1\"", "url = \"pg://db/shop?password=***"),
            ("password = \"hunter2", "password = \"***"),
            ("password = hunter2", "password = ***"),
            ("recipients = [\"AGE-SECRET-KEY-1QQQ\"]", "recipients = [\"AGE-S***\"]"),
            ("secret_access_key = \"\"\"\nhunter2\nmore\"\"\"\n", "secret_access_key = \"\"\"***\n\n\"\"\"\n"),
            ("[notify.x]\nurl = \"https://hooks/hunter2\"", "[notify.x]\nurl = \"***\""),
            ("identity_files = [\"/k\"]", "identity_files = [\"/k\"]"),
            ("passphrase = 12345", "passphrase = ***"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn places_move_with_the_stars() {
        let text = "a = { password = \"hunter2-and-more\", x = 1 }";
        let (shown, place) = Mask::of(text).apply(text, 0..text.len());
        let x = text.find("x =").unwrap();
        assert_eq!(&shown[place(x)..place(x + 1)], "x");
        assert_eq!(place(4), 4);
    }

    #[test]
    fn messages_lose_the_secrets_they_quote() {
        let mask = Mask::of("password = \"hunter2\"");
        assert_eq!(mask.clean("unknown variant `hunter2`"), "unknown variant `***`");
        let mask = Mask::of("url = \"postgresql://backup@db1/shop\"");
        assert_eq!(mask.clean("a backup needs a place to live"), "a backup needs a place to live");
    }
}
