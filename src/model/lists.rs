//! Values that may be one thing or a list of them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

// Written by hand: an untagged enum would lose the place of an error within the list.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct One<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for One<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes, or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(text.into_deserializer()).map(|one| OneOrMany(vec![one]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany)
            }
        }

        from.deserialize_any(One(PhantomData))
    }
}

/// A list of names, or `"all"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListOrAll {
    /// Everything there is.
    All,
    /// These.
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for ListOrAll {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ListOrAll;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts, or \"all\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ListOrAll, E> {
                if text == "all" {
                    return Ok(ListOrAll::All);
                }
                Err(E::custom(format!("`{text}` is not a list: write [\"{text}\"], or \"all\"")))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<ListOrAll, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(ListOrAll::List)
            }
        }

        from.deserialize_any(Either)
    }
}
