//! The `template` of a webhook: a text with placeholders, whose values are escaped for what the text is.

use super::message::{Message, escape_html};

/// What may stand in braces.
pub(crate) const PLACEHOLDERS: &[&str] =
    &["subject", "text", "body", "event", "at", "host", "database", "run", "backup", "destination", "error", "hint"];

/// What a text is, by its `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    Json,
    Form,
    Markup,
    Plain,
}

impl Escape {
    fn of(content: &str) -> Self {
        let content = content.to_ascii_lowercase();
        let has = |word: &str| content.contains(word);
        match () {
            () if has("json") => Self::Json,
            () if has("x-www-form-urlencoded") => Self::Form,
            () if has("html") || has("xml") => Self::Markup,
            () => Self::Plain,
        }
    }

    fn value(self, value: &str) -> String {
        match self {
            Self::Json => {
                // The quotes are the template's own.
                let quoted = serde_json::to_string(value).unwrap_or_default();
                quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
            }
            Self::Form => value.bytes().map(form).collect(),
            Self::Markup => escape_html(value),
            Self::Plain => value.to_owned(),
        }
    }
}

fn form(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}

/// What a template is when no header says it: JSON if it begins like it.
pub(super) fn content(template: &str) -> &'static str {
    if template.trim_start().starts_with(['{', '[']) && !begins_with_placeholder(template) {
        "application/json"
    } else {
        "text/plain; charset=utf-8"
    }
}

fn begins_with_placeholder(template: &str) -> bool {
    matches!(pieces(template.trim_start()).next(), Some(Piece::Placeholder(_)))
}

/// The template with the values of a message, each escaped for a text of the type `content`.
pub(super) fn fill(template: &str, content: &str, message: &Message) -> String {
    let escape = Escape::of(content);
    pieces(template)
        .map(|piece| match piece {
            Piece::Literal(text) => text.to_owned(),
            Piece::Placeholder(name) => escape.value(&message.part(name)),
        })
        .collect()
}

/// What is wrong with a template of the type `content` (`None`: nobody says it): a placeholder that does not exist, or JSON that
/// would be none.
///
/// # Errors
/// What is wrong, and what to write instead.
pub(crate) fn check(template: &str, header: Option<&str>) -> Result<(), (String, String)> {
    for piece in pieces(template) {
        if let Piece::Placeholder(name) = piece
            && !PLACEHOLDERS.contains(&name)
        {
            return Err((
                format!("there is no `{{{name}}}`"),
                format!("the placeholders are {}", PLACEHOLDERS.join(", ")),
            ));
        }
    }
    let content = header.unwrap_or_else(|| content(template));
    if Escape::of(content) != Escape::Json {
        return Ok(());
    }
    let sample: String = pieces(template)
        .map(|piece| match piece {
            Piece::Literal(text) => text,
            Piece::Placeholder(_) => "x",
        })
        .collect();
    match serde_json::from_str::<serde::de::IgnoredAny>(&sample) {
        Ok(_) => Ok(()),
        Err(e) => Err((
            format!("it is no JSON: {e}"),
            "write placeholders in quotes, like `{\"message\": \"{text}\"}`; if it is not meant as JSON, give a Content-Type in \
             `headers`"
                .into(),
        )),
    }
}

enum Piece<'a> {
    Literal(&'a str),
    /// The word between two braces.
    Placeholder(&'a str),
}

/// Braces around a word of small letters are a placeholder; any other brace is itself.
fn pieces(mut rest: &str) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, after)) = placeholder(rest) {
            rest = after;
            return Some(Piece::Placeholder(name));
        }
        let end = rest.char_indices().skip(1).find(|(at, _)| placeholder(rest.get(*at..).unwrap_or("")).is_some());
        let (literal, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        rest = after;
        Some(Piece::Literal(literal))
    })
}

fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    word.then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, Notice};

    fn message() -> Message {
        let text = "failed: \"a\" & <b>\\";
        Message::of(&Notice::new(Event::Failed, "2026-11-21T02:00:00Z".parse().unwrap(), "db1", None, text))
    }

    #[test]
    fn values_are_escaped_for_what_the_text_is() {
        let fill = |template: &str, content: &str| fill(template, content, &message());
        let json = fill("{\"m\": \"{text}\", \"d\": \"{database}\", \"x\": {}}", "application/json");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json, serde_json::json!({ "m": "failed: \"a\" & <b>\\", "d": "", "x": {} }));
        assert_eq!(fill("m={text}", "application/x-www-form-urlencoded"), "m=failed%3A%20%22a%22%20%26%20%3Cb%3E%5C");
        assert_eq!(fill("<m>{text}</m>", "text/xml"), "<m>failed: &quot;a&quot; &amp; &lt;b&gt;\\</m>");
        assert_eq!(fill("{event} {{host}} {Text} {", "text/plain"), "failed {db1} {Text} {");
    }

    #[test]
    fn a_value_that_ends_in_quotes_keeps_them() {
        let notice = Notice::new(Event::Failed, "2026-11-21T02:00:00Z".parse().unwrap(), "h", None, "\"\"a\"\"");
        let filled = fill("[\"{text}\"]", "application/json", &Message::of(&notice));
        assert_eq!(serde_json::from_str::<Vec<String>>(&filled).unwrap(), ["\"\"a\"\""]);
    }

    #[test]
    fn a_template_is_checked_before_it_is_used() {
        assert_eq!(check("{\"m\": \"{text} {host}\"}", None), Ok(()));
        assert_eq!(check("{event}: {text}", None), Ok(()));
        assert!(check("{txt}", None).unwrap_err().0.contains("{txt}"));
        assert!(check("{\"m\": \"{text}}", None).unwrap_err().0.contains("no JSON"));
        assert_eq!(check("{\"m\": \"{text}}", Some("text/plain")), Ok(()));
        assert!(check("{text}", Some("application/json")).is_err());
    }
}
