//! `[notify.NAME]`

use serde::de::DeserializeOwned;
use toml::de::DeValue;

use super::Resolver;
use crate::config::decode::{decode, fields};
use crate::config::diagnostic::{Diagnostic, Findings, did_you_mean};
use crate::config::document::Section;
use crate::model::Name;
use crate::notify::mail::{self, Server};
use crate::notify::options::{Email, TextOrSecret, Webhook, With};
use crate::notify::{Notify, NotifyType, template};

struct Decode<'a, 's> {
    section: &'a Section<'s>,
    found: &'a mut Findings,
}

impl With for Decode<'_, '_> {
    fn with<T: DeserializeOwned + Default>(&mut self) -> T {
        let mut table = self.section.table.clone();
        table.remove("type");
        decode(table, self.section.head, &self.section.title, self.found)
    }
}

/// The keys of a `type`, besides `type` itself.
pub(in crate::config) fn keys(word: &str) -> &'static [&'static str] {
    struct Ask(&'static [&'static str]);

    impl With for Ask {
        fn with<T: DeserializeOwned + Default>(&mut self) -> T {
            self.0 = fields::<T>();
            T::default()
        }
    }

    let mut ask = Ask(&[]);
    NotifyType::of(word, &mut ask);
    ask.0
}

impl Resolver<'_, '_> {
    pub(super) fn notify(&mut self, name: &Name, section: &Section<'_>) -> Option<Notify> {
        let types = || format!("the types are {}", NotifyType::WORDS.join(", "));
        let word = match section.table.get("type").map(toml::Spanned::get_ref) {
            Some(DeValue::String(word)) => word.to_string(),
            Some(_) => {
                self.error("`type` has the wrong type", section.value("type"), "expected a text in quotes", types());
                return None;
            }
            None => {
                self.error(format!("{} has no `type`", section.title), section.head, "no `type` here", types());
                return None;
            }
        };
        let Some(how) = NotifyType::of(&word, &mut Decode { section, found: self.found }) else {
            self.found.push(
                Diagnostic::error(format!("unknown type `{word}`"))
                    .at(section.value("type"), "nobody can be told that way")
                    .help(did_you_mean(&word, NotifyType::WORDS.iter().copied()).unwrap_or_else(types)),
            );
            return None;
        };
        self.complete(&how, section);
        Some(Notify { name: name.clone(), how })
    }

    fn complete(&mut self, how: &NotifyType, section: &Section<'_>) {
        match how {
            NotifyType::Email(email) => {
                self.needs(section, &["to"]);
                self.email(email, section);
            }
            NotifyType::Webhook(hook) => {
                self.needs(section, &["url"]);
                self.webhook(hook, section);
            }
            NotifyType::Command(command) => {
                self.needs(section, &["command"]);
                self.command("command", &command.command, section);
            }
            NotifyType::Healthchecks(to) | NotifyType::Slack(to) | NotifyType::Discord(to) => {
                self.needs(section, &["url"]);
                self.address(to.url.as_ref(), section);
            }
            NotifyType::Telegram(bot) => {
                self.needs(section, &["token", "chat"]);
                if let Some(token) = &bot.token {
                    self.secret("token", token, section.value("token"));
                }
                self.web(bot.server.as_deref(), "server", section);
            }
            NotifyType::Ntfy(ntfy) => {
                self.needs(section, &["topic"]);
                if let Some(token) = &ntfy.token {
                    self.secret("token", token, section.value("token"));
                }
                self.web(ntfy.server.as_deref(), "server", section);
            }
            NotifyType::Gotify(gotify) => {
                self.needs(section, &["server", "token"]);
                if let Some(token) = &gotify.token {
                    self.secret("token", token, section.value("token"));
                }
                self.web(gotify.server.as_deref(), "server", section);
            }
        }
    }

    fn email(&mut self, email: &Email, section: &Section<'_>) {
        for (i, address) in email.to.0.iter().chain(&email.from).enumerate() {
            let at = if i < email.to.0.len() { section.element("to", i) } else { section.value("from") };
            if !mail::is_address(address) {
                self.error("this is no mail address", at, "expected one like `ops@example.org`", "");
            }
        }
        match Server::of(email) {
            None => {
                self.error("`server` is no mail server", section.value("server"), "expected `HOST` or `HOST:PORT`", "")
            }
            Some(server) if email.password.is_some() && !server.keeps_secrets() => self.error(
                "the password would be sent in plain text",
                section.value("tls"),
                "nothing protects it on its way",
                "write `tls = \"starttls\"` or `\"tls\"`",
            ),
            Some(_) => {}
        }
        match (&email.username, &email.password) {
            (Some(_), None) => {
                self.error("`username` without `password`", section.value("username"), "who is that?", "")
            }
            (None, Some(_)) => {
                self.error("`password` without `username`", section.value("password"), "whose is it?", "")
            }
            _ => {}
        }
        if let Some(password) = &email.password {
            self.secret("password", password, section.value("password"));
        }
    }

    fn webhook(&mut self, hook: &Webhook, section: &Section<'_>) {
        self.address(hook.url.as_ref(), section);
        for (header, value) in &hook.headers {
            self.text_or_secret(&format!("headers.{header}"), value, section.at("headers", &[header]));
        }
        if let Some(text) = &hook.template
            && let Err((wrong, help)) = template::check(text, hook.content_type())
        {
            self.error("`template` cannot be used", section.value("template"), wrong, help);
        }
    }

    fn needs(&mut self, section: &Section<'_>, keys: &[&str]) {
        for key in keys.iter().filter(|key| !section.has(key)) {
            self.found.push(
                Diagnostic::error(format!("{} has no `{key}`", section.title))
                    .at(section.head, format!("no `{key}` here"))
                    .about_absence(),
            );
        }
    }

    fn address(&mut self, url: Option<&TextOrSecret>, section: &Section<'_>) {
        match url {
            Some(TextOrSecret::Text(text)) => self.web(Some(text), "url", section),
            Some(TextOrSecret::Secret(secret)) => self.secret("url", secret, section.value("url")),
            None => {}
        }
    }

    /// An address of the web.
    fn web(&mut self, url: Option<&str>, key: &str, section: &Section<'_>) {
        if url.is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
            self.error(format!("`{key}` is no web address"), section.value(key), "expected `https://…`", "");
        }
    }
}
