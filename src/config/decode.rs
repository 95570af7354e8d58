//! From a parsed table to an options struct, with every error of the table at its own place.
//!
//! Serde stops at the first error. So the table is tried whole; the entry an error points into is taken out, the error kept, and
//! what is left is tried again until it fits. An options struct has defaults for every key, so what is left always means something.

use std::ops::Range;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserializer, forward_to_deserialize_any};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::diagnostic::{Diagnostic, Findings, did_you_mean};
use super::mask::is_secret;
use super::source::Span;

/// The keys that an options struct accepts, in the order of its fields.
pub(super) fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Ask<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Ask<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(Self::Error::custom("not a struct"))
        }

        fn deserialize_struct<V: serde::de::Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            Err(Self::Error::custom("only asked"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut fields: &'static [&'static str] = &[];
    // The answer is what `fields` says; the error only ends the asking.
    drop(T::deserialize(Ask(&mut fields)));
    fields
}

/// Decodes `table`, whose head is at `head`. `whose` is how messages call it: `[policy.nightly]`.
pub(super) fn decode<T: DeserializeOwned + Default>(
    mut table: DeTable<'_>,
    head: Span,
    whose: &str,
    found: &mut Findings,
) -> T {
    let mut shortened = Vec::new();
    loop {
        let whole = Spanned::new(head.start..head.end, DeValue::Table(table.clone()));
        let error = match T::deserialize(ValueDeserializer::from(whole)) {
            Ok(decoded) if shortened.is_empty() => return decoded,
            // Elements are known by their number; a list that lost some would be taken for another, so it goes as a whole.
            Ok(_) => {
                for key in std::mem::take(&mut shortened) {
                    table.remove::<str>(&key);
                }
                continue;
            }
            Err(error) => error,
        };
        let span = error.span().unwrap_or(head.start..head.end);
        let Some(entry) = take_out(&mut table, &span) else {
            found.push(Diagnostic::error(error.message()).at(head, String::new()));
            return T::default();
        };
        if entry.element
            && let Some(key) = entry.path.first()
        {
            shortened.push(key.clone());
        }
        found.push(explain::<T>(error.message(), &span, &entry, head.file, whose));
    }
}

/// What was taken out of a table because it does not fit.
struct Entry<'i> {
    /// The keys that lead to it, outermost first.
    path: Vec<String>,
    key: Range<usize>,
    value: Spanned<DeValue<'i>>,
    /// Whether it was an element of a list.
    element: bool,
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Takes the innermost entry that `span` points into out of `table`.
fn take_out<'i>(table: &mut DeTable<'i>, span: &Range<usize>) -> Option<Entry<'i>> {
    let mut here = None;
    for (key, value) in table.iter_mut() {
        let name = key.get_ref().clone();
        if let Some(mut entry) = inside(value, span) {
            entry.path.insert(0, name.into_owned());
            if entry.key.is_empty() {
                entry.key = key.span();
            }
            return Some(entry);
        }
        if holds(&key.span(), span) || holds(&value.span(), span) {
            here = Some((name, key.span()));
        }
    }
    let (name, key) = here?;
    let (_, value) = table.remove_entry(name.as_ref())?;
    Some(Entry { path: vec![name.into_owned()], key, value, element: false })
}

fn inside<'i>(value: &mut Spanned<DeValue<'i>>, span: &Range<usize>) -> Option<Entry<'i>> {
    match value.get_mut() {
        DeValue::Table(table) => take_out(table, span),
        DeValue::Array(array) => {
            if let Some(entry) = array.iter_mut().find_map(|item| inside(item, span)) {
                return Some(entry);
            }
            let at = array.iter().position(|item| holds(&item.span(), span))?;
            let mut kept = DeArray::new();
            let mut out = None;
            for (i, item) in std::mem::take(array).into_iter().enumerate() {
                if i == at {
                    out = Some(item);
                } else {
                    kept.push(item);
                }
            }
            *array = kept;
            Some(Entry { path: Vec::new(), key: 0..0, value: out?, element: true })
        }
        _ => None,
    }
}

/// Says in our words what serde found.
fn explain<T: DeserializeOwned>(
    message: &str,
    span: &Range<usize>,
    entry: &Entry<'_>,
    file: usize,
    whose: &str,
) -> Diagnostic {
    let at = Span::new(file, span.clone());
    let key = entry.path.join(".");
    let literal = !matches!(entry.value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
    if literal && entry.path.iter().any(|key| is_secret(key)) && !message.starts_with("unknown field") {
        let value = Span::new(file, entry.value.span());
        return Diagnostic::error(format!("`{key}` must be a reference to a secret, not the secret itself"))
            .at(value, "this text would lie open in the configuration")
            .help(format!(
                "write `{key}.file = \"/path\"`, or `{{ env = }}`, `{{ credential = }}`, `{{ command = [] }}`"
            ));
    }
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (name, expected) = rest.split_once("`, ").unwrap_or((rest, ""));
        return unknown_key(name, at, whose_is(whose, &entry.path), quoted(expected));
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let (word, expected) = rest.split_once("`, ").unwrap_or((rest, ""));
        let known: Vec<_> = quoted(expected).collect();
        let label = format!("expected {}", any_of(&known));
        return Diagnostic::error(format!("`{word}` is no value of `{key}`"))
            .at(at, label)
            .maybe_help(did_you_mean(word, known.iter().copied()));
    }
    if let Some(field) = message.strip_prefix("missing field `") {
        let field = field.trim_end_matches('`');
        return Diagnostic::error(format!("`{field}` is missing in `{key}`")).at(at, format!("no `{field}` here"));
    }
    if let Some((is, wants)) = message.strip_prefix("invalid type: ").and_then(|m| m.split_once(", expected ")) {
        let said = format!("this is {}, expected {}", what_is(is), what_wants(wants));
        return Diagnostic::error(format!("`{key}` has the wrong type"))
            .at(at, said)
            .maybe_help(type_help::<T>(entry, wants));
    }
    if let Some((is, wants)) = message.strip_prefix("invalid value: ").and_then(|m| m.split_once(", expected ")) {
        let value = is.split_once(' ').map_or(is, |(_, value)| value);
        return Diagnostic::error(format!("`{key}` cannot be {value}"))
            .at(at, format!("expected {}", what_wants(wants)));
    }
    if message.starts_with("wanted exactly 1 element") {
        return Diagnostic::error(format!("`{key}` must have exactly one key"))
            .at(at, String::new())
            .help("write one of `{ file = }`, `{ env = }`, `{ credential = }`, `{ command = [] }`");
    }
    match message.split_once(": write ") {
        Some((what, remedy)) => {
            Diagnostic::error(format!("wrong value for `{key}`")).at(at, what).help(format!("write {remedy}"))
        }
        None => Diagnostic::error(format!("wrong value for `{key}`")).at(at, message),
    }
}

/// The diagnostic for a key that nobody knows.
pub(super) fn unknown_key<'k>(
    key: &str,
    at: Span,
    whose: String,
    known: impl Iterator<Item = &'k str> + Clone,
) -> Diagnostic {
    let help = did_you_mean(key, known.clone()).unwrap_or_else(|| {
        let mut known: Vec<_> = known.collect();
        known.sort_unstable();
        format!("the keys are {}", known.join(", "))
    });
    Diagnostic::error(format!("unknown key `{key}`")).at(at, format!("{whose} has no such key")).help(help)
}

/// The table a key stands in: `[policy.nightly]`, or `keep` of it.
fn whose_is(whose: &str, path: &[String]) -> String {
    match path.split_last() {
        Some((_, outer)) if !outer.is_empty() => format!("`{}`", outer.join(".")),
        _ => whose.to_owned(),
    }
}

/// The words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split('`').skip(1).step_by(2)
}

fn any_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

fn what_is(is: &str) -> &'static str {
    match is.split_whitespace().next() {
        Some("integer") => "a number",
        Some("floating") => "a number",
        Some("boolean") => "a boolean",
        Some("string") => "a text",
        Some("sequence") => "a list",
        Some("map") => "a table",
        _ => "something else",
    }
}

fn what_wants(wants: &str) -> &str {
    match wants {
        "a string" | "path string" => "a text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "u8" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i32" | "i8" => "a whole number",
        "a nonzero u32" => "a whole number above 0",
        wants if wants.starts_with("struct ") || wants == "a map" => "a table",
        wants => wants,
    }
}

/// What to write where a value has the wrong type.
fn type_help<T: DeserializeOwned>(entry: &Entry<'_>, wants: &str) -> Option<String> {
    if matches!(entry.value.get_ref(), DeValue::Datetime(_)) {
        return Some("write it in quotes: TOML takes a bare time for its own kind of value".into());
    }
    let raw = match entry.value.get_ref() {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        _ => return None,
    };
    match wants {
        "a sequence" => Some(format!("write [{raw}]")),
        "a string" | "path string" => Some(text_help::<T>(&entry.path).unwrap_or_else(|| format!("write \"{raw}\""))),
        _ => None,
    }
}

/// How a text for this key looks, as the key's own type tells when it is given one that cannot be right.
fn text_help<T: DeserializeOwned>(path: &[String]) -> Option<String> {
    let mut value = Spanned::new(0..0, DeValue::String("?".into()));
    for key in path.iter().rev() {
        let mut table = DeTable::new();
        table.insert(Spanned::new(0..0, key.as_str().into()), value);
        value = Spanned::new(0..0, DeValue::Table(table));
    }
    let error = T::deserialize(ValueDeserializer::from(value)).err()?;
    error.message().split_once(": write ").map(|(_, remedy)| format!("write {remedy}"))
}
