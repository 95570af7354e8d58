//! `[notify.NAME]`: who is told and how; and the rule of a policy that says of what.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::{Event, Name, OneOrMany, SecretRef};

/// `[notify.NAME]`
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// Its name.
    pub name: Name,
    /// How it tells.
    pub how: NotifyType,
}

/// A text, or a reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextOrSecret {
    /// As written.
    Text(String),
    /// Fetched when used.
    Secret(SecretRef),
}

impl<'de> Deserialize<'de> for TextOrSecret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = TextOrSecret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes, or a reference to a secret")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TextOrSecret, E> {
                Ok(TextOrSecret::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOrSecret, A::Error> {
                SecretRef::deserialize(MapAccessDeserializer::new(map)).map(TextOrSecret::Secret)
            }
        }

        from.deserialize_any(Either)
    }
}

/// One way to tell somebody, by the `type` of its table.
#[derive(Debug, Clone, PartialEq)]
pub enum NotifyType {
    /// Mail over SMTP.
    Email(Email),
    /// A POST with a JSON body.
    Webhook(Webhook),
    /// A command that gets the event on its stdin.
    Command(Command),
    /// A check of healthchecks.io or of a server like it.
    Healthchecks(Address),
    /// An incoming webhook of Slack.
    Slack(Address),
    /// A webhook of Discord.
    Discord(Address),
    /// A bot of Telegram.
    Telegram(Telegram),
    /// A topic of ntfy.
    Ntfy(Ntfy),
    /// A Gotify server.
    Gotify(Gotify),
}

impl NotifyType {
    /// Every `type`.
    pub const WORDS: &'static [&'static str] =
        &["email", "webhook", "command", "healthchecks", "slack", "discord", "telegram", "ntfy", "gotify"];

    /// The word of this type.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Webhook(_) => "webhook",
            Self::Command(_) => "command",
            Self::Healthchecks(_) => "healthchecks",
            Self::Slack(_) => "slack",
            Self::Discord(_) => "discord",
            Self::Telegram(_) => "telegram",
            Self::Ntfy(_) => "ntfy",
            Self::Gotify(_) => "gotify",
        }
    }

    /// Hands the options struct of `word` to `with`; `None` if there is no such type.
    pub(crate) fn of<W: With>(word: &str, with: &mut W) -> Option<Self> {
        Some(match word {
            "email" => Self::Email(with.with()),
            "webhook" => Self::Webhook(with.with()),
            "command" => Self::Command(with.with()),
            "healthchecks" => Self::Healthchecks(with.with()),
            "slack" => Self::Slack(with.with()),
            "discord" => Self::Discord(with.with()),
            "telegram" => Self::Telegram(with.with()),
            "ntfy" => Self::Ntfy(with.with()),
            "gotify" => Self::Gotify(with.with()),
            _ => return None,
        })
    }
}

/// Something that is done with whichever options struct a `type` has.
pub(crate) trait With {
    /// Does it.
    fn with<T: DeserializeOwned + Default>(&mut self) -> T;
}

/// `type = "email"`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Email {
    /// Addresses of readers. Must be said.
    pub to: OneOrMany<String>,
    /// The sender. Default: `qbackd@` and the name of the host.
    pub from: Option<String>,
    /// `HOST` or `HOST:PORT`. Default: `localhost:25`; without a port 465 with `tls`, 587 with `starttls` and a `username`, else 25.
    pub server: Option<String>,
    /// How the connection is protected. Default: `starttls`, or `none` to this host.
    pub tls: Option<MailTls>,
    /// The user to log in as.
    pub username: Option<String>,
    /// The password of `username`.
    pub password: Option<SecretRef>,
}

/// How mail travels to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// Plain text.
    None,
    /// Plain at first, then encrypted.
    StartTls,
    /// Encrypted from the first byte.
    Tls,
}

/// `type = "webhook"`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// Where to. Must be said.
    pub url: Option<TextOrSecret>,
    /// Headers to send along.
    pub headers: BTreeMap<String, TextOrSecret>,
    /// The body, with `{placeholders}`. Default: the JSON document.
    pub template: Option<String>,
}

/// `type = "command"`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Command {
    /// The command and its arguments; run without a shell. Must be said.
    pub command: Vec<String>,
}

/// `type = "healthchecks"`, `"slack"`, `"discord"`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Address {
    /// Where to; whoever knows it can write there, so better a reference to a secret. Must be said.
    pub url: Option<TextOrSecret>,
}

/// `type = "telegram"`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telegram {
    /// The token of the bot. Must be said.
    pub token: Option<SecretRef>,
    /// The chat. Must be said.
    pub chat: Option<String>,
    /// The server of the Bot API. Default: `https://api.telegram.org`.
    pub server: Option<String>,
}

/// `type = "ntfy"`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ntfy {
    /// The topic. Must be said.
    pub topic: Option<String>,
    /// The server. Default: `https://ntfy.sh`.
    pub server: Option<String>,
    /// The access token.
    pub token: Option<SecretRef>,
}

/// `type = "gotify"`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gotify {
    /// The server. Must be said.
    pub server: Option<String>,
    /// The token of the application. Must be said.
    pub token: Option<SecretRef>,
}

/// An element of a policy's `notify`: a name, or `{ to = "ops", on = ["failed"] }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyRule {
    /// The name of a `[notify.NAME]`.
    pub to: String,
    /// The events; empty for all but `succeeded`, and for all but `recovered` where a check of healthchecks is told.
    pub on: Vec<Event>,
}

/// Who is to be told of `event` by the rules of a policy, each once, in their order. `find` knows who is who by name.
pub fn wanted(rules: &[NotifyRule], event: Event, find: impl Fn(&str) -> Option<Arc<Notify>>) -> Vec<Arc<Notify>> {
    let mut named: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for rule in rules {
        let Some(notify) = find(&rule.to) else { continue };
        // A check that hears of no success raises an alarm of its own; that the success is a recovery too is no news to it.
        let check = matches!(notify.how, NotifyType::Healthchecks(_));
        let by_default = event != if check { Event::Recovered } else { Event::Succeeded };
        let told = if rule.on.is_empty() { by_default } else { rule.on.contains(&event) };
        if told && !named.contains(&rule.to.as_str()) {
            named.push(&rule.to);
            found.push(notify);
        }
    }
    found
}

impl<'de> Deserialize<'de> for NotifyRule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            to: String,
            #[serde(default)]
            on: Vec<Event>,
        }

        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = NotifyRule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name in quotes, or a table with `to` and `on`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<NotifyRule, E> {
                Ok(NotifyRule { to: text.to_owned(), on: Vec::new() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NotifyRule, A::Error> {
                let Whole { to, on } = Whole::deserialize(MapAccessDeserializer::new(map))?;
                Ok(NotifyRule { to, on })
            }
        }

        from.deserialize_any(Either)
    }
}
