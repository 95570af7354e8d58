//! Telling people: a message to mail, a webhook, a command and the like.
//!
//! [`send`] tells one [`Notify`] at once and says how it went. The [`Outbox`] is for who must not wait: it takes a notice, comes
//! back at once, and delivers it in a task of its own, again and again until it works or a day has passed.

mod command;
mod http;
pub(crate) mod mail;
mod message;
pub mod options;
mod outbox;
mod secrets;
mod services;
pub(crate) mod template;

use std::time::Duration;

use tokio::time::timeout;

pub use message::{Message, VERSION};
pub use options::{Notify, NotifyRule, NotifyType, wanted};
pub use outbox::{NotifierState, Outbox};

use self::secrets::Secrets;
use self::services::Ping;
use crate::error::{Error, Kind, Result};

/// How long one attempt to deliver may take, all in all.
pub const LIMIT: Duration = Duration::from_secs(30);
/// How long a connection may take to come about, and a mail server to answer a command.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Delivers a message now, once, within `limit`. It was taken when this returns; what the other side does with it, it alone
/// knows.
///
/// # Errors
/// Names the notifier and what went wrong, never a secret: a secret that cannot be fetched, nobody who answers (in time), an
/// answer that is no success, a command that fails.
pub async fn send(to: &Notify, message: &Message, limit: Duration) -> Result<()> {
    within(to, Some(message), limit).await
}

/// Tells a check of healthchecks that a run starts, so that it can measure it; nothing happens for any other type.
///
/// # Errors
/// As [`send`].
pub async fn started(to: &Notify, limit: Duration) -> Result<()> {
    within(to, None, limit).await
}

async fn within(to: &Notify, message: Option<&Message>, limit: Duration) -> Result<()> {
    let mut secrets = Secrets::default();
    let sent = match timeout(limit, deliver(&to.how, message, limit, &mut secrets)).await {
        Ok(sent) => sent,
        Err(_) => Err(Error::new(Kind::TimedOut, format!("not delivered within {} s", limit.as_secs_f32()))),
    };
    sent.map_err(|e| secrets.mask(&e.during(format!("cannot notify `{}` by {}", to.name, to.how.word()))))
}

async fn deliver(how: &NotifyType, message: Option<&Message>, limit: Duration, secrets: &mut Secrets) -> Result<()> {
    let Some(message) = message else {
        return match how {
            NotifyType::Healthchecks(to) => {
                services::healthchecks(to, Ping::Start, None, secrets).await?.send(limit).await
            }
            _ => Ok(()),
        };
    };
    let post = match how {
        NotifyType::Email(email) => return mail::send(email, message, limit, secrets).await,
        NotifyType::Command(command) => return command::run(command, message).await,
        NotifyType::Webhook(hook) => services::webhook(hook, message, secrets).await?,
        NotifyType::Healthchecks(to) => {
            services::healthchecks(to, Ping::of(message.event()), Some(message), secrets).await?
        }
        NotifyType::Slack(to) => services::slack(to, message, secrets).await?,
        NotifyType::Discord(to) => services::discord(to, message, secrets).await?,
        NotifyType::Telegram(to) => services::telegram(to, message, secrets).await?,
        NotifyType::Ntfy(to) => services::ntfy(to, message, secrets).await?,
        NotifyType::Gotify(to) => services::gotify(to, message, secrets).await?,
    };
    post.send(limit).await
}
