//! What somebody is told: a subject, a text, HTML and a JSON document, made of a [`Notice`].
//!
//! Nothing in a notice is trusted: it quotes tools, servers and file names. Each part is made harmless for where it goes, and
//! is one line of bounded length before that, so that no mail header, terminal or chat obeys it.

use serde::Serialize;

use crate::model::{Event, Notice};

/// The version of the JSON document. A key that is added does not raise it; one that goes or changes its meaning does.
pub const VERSION: u32 = 1;
/// How long each part of a notice may be, in characters; what is longer is cut.
const LONGEST: usize = 2_000;
/// How long the part of a subject that says what happened may be, in characters.
const SUBJECT: usize = 80;

/// What goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    notice: Notice,
    test: bool,
    lost: u64,
}

/// The JSON document (qbackd.toml(5) describes it).
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    test: bool,
    event: Event,
    at: String,
    host: &'a str,
    subject: String,
    text: &'a str,
    database: Option<String>,
    run: Option<String>,
    backup: Option<String>,
    destination: Option<&'a str>,
    error: Option<&'a str>,
    hint: Option<&'a str>,
    details: Vec<Detail<'a>>,
    lost: u64,
}

#[derive(Serialize)]
struct Detail<'a> {
    name: &'a str,
    value: &'a str,
}

impl Message {
    /// The message that tells of `notice`.
    pub fn of(notice: &Notice) -> Self {
        let mut notice = notice.clone();
        notice.host = clean(&notice.host);
        notice.text = clean(&notice.text);
        for part in [&mut notice.destination, &mut notice.error, &mut notice.hint] {
            *part = part.as_deref().map(clean).filter(|text| !text.is_empty());
        }
        for (name, value) in &mut notice.details {
            (*name, *value) = (clean(name), clean(value));
        }
        Self { notice, test: false, lost: 0 }
    }

    /// The same, marked as a test: nothing happened.
    #[must_use]
    pub fn as_test(mut self) -> Self {
        self.test = true;
        self
    }

    /// The same, which also says how many messages before it were given up.
    #[must_use]
    pub fn after_lost(mut self, lost: u64) -> Self {
        self.lost = lost;
        self
    }

    /// What happened.
    pub fn event(&self) -> Event {
        self.notice.event
    }

    /// When it happened.
    pub fn at(&self) -> jiff::Timestamp {
        self.notice.at
    }

    /// The name of the machine.
    pub fn host(&self) -> &str {
        &self.notice.host
    }

    /// Whether somebody should look now: no for a test, a success, a recovery and a summary.
    pub fn is_alarm(&self) -> bool {
        !self.test && !matches!(self.notice.event, Event::Succeeded | Event::Recovered | Event::WeeklySummary)
    }

    /// One line: `[qbackd] shop: backup failed on db1`.
    pub fn subject(&self) -> String {
        let whole = &self.notice.text;
        let happened = cut(whole.split_once(": ").map_or(whole.as_str(), |(head, _)| head), SUBJECT);
        let test = if self.test { "test: " } else { "" };
        match &self.notice.database {
            Some(database) => format!("[qbackd] {test}{database}: {happened} on {}", self.notice.host),
            None => format!("[qbackd] {test}{happened} on {}", self.notice.host),
        }
    }

    /// All of it for people, in lines.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.headline());
        if let Some(hint) = &self.notice.hint {
            text += &format!("\nWhat to do: {hint}\n");
        }
        text.push('\n');
        for (name, value) in self.facts() {
            text += &format!("{name}: {value}\n");
        }
        text
    }

    /// All of it for people, as a page without anything from elsewhere.
    pub fn html(&self) -> String {
        let hint = self.notice.hint.as_deref().map(|hint| format!("<p>What to do: {}</p>\n", escape_html(hint)));
        let rows: String = self
            .facts()
            .iter()
            .map(|(name, value)| {
                let (name, value) = (escape_html(name), escape_html(value));
                format!("<tr><td style=\"padding-right: 1em\">{name}</td><td>{value}</td></tr>\n")
            })
            .collect();
        format!(
            "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{}</title></head><body>\n<p><b>{}</b></p>\n{}\
             <table>\n{rows}</table>\n</body></html>\n",
            escape_html(&self.subject()),
            escape_html(&self.headline()),
            hint.unwrap_or_default(),
        )
    }

    /// All of it for programs, on one line.
    pub fn json(&self) -> String {
        let notice = &self.notice;
        let document = Document {
            version: VERSION,
            test: self.test,
            event: notice.event,
            at: self.time(),
            host: &notice.host,
            subject: self.subject(),
            text: &notice.text,
            database: notice.database.as_ref().map(ToString::to_string),
            run: notice.run.as_ref().map(ToString::to_string),
            backup: notice.backup.as_ref().map(ToString::to_string),
            destination: notice.destination.as_deref(),
            error: notice.error.as_deref(),
            hint: notice.hint.as_deref(),
            details: notice.details.iter().map(|(name, value)| Detail { name, value }).collect(),
            lost: self.lost,
        };
        // Texts and numbers: there is nothing in it that JSON has no words for.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// One part of it by the name it has in JSON, or `body` for all of [`text`](Self::text). Empty if there is none.
    pub fn part(&self, name: &str) -> String {
        let notice = &self.notice;
        match name {
            "subject" => self.subject(),
            "body" => self.text(),
            "text" => notice.text.clone(),
            "event" => notice.event.to_string(),
            "at" => self.time(),
            "host" => notice.host.clone(),
            "database" => notice.database.as_ref().map(ToString::to_string).unwrap_or_default(),
            "run" => notice.run.as_ref().map(ToString::to_string).unwrap_or_default(),
            "backup" => notice.backup.as_ref().map(ToString::to_string).unwrap_or_default(),
            "destination" => notice.destination.clone().unwrap_or_default(),
            "error" => notice.error.clone().unwrap_or_default(),
            "hint" => notice.hint.clone().unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// `shop: backup failed: connection refused`
    fn headline(&self) -> String {
        match &self.notice.database {
            Some(database) => format!("{database}: {}", self.notice.text),
            None => self.notice.text.clone(),
        }
    }

    fn time(&self) -> String {
        format!("{:.0}", self.notice.at)
    }

    /// What is known, in the order people read it.
    fn facts(&self) -> Vec<(String, String)> {
        let notice = &self.notice;
        let mut facts = Vec::new();
        let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
        if self.test {
            add("test", "yes, nothing happened".into());
        }
        add("event", notice.event.to_string());
        add("host", notice.host.clone());
        add("time", self.time());
        if let Some(error) = notice.error.as_ref().filter(|error| !notice.text.contains(error.as_str())) {
            add("error", error.clone());
        }
        if let Some(run) = &notice.run {
            add("run", run.to_string());
        }
        if let Some(backup) = &notice.backup {
            add("backup", backup.to_string());
        }
        if let Some(destination) = &notice.destination {
            add("destination", destination.clone());
        }
        facts.extend(notice.details.iter().cloned());
        if self.lost > 0 {
            facts.push(("not delivered before this one".into(), self.lost.to_string()));
        }
        facts
    }
}

/// One line of bounded length that moves no cursor and does not change the direction of what is read.
pub(super) fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let harmless: String =
        text.trim().chars().filter(|c| !turns(*c)).map(|c| if breaks(c) { ' ' } else { c }).collect();
    cut(harmless.trim_end(), LONGEST)
}

/// The text, or its first characters and an ellipsis: `most` characters at most.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Text as it may stand between tags and in quoted attributes.
pub(super) fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(text: &str) -> Notice {
        let at = "2026-11-21T02:00:00Z".parse().unwrap();
        let mut notice = Notice::new(Event::Failed, at, "db1", Some(&"shop".parse().unwrap()), text);
        notice.error = Some("connection refused".into());
        notice.hint = Some("is it running?".into());
        notice.details = vec![("attempts".into(), "2".into())];
        notice
    }

    #[test]
    fn a_message_says_what_happened_where_and_what_to_do() {
        let message = Message::of(&notice("backup failed: connection refused"));
        assert_eq!(message.subject(), "[qbackd] shop: backup failed on db1");
        assert_eq!(
            message.text(),
            "shop: backup failed: connection refused\n\nWhat to do: is it running?\n\nevent: failed\nhost: db1\n\
             time: 2026-11-21T02:00:00Z\nattempts: 2\n"
        );
        assert!(message.is_alarm() && !message.clone().as_test().is_alarm());
        assert!(message.as_test().subject().starts_with("[qbackd] test: shop:"));
    }

    #[test]
    fn the_json_document_has_all_its_keys_whether_there_is_a_value_or_not() {
        let message = Message::of(&notice("backup failed: \"x\"")).after_lost(3);
        let document: serde_json::Value = serde_json::from_str(&message.json()).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "version": 1, "test": false, "event": "failed", "at": "2026-11-21T02:00:00Z", "host": "db1",
                "subject": "[qbackd] shop: backup failed on db1", "text": "backup failed: \"x\"", "database": "shop",
                "run": null, "backup": null, "destination": null, "error": "connection refused", "hint": "is it running?",
                "details": [{ "name": "attempts", "value": "2" }], "lost": 3,
            })
        );
    }

    #[test]
    fn nothing_in_a_notice_breaks_out_of_its_line_or_of_the_page() {
        let evil = "a\r\nBcc: x@y\u{1b}[2J\u{202e}<script>alert('1')</script>&\"";
        let mut evil_notice = notice(evil);
        evil_notice.host = evil.into();
        evil_notice.details = vec![(evil.into(), evil.into())];
        let message = Message::of(&evil_notice);
        let turned = |text: &str| text.contains(['\r', '\u{1b}', '\u{202e}']);
        assert!(!message.subject().contains('\n') && !turned(&message.subject()), "{:?}", message.subject());
        assert!(!message.text().lines().any(|line| line.starts_with("Bcc")) && !turned(&message.text()));
        assert!(!message.html().contains("<script") && !turned(&message.html()), "{}", message.html());
        assert_eq!(clean(&"x".repeat(1_000_000)).chars().count(), LONGEST);
    }
}
