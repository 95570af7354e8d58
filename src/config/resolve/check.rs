//! Checks that many tables share.

use std::path::Path;

use super::Resolver;
use crate::config::diagnostic::{Diagnostic, did_you_mean};
use crate::config::document::Section;
use crate::config::source::Span;
use crate::model::{SecretRef, Timespan};
use crate::notify::options::TextOrSecret;
use crate::retention::Keep;

impl Resolver<'_, '_> {
    /// A path must be absolute: the daemon has no working directory worth the name.
    pub(super) fn absolute(&mut self, key: &str, path: &Path, at: Span) -> bool {
        if path.is_absolute() {
            return true;
        }
        let shown = path.display();
        let help = if path.as_os_str().is_empty() {
            "write a path that begins with `/`".to_owned()
        } else if path.starts_with("~") {
            "`~` is not expanded; write the home directory out".to_owned()
        } else {
            format!("write an absolute one, like `/{shown}`")
        };
        self.error(format!("`{key}` must be an absolute path"), at, "this is relative", help);
        false
    }

    /// A named file: absolute, and a warning when it is absent (runs make that an error).
    pub(super) fn file(&mut self, key: &str, path: &Path, at: Span) {
        if self.absolute(key, path, at) && matches!(path.try_exists(), Ok(false)) {
            self.found.push(Diagnostic::warning(format!("{} does not exist", path.display())).at(at, "named here"));
        }
    }

    /// A length of time that must not be nothing.
    pub(super) fn positive(&mut self, key: &str, span: Option<Timespan>, at: Span) {
        if span.is_some_and(|span| span.0.is_zero()) {
            self.error(format!("`{key}` cannot be 0"), at, "expected a length of time above 0", "");
        }
    }

    /// A number that has limits.
    pub(super) fn within(&mut self, key: &str, value: i64, limits: std::ops::RangeInclusive<i64>, at: Span) {
        if !limits.contains(&value) {
            let label = format!("expected {} to {}", limits.start(), limits.end());
            self.error(format!("`{key}` cannot be {value}"), at, label, "");
        }
    }

    /// A text that must say something.
    pub(super) fn said(&mut self, key: &str, text: &str, at: Span) {
        if text.trim().is_empty() {
            self.error(format!("`{key}` is empty"), at, "nothing is written here", "");
        }
    }

    /// A command as a list of words.
    pub(super) fn command(&mut self, key: &str, words: &[String], section: &Section<'_>) {
        if !section.has(key) {
            return;
        }
        match words.first() {
            None if section.is_empty_list(key) => self.error(
                format!("`{key}` is empty"),
                section.value(key),
                "no command",
                format!("write the program and its arguments, like `{key} = [\"/usr/bin/tool\", \"--all\"]`"),
            ),
            None => {}
            Some(program) if program.contains(char::is_whitespace) && words.len() == 1 => self.error(
                format!("`{key}` runs no shell"),
                section.element(key, 0),
                "one word with spaces",
                "write each argument as a text of its own, or `[\"/bin/sh\", \"-c\", \"…\"]`",
            ),
            Some(program) => self.said(key, program, section.element(key, 0)),
        }
    }

    /// A reference to a secret. The secret itself is not looked at.
    pub(super) fn secret(&mut self, key: &str, secret: &SecretRef, at: Span) {
        match secret {
            SecretRef::File(path) => self.file(&format!("{key}.file"), path, at),
            SecretRef::Env(name) if name.is_empty() || name.contains(['=', '\0']) => {
                self.error(format!("`{key}.env` is no name of a variable"), at, "no such variable can exist", "");
            }
            SecretRef::Credential(name) if name.is_empty() || name.contains('/') => self.error(
                format!("`{key}.credential` is no name of a systemd credential"),
                at,
                "write the name alone",
                "the directory is systemd's; see LoadCredential= in systemd.exec(5)",
            ),
            SecretRef::Command(words) if words.first().is_none_or(|word| word.trim().is_empty()) => self.error(
                format!("`{key}.command` is empty"),
                at,
                "no command",
                format!("write the program and its arguments, like `{key}.command = [\"pass\", \"show\", \"db\"]`"),
            ),
            _ => {}
        }
    }

    /// [`secret`](Self::secret) where a text may stand as well.
    pub(super) fn text_or_secret(&mut self, key: &str, value: &TextOrSecret, at: Span) {
        match value {
            TextOrSecret::Text(text) => self.said(key, text, at),
            TextOrSecret::Secret(secret) => self.secret(key, secret, at),
        }
    }

    /// A name that must be one of `[kind.NAME]`. Tells whether it is.
    pub(super) fn reference(&mut self, kind: &str, name: &str, at: Span) -> bool {
        if self.document.get(kind, name).is_some() {
            return true;
        }
        let help = did_you_mean(name, self.document.names(kind)).unwrap_or_else(|| self.names(kind));
        self.found.push(
            Diagnostic::error(format!("unknown {kind} `{name}`"))
                .at(at, format!("no [{kind}.{name}] is defined"))
                .help(help)
                .about_absence(),
        );
        false
    }

    /// What is defined of a kind.
    pub(super) fn names(&self, kind: &str) -> String {
        let names: Vec<_> = self.document.names(kind).take(10).collect();
        if names.is_empty() {
            format!("none is defined yet; write [{kind}.NAME]")
        } else {
            format!("defined: {}", names.join(", "))
        }
    }

    /// Rules of retention.
    pub(super) fn keep(&mut self, keep: &Keep, section: &Section<'_>) {
        let written = matches!(
            section.table.get("keep").map(toml::Spanned::get_ref),
            Some(toml::de::DeValue::Table(table)) if table.is_empty()
        );
        if written && keep.is_empty() {
            self.error(
                "`keep` has no rule",
                section.value("keep"),
                "keeps nothing, or everything?",
                "leave `keep` out to keep everything, or write rules like `{ daily = 7, weekly = 4 }`",
            );
        }
        for (key, age) in keep.ages() {
            let at = section.at("keep", &[key]);
            self.positive(&format!("keep.{key}"), age, at);
            if age.is_some() {
                self.note("keep", key, at);
            }
        }
    }
}
