//! `[destination.NAME]`: qbackd's own keys, and the options of the service by OpenDAL's names.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Resolver;
use crate::config::decode::{decode, fields, unknown_key};
use crate::config::diagnostic::{Diagnostic, did_you_mean};
use crate::config::document::Section;
use crate::config::mask::is_secret;
use crate::config::plan::Destination;
use crate::config::services::{LIMITED, LOCAL_PATHS, SERVICES, Service, by_name};
use crate::model::{Name, SecretRef, Size};
use crate::retention::Keep;
use crate::store::options::OptionValue;
use crate::store::{DestinationOptions, SERVICES as BUILT};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rules {
    keep: Option<Keep>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    value: Option<SecretRef>,
}

/// The keys of a destination that are qbackd's own.
pub(in crate::config) fn own_keys() -> impl Iterator<Item = &'static str> + Clone {
    fields::<DestinationOptions>().iter().chain(fields::<Rules>()).copied()
}

impl Resolver<'_, '_> {
    pub(super) fn destination(&mut self, name: &Name, section: &Section<'_>) -> Option<Destination> {
        self.note_all("destination", section);
        let (mut own, mut rules, mut rest) = (DeTable::new(), DeTable::new(), Vec::new());
        for (key, value) in section.table.clone() {
            match key.get_ref().as_ref() {
                "keep" => drop(rules.insert(key, value)),
                word if fields::<DestinationOptions>().contains(&word) => drop(own.insert(key, value)),
                _ => rest.push((key, value)),
            }
        }
        let mut options: DestinationOptions = decode(own, section.head, &section.title, self.found);
        let Rules { keep } = decode(rules, section.head, &section.title, self.found);
        if let Some(keep) = &keep {
            self.keep(keep, section);
        }
        self.limits(&options, section);
        if let Some(service) = self.service(&options.service, section) {
            options.service_options = self.service_options(service, rest, section);
        }
        Some(Destination { name: name.clone(), options, keep })
    }

    fn service(&mut self, word: &str, section: &Section<'_>) -> Option<&'static Service> {
        let at = section.value("service");
        if !section.has("service") {
            self.found.push(
                Diagnostic::error(format!("{} has no `service`", section.title))
                    .at(section.head, "no `service` here")
                    .help("write `service = \"fs\"` for a folder, or the name of another service of OpenDAL")
                    .about_absence(),
            );
            return None;
        }
        let Some(service) = by_name(word) else {
            if !word.is_empty() {
                let names = SERVICES.iter().map(|service| service.name);
                let help = did_you_mean(word, names.clone())
                    .unwrap_or_else(|| format!("the services are {}", names.collect::<Vec<_>>().join(", ")));
                self.error(format!("unknown service `{word}`"), at, "no such service", help);
            }
            return None;
        };
        if !BUILT.contains(&service.name) {
            self.lacks(format!("the service `{}`", service.name), at);
        }
        for (key, _) in LIMITED.iter().filter(|(key, knows)| section.has(key) && !knows(service.name)) {
            self.error(
                format!("`{key}` means nothing to service `{}`", service.name),
                section.key(key),
                "has no effect here",
                "",
            );
        }
        for key in service.required.iter().filter(|key| !section.has(key)) {
            self.found.push(
                Diagnostic::error(format!("{} has no `{key}`", section.title))
                    .at(section.head, format!("service `{}` needs `{key}`", service.name))
                    .about_absence(),
            );
        }
        Some(service)
    }

    fn service_options(
        &mut self,
        service: &Service,
        rest: Vec<(Spanned<std::borrow::Cow<'_, str>>, Spanned<DeValue<'_>>)>,
        section: &Section<'_>,
    ) -> BTreeMap<String, OptionValue> {
        let mut options = BTreeMap::new();
        for (key, value) in rest {
            let word = key.get_ref().to_string();
            if !service.options.contains(&word.as_str()) {
                let whose = format!("service `{}`", service.name);
                let known = service.options.iter().copied().chain(own_keys());
                self.found.push(unknown_key(&word, section.key(&word), whose, known));
                continue;
            }
            if let Some(value) = self.option_value(&word, value, section) {
                if let (OptionValue::Text(text), true) = (&value, LOCAL_PATHS.contains(&(service.name, word.as_str())))
                {
                    self.absolute(&word, Path::new(text), section.value(&word));
                }
                options.insert(word, value);
            }
        }
        options
    }

    fn option_value(&mut self, key: &str, value: Spanned<DeValue<'_>>, section: &Section<'_>) -> Option<OptionValue> {
        let at = section.value(key);
        match value.get_ref() {
            DeValue::String(text) => {
                self.said(key, text, at);
                self.no_password_in(text, key, at);
                if is_secret(key) {
                    self.found.push(
                        Diagnostic::warning(format!("`{key}` lies open in the configuration"))
                            .at(at, "whoever reads the file has it")
                            .help(format!("write `{key}.file = \"/path\"`, or another reference to a secret")),
                    );
                }
                Some(OptionValue::Text(text.to_string()))
            }
            DeValue::Integer(number) => Some(OptionValue::Text(number.to_string())),
            DeValue::Float(number) => Some(OptionValue::Text(number.to_string())),
            DeValue::Boolean(yes) => Some(OptionValue::Text(yes.to_string())),
            DeValue::Table(_) => {
                // The one field of `Reference` stands for whatever the option is called; errors must say its real name.
                let mut table = DeTable::new();
                let span = section.key(key);
                table.insert(Spanned::new(span.start..span.end, "value".into()), value);
                let before = self.found.count();
                let Reference { value: secret } = decode(table, section.head, &section.title, self.found);
                self.found.rename_since(before, "value", key);
                let secret = secret?;
                self.secret(key, &secret, at);
                Some(OptionValue::Secret(secret))
            }
            DeValue::Array(_) | DeValue::Datetime(_) => {
                self.error(
                    format!("`{key}` has the wrong type"),
                    at,
                    "expected a text in quotes, or a reference to a secret",
                    "",
                );
                None
            }
        }
    }

    fn limits(&mut self, options: &DestinationOptions, section: &Section<'_>) {
        if options.format != "plain" {
            self.error(
                format!("unknown format `{}`", options.format),
                section.value("format"),
                "the only format is `plain`",
                "",
            );
        }
        if let Some(concurrency) = options.concurrency {
            self.within("concurrency", concurrency.into(), 1..=1000, section.value("concurrency"));
        }
        if let Some(retries) = options.retries {
            self.within("retries", retries.into(), 0..=100, section.value("retries"));
        }
        self.positive("timeout", options.timeout, section.value("timeout"));
        let sizes = [
            ("max_bandwidth", options.max_bandwidth, Size(1 << 10)),
            ("volume_size", options.volume_size, Size(1 << 20)),
        ];
        for (key, size, least) in sizes {
            if size.is_some_and(|size| size < least) {
                self.error(
                    format!("`{key}` is too small"),
                    section.value(key),
                    format!("expected {least} or more"),
                    "a number without a unit is bytes",
                );
            }
        }
        if let Some(path) = &options.credentials_file {
            self.file("credentials_file", path, section.value("credentials_file"));
        }
    }

    /// Two names for one place: a copy there would be no copy.
    pub(super) fn same_place_twice(&mut self, destinations: &BTreeMap<Name, Arc<Destination>>) {
        let mut places: HashMap<String, &Name> = HashMap::new();
        for (name, destination) in destinations {
            let options = &destination.options;
            if options.service == "memory" || options.service_options.is_empty() {
                continue;
            }
            let place = format!("{} {:?}", options.service, options.service_options);
            if let Some(first) = places.insert(place, name)
                && let (Some(a), Some(b)) =
                    (self.document.get("destination", first.as_str()), self.document.get("destination", name.as_str()))
            {
                self.found.push(
                    Diagnostic::warning(format!("{} and {} are the same place", a.title, b.title))
                        .at(b.head, "a copy here is no copy")
                        .at(a.head, "the same place"),
                );
            }
        }
    }
}
