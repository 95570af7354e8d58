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
    let mut shortened: Vec<String> = Vec::new();
    loop {
        let whole = Spanned::new(head.start..head.end, DeValue::Table(table.clone()));
        let error = match T::deserialize(ValueDeserializer::from(whole)) {
            Ok(decoded) if shortened.is_empty() => return decoded,
            // Elements are known by their number; a list that lost some would be taken for another, so it goes as a whole.
            Ok(_) => {
                for key in std::mem::take(&mut shortened) {
                    table.remove(key.as_str());
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
        if entry.in_list
            && let Some(key) = entry.path.first()
        {
            shortened.push(key.clone());
        }
        let wrong = elements::<T>(&entry, &span);
        if wrong.is_empty() {
            found.push(explain::<T>(error.message(), &span, &entry, head.file, whose));
        }
        for (message, span) in wrong {
            found.push(explain::<T>(&message, &span, &entry, head.file, whose));
        }
    }
}

/// What was taken out of a table because it does not fit.
struct Entry<'i> {
    /// The keys that lead to it, outermost first.
    path: Vec<String>,
    key: Range<usize>,
    value: Spanned<DeValue<'i>>,
    /// Whether it was in a list.
    in_list: bool,
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Takes the innermost entry that `span` points into out of `table`.
fn take_out<'i>(table: &mut DeTable<'i>, span: &Range<usize>) -> Option<Entry<'i>> {
    let mut here = None;
    let mut inner = None;
    for (key, value) in table.iter_mut() {
        let name = key.get_ref().clone();
        if let Some(mut entry) = inside(value, span) {
            entry.path.insert(0, name.to_string());
            if entry.key.is_empty() {
                entry.key = key.span();
            }
            let hollow = matches!(value.get_ref(), DeValue::Table(rest) if rest.is_empty());
            inner = Some((entry, hollow.then_some(name)));
            break;
        }
        if holds(&key.span(), span) || holds(&value.span(), span) {
            here = Some((name, key.span()));
        }
    }
    if let Some((entry, hollow)) = inner {
        // A table that lost its only key would be complained of for being empty.
        if let Some(name) = hollow {
            table.remove(name.as_ref());
        }
        return Some(entry);
    }
    let (name, key) = here?;
    let (_, value) = table.remove_entry(name.as_ref())?;
    Some(Entry { path: vec![name.into_owned()], key, value, in_list: false })
}

fn inside<'i>(value: &mut Spanned<DeValue<'i>>, span: &Range<usize>) -> Option<Entry<'i>> {
    match value.get_mut() {
        DeValue::Table(table) => take_out(table, span),
        DeValue::Array(array) => {
            if let Some(entry) = array.iter_mut().find_map(|item| inside(item, span)) {
                return Some(Entry { in_list: true, ..entry });
            }
            let at = array.iter().position(|item| holds(&item.span(), span))?;
            let mut kept = DeArray::new();
            let mut out = None;
            for (i, item) in std::mem::replace(array, DeArray::new()).into_iter().enumerate() {
                if i == at {
                    out = Some(item);
                } else {
                    kept.push(item);
                }
            }
            *array = kept;
            Some(Entry { path: Vec::new(), key: 0..0, value: out?, in_list: true })
        }
        _ => None,
    }
}

/// Which elements of a list are wrong, and why, where the error points to the list as a whole: each is tried alone.
fn elements<T: DeserializeOwned>(entry: &Entry<'_>, span: &Range<usize>) -> Vec<(String, Range<usize>)> {
    let DeValue::Array(array) = entry.value.get_ref() else { return Vec::new() };
    if entry.in_list || entry.value.span() != *span {
        return Vec::new();
    }
    let wrong = |item: &Spanned<DeValue<'_>>| {
        let mut alone = DeArray::new();
        alone.push(item.clone());
        let value = nest(&entry.path, Spanned::new(entry.value.span(), DeValue::Array(alone)));
        let error = T::deserialize(ValueDeserializer::from(value)).err()?;
        Some((error.message().to_owned(), item.span()))
    };
    array.iter().filter_map(wrong).collect()
}

/// The table that holds `value` under these keys.
fn nest<'i>(path: &'i [String], value: Spanned<DeValue<'i>>) -> Spanned<DeValue<'i>> {
    path.iter().rev().fold(value, |value, key| {
        let mut table = DeTable::new();
        let span = value.span();
        table.insert(Spanned::new(span.clone(), key.as_str().into()), value);
        Spanned::new(span, DeValue::Table(table))
    })
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
        if *span == entry.key {
            return unknown_key(word, at, whose_is(whose, &entry.path), quoted(expected));
        }
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
        let bare_time = matches!(entry.value.get_ref(), DeValue::Datetime(_));
        let is = if bare_time { "a time" } else { what_is(is) };
        let said = format!("this is {is}, expected {}", what_wants(wants));
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
    let value = nest(path, Spanned::new(0..0, DeValue::String("?".into())));
    let error = T::deserialize(ValueDeserializer::from(value)).err()?;
    error.message().split_once(": write ").map(|(_, remedy)| format!("write {remedy}"))
}
