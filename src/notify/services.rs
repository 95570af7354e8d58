//! What each service wants to be told over HTTP, by its own documentation.

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use super::http::Post;
use super::message::{Message, cut};
use super::options::{Address, Gotify, Ntfy, Telegram, TextOrSecret, Webhook};
use super::secrets::{Secrets, url};
use super::template;
use crate::error::{Error, Kind, Result};
use crate::model::{Event, SecretRef};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// The longest message Discord takes, in characters.
const DISCORD: usize = 2_000;
/// The longest message Telegram takes, in characters.
const TELEGRAM: usize = 4_096;
/// The longest message ntfy takes as text, in bytes; a character has four at most.
const NTFY: usize = 4_096 / 4;
/// The longest body a ping may have, in characters: 10 kB on old servers.
const PING: usize = 2_500;
/// A message of Discord without previews of links.
const SUPPRESS_EMBEDS: u32 = 4;

/// What healthchecks is told about a run, each at an endpoint of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ping {
    /// It started.
    Start,
    /// It went well.
    Success,
    /// It did not.
    Fail,
    /// Something that says neither.
    Log,
}

impl Ping {
    /// What an event means for a check.
    pub(super) fn of(event: Event) -> Self {
        match event {
            Event::Succeeded | Event::Recovered => Self::Success,
            Event::Failed | Event::Paused | Event::Stale | Event::CopyFailed | Event::LogGap | Event::DrillFailed => {
                Self::Fail
            }
            Event::SourceChanged
            | Event::SuspiciousSize
            | Event::LowSpace
            | Event::ConfigRejected
            | Event::WeeklySummary => Self::Log,
        }
    }

    fn path(self) -> Option<&'static str> {
        match self {
            Self::Success => None,
            Self::Start => Some("start"),
            Self::Fail => Some("fail"),
            Self::Log => Some("log"),
        }
    }
}

/// The message as JSON, or as the template says.
pub(super) async fn webhook(hook: &Webhook, message: &Message, secrets: &mut Secrets) -> Result<Post> {
    let url = secrets.address(hook.url.as_ref(), false).await?;
    let mut post = match &hook.template {
        None => Post::new(url, JSON, message.json()),
        Some(text) => {
            let written = hook.content_type().unwrap_or_else(|| template::content(text));
            Post::new(url, template::content(text), template::fill(text, written, message))
        }
    };
    for (name, value) in &hook.headers {
        let value = secrets.text(value).await?;
        post.header(name, value.expose())?;
    }
    Ok(post)
}

/// <https://healthchecks.io/docs/http_api/>
pub(super) async fn healthchecks(
    to: &Address,
    ping: Ping,
    message: Option<&Message>,
    secrets: &mut Secrets,
) -> Result<Post> {
    let mut url = secrets.address(to.url.as_ref(), true).await?;
    if let Some(end) = ping.path() {
        extend(&mut url, &[end])?;
    }
    let body = message.map(|message| cut(&format!("{}\n{}", message.subject(), message.text()), PING));
    Ok(Post::new(url, TEXT, body.unwrap_or_default()))
}

/// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>
pub(super) async fn slack(to: &Address, message: &Message, secrets: &mut Secrets) -> Result<Post> {
    let url = secrets.address(to.url.as_ref(), true).await?;
    // `<!channel>` in an error must not wake everybody.
    let text = chat(message).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(Post::new(url, JSON, json!({ "text": text, "mrkdwn": false }).to_string()))
}

/// <https://discord.com/developers/docs/resources/webhook#execute-webhook>
pub(super) async fn discord(to: &Address, message: &Message, secrets: &mut Secrets) -> Result<Post> {
    let url = secrets.address(to.url.as_ref(), true).await?;
    let body = json!({
        "content": cut(&chat(message), DISCORD),
        "allowed_mentions": { "parse": [] },
        "flags": SUPPRESS_EMBEDS,
    });
    Ok(Post::new(url, JSON, body.to_string()))
}

/// <https://core.telegram.org/bots/api#sendmessage>
pub(super) async fn telegram(to: &Telegram, message: &Message, secrets: &mut Secrets) -> Result<Post> {
    let token = fetch(to.token.as_ref(), secrets).await?;
    let mut url = url(to.server.as_deref().unwrap_or("https://api.telegram.org"))?;
    extend(&mut url, &[&format!("bot{token}"), "sendMessage"])?;
    let body = json!({
        "chat_id": to.chat,
        "text": cut(&chat(message), TELEGRAM),
        "link_preview_options": { "is_disabled": true },
        "disable_notification": !message.is_alarm(),
    });
    Ok(Post::new(url, JSON, body.to_string()))
}

/// <https://docs.ntfy.sh/publish/#publish-as-json>
pub(super) async fn ntfy(to: &Ntfy, message: &Message, secrets: &mut Secrets) -> Result<Post> {
    let url = url(to.server.as_deref().unwrap_or("https://ntfy.sh"))?;
    let body = json!({
        "topic": to.topic,
        "title": message.subject(),
        "message": cut(&message.text(), NTFY),
        "priority": if message.is_alarm() { 4 } else { 3 },
        "tags": [if message.is_alarm() { "warning" } else { "white_check_mark" }],
    });
    let mut post = Post::new(url, JSON, body.to_string());
    if to.token.is_some() {
        post.header("Authorization", &format!("Bearer {}", fetch(to.token.as_ref(), secrets).await?))?;
    }
    Ok(post)
}

/// <https://gotify.net/docs/pushmsg>
pub(super) async fn gotify(to: &Gotify, message: &Message, secrets: &mut Secrets) -> Result<Post> {
    let mut url = url(to.server.as_deref().unwrap_or_default())?;
    extend(&mut url, &["message"])?;
    let body = json!({
        "title": message.subject(),
        "message": message.text(),
        "priority": if message.is_alarm() { 8 } else { 4 },
    });
    let mut post = Post::new(url, JSON, body.to_string());
    post.header("X-Gotify-Key", &fetch(to.token.as_ref(), secrets).await?)?;
    Ok(post)
}

/// What is written into a chat.
fn chat(message: &Message) -> String {
    format!("{}\n{}", message.subject(), message.text())
}

async fn fetch(token: Option<&SecretRef>, secrets: &mut Secrets) -> Result<String> {
    let Some(token) = token else { return Err(Error::new(Kind::Configuration, "no `token` is configured")) };
    Ok(secrets.fetch(token).await?.expose().to_owned())
}

/// Adds parts to a path; what stands behind it stays there.
fn extend(url: &mut Url, parts: &[&str]) -> Result<()> {
    let Ok(mut path) = url.path_segments_mut() else {
        return Err(Error::new(Kind::Configuration, "the address is no web address"));
    };
    path.pop_if_empty().extend(parts);
    Ok(())
}

impl Webhook {
    /// The `Content-Type` that is written among the headers; one that is a secret is not looked at.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.headers.iter().find_map(|(name, value)| match value {
            TextOrSecret::Text(text) if name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()) => Some(text.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_grows_and_its_query_stays() {
        for (from, to) in [
            ("https://hc-ping.com/uuid", "https://hc-ping.com/uuid/fail"),
            ("https://hc-ping.com/uuid/", "https://hc-ping.com/uuid/fail"),
            ("https://hc-ping.com/key/slug?create=1", "https://hc-ping.com/key/slug/fail?create=1"),
        ] {
            let mut url = Url::parse(from).unwrap();
            extend(&mut url, &["fail"]).unwrap();
            assert_eq!(url.as_str(), to);
        }
    }
}
