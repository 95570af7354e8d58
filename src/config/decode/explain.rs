//! What serde says about a value that does not fit, in words a sysadmin can use.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use super::{Entry, nest};
use crate::config::diagnostic::{Diagnostic, did_you_mean};
use crate::config::mask::is_secret;
use crate::config::source::Span;

/// Says in our words what serde found.
pub(super) fn explain<T: DeserializeOwned>(
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
pub(in crate::config) fn unknown_key<'k>(
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
        "a boolean" => match raw.trim_matches('"') {
            "yes" | "on" | "true" | "1" => Some("write true".into()),
            "no" | "off" | "false" | "0" => Some("write false".into()),
            _ => None,
        },
        "u32" | "i32" if raw.trim_matches('"').parse::<i64>().is_ok() => {
            Some(format!("write {} without quotes", raw.trim_matches('"')))
        }
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
