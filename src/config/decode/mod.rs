//! From a parsed table to an options struct, with every error of the table at its own place.
//!
//! Serde stops at the first error. So the table is tried whole; the entry an error points into is taken out, the error kept, and
//! what is left is tried again until it fits. An options struct has defaults for every key, so what is left always means something.

mod explain;

use std::ops::Range;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserializer, forward_to_deserialize_any};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::diagnostic::{Diagnostic, Findings};
use super::source::Span;
use explain::explain;

pub(super) use explain::unknown_key;

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
        let list = error.message().starts_with("invalid type: sequence");
        let wrong = if list { Vec::new() } else { elements::<T>(&entry, &span) };
        if wrong.is_empty() {
            found.push(explain::<T>(error.message(), &span, &entry, head.file, whose));
        }
        for (message, span) in wrong {
            found.push(explain::<T>(&message, &span, &entry, head.file, whose));
        }
    }
}

/// What was taken out of a table because it does not fit.
pub(super) struct Entry<'i> {
    /// The keys that lead to it, outermost first.
    pub path: Vec<String>,
    /// The place of the innermost key.
    pub key: Range<usize>,
    /// What was written there.
    pub value: Spanned<DeValue<'i>>,
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
pub(super) fn nest<'i>(path: &'i [String], value: Spanned<DeValue<'i>>) -> Spanned<DeValue<'i>> {
    path.iter().rev().fold(value, |value, key| {
        let mut table = DeTable::new();
        let span = value.span();
        table.insert(Spanned::new(span.clone(), key.as_str().into()), value);
        Spanned::new(span, DeValue::Table(table))
    })
}
