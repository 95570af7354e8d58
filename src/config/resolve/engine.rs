//! Which engine a database has, and whether it can do what its tables ask.

use std::path::Path;

use super::Resolver;
use super::database::Parts;
use super::url::Url;
use crate::config::diagnostic::{Diagnostic, did_you_mean};
use crate::config::document::Section;
use crate::engine::{EngineKind, kinds, registry};
use crate::model::Method;

impl Resolver<'_, '_> {
    /// The engine by `engine` or by the URL's scheme; where both speak they must agree.
    pub(super) fn engine(&mut self, section: &Section<'_>, parts: &Parts) -> Option<&'static EngineKind> {
        let named = match parts.options.engine.as_deref() {
            Some(name) => {
                let kind = registry::by_name(name);
                if kind.is_none() {
                    let names = kinds().iter().map(|kind| kind.name);
                    let help = did_you_mean(name, names.clone())
                        .unwrap_or_else(|| format!("the engines are {}", names.collect::<Vec<_>>().join(", ")));
                    self.error(format!("unknown engine `{name}`"), section.value("engine"), "no such engine", help);
                }
                kind
            }
            None => None,
        };
        let meant = parts.source.url.as_deref().and_then(|url| self.scheme(url, section));
        match (named, meant) {
            (Some(named), Some(meant)) if named.name != meant.name => {
                self.found.push(
                    Diagnostic::error(format!("`engine` and `url` of {} disagree", section.title))
                        .at(section.value("engine"), format!("this says `{}`", named.name))
                        .at(section.value("url"), format!("this means `{}`", meant.name))
                        .help(format!("leave `engine` out, or write `{}://…`", named.schemes.first().unwrap_or(&"…"))),
                );
                None
            }
            (None, None) => {
                if !section.has("engine") && !section.has("url") {
                    self.found.push(
                        Diagnostic::error(format!("{} has no `url`", section.title))
                            .at(section.head, "what is to be backed up?")
                            .help(
                                "write `url = \"sqlite:/path\"`, `engine = \"files\"` with `files = […]`, or \
                                 `engine = \"command\"` with `dump = […]`",
                            )
                            .about_absence(),
                    );
                }
                None
            }
            (named, meant) => named.or(meant).filter(|_| !section.has("engine") || named.is_some()),
        }
    }

    fn scheme(&mut self, url: &str, section: &Section<'_>) -> Option<&'static EngineKind> {
        let at = section.value("url");
        let schemes = || kinds().iter().flat_map(|kind| kind.schemes).copied();
        let Some(Url { scheme, .. }) = Url::split(url) else {
            let help = format!(
                "write `SCHEME://…` or `sqlite:/path`; the schemes are {}",
                schemes().collect::<Vec<_>>().join(", ")
            );
            self.error("this is no URL", at, "it has no scheme", help);
            return None;
        };
        let kind = registry::by_scheme(scheme);
        if kind.is_none() {
            let help = did_you_mean(scheme, schemes())
                .unwrap_or_else(|| format!("the schemes are {}", schemes().collect::<Vec<_>>().join(", ")));
            self.error(format!("unknown scheme `{scheme}`"), at, "no engine knows it", help);
        }
        kind
    }

    /// What only the engine can judge: its keys, its methods, its own options.
    pub(super) fn suits(
        &mut self,
        section: &Section<'_>,
        base: Option<&Section<'_>>,
        kind: &EngineKind,
        parts: &Parts,
    ) {
        for key in section.table.keys() {
            let word = key.get_ref().as_ref();
            let general = matches!(word, "engine" | "policy");
            if parts.is_engines(word) && !general && !kind.keys.contains(&word) {
                self.error(
                    format!("`{word}` means nothing to engine `{}`", kind.name),
                    section.key(word),
                    "has no effect here",
                    format!("engine `{}` knows {}", kind.name, kind.keys.join(", ")),
                );
            }
        }
        let needs = match kind.name {
            "files" => "files",
            "command" => "dump",
            _ => "url",
        };
        if !section.has(needs) {
            self.found.push(
                Diagnostic::error(format!("{} has no `{needs}`", section.title))
                    .at(section.head, format!("engine `{}` needs `{needs}`", kind.name))
                    .about_absence(),
            );
        }
        if kind.name == "sqlite" && section.has("url") {
            self.sqlite(section, parts.source.url.as_deref().unwrap_or_default());
        }
        if kind.name == "command" && section.has("dump") && !section.has("restore") {
            self.found.push(
                Diagnostic::warning(format!("{} cannot be restored by qbackd", section.title))
                    .at(section.key("dump"), "there is no `restore`")
                    .help("write the command that takes the dump on its stdin: `restore = […]`"),
            );
        }
        self.abilities(section, base, kind, parts);
        match kind.open {
            None => self.lacks(format!("the engine `{}`", kind.name), section.head),
            // What was refused here already is not said twice.
            Some(open) if parts.sound => {
                if let Err(wrong) = open(&parts.source)
                    && !self.found.error_within(parts.mark, section.value(wrong.key))
                {
                    self.error(wrong.message, section.value(wrong.key), "", wrong.help.unwrap_or_default());
                }
            }
            Some(_) => {}
        }
    }

    /// `sqlite:/path`, also as `sqlite:///path`.
    fn sqlite(&mut self, section: &Section<'_>, url: &str) {
        let Some(Url { rest, .. }) = Url::split(url) else { return };
        let at = section.value("url");
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.starts_with('/') {
            self.file("url", Path::new(path), at);
        } else if rest.starts_with("//") {
            self.error(
                "an SQLite URL names no host",
                at,
                "between `//` and the next `/` would be one",
                "write `sqlite:/path`, or `sqlite:///path` with three slashes",
            );
        } else {
            self.error(
                "`url` must name an absolute path",
                at,
                if path.is_empty() { "there is no path" } else { "this is relative" },
                "write one like `sqlite:/srv/app.db`",
            );
        }
    }

    /// `method`, `incremental` and `pitr` against what the engine can do.
    fn abilities(&mut self, section: &Section<'_>, base: Option<&Section<'_>>, kind: &EngineKind, parts: &Parts) {
        let method = parts.source.method;
        let ability = if kind.keys.contains(&"method") {
            kind.abilities.iter().find(|ability| ability.method == method)
        } else {
            kind.abilities.first()
        };
        let Some(ability) = ability else {
            if kind.keys.contains(&"method") {
                let methods: Vec<_> = kind.abilities.iter().map(|ability| ability.method.as_str()).collect();
                self.error(
                    format!("engine `{}` has no method `{method}`", kind.name),
                    section.value("method"),
                    format!("expected {}", methods.join(" or ")),
                    "",
                );
            }
            return;
        };
        let method = ability.method;
        if method == Method::Physical {
            self.note("database", "method", section.key("method"));
        }
        let wants = [
            (
                "incremental",
                parts.merged.incremental.as_ref().is_some_and(|list| !list.0.is_empty()),
                ability.incremental,
            ),
            ("pitr", parts.merged.pitr == Some(true), ability.pitr),
        ];
        for (key, wanted, able) in wants {
            if !wanted || able {
                continue;
            }
            let asked = if section.has(key) { section } else { base.unwrap_or(section) };
            if !self.told.insert((asked.key(key), key, kind.name)) {
                continue;
            }
            let whose = ["method", "engine", "url"].into_iter().find(|key| section.has(key)).unwrap_or("url");
            let other = kind.abilities.iter().find(|other| if key == "pitr" { other.pitr } else { other.incremental });
            let help = match other {
                Some(other) => format!("write `method = \"{}\"`, or leave `{key}` out", other.method),
                None => format!("leave `{key}` out of the policy of {}", section.title),
            };
            self.found.push(
                Diagnostic::error(format!("{method} backups of engine `{}` cannot do `{key}`", kind.name))
                    .at(asked.key(key), "asked for here")
                    .at(section.value(whose), format!("a {method} backup of `{}`", kind.name))
                    .help(help),
            );
        }
    }
}
