//! `[database.NAME]`: keys of its engine, keys of every database, and any key of a policy.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use super::Resolver;
use super::policy::build;
use super::url::Url;
use crate::config::decode::{decode, fields, unknown_key};
use crate::config::diagnostic::Diagnostic;
use crate::config::document::Section;
use crate::config::options::{DatabaseOptions, PolicyOptions};
use crate::config::plan::{Database, Plan, Policy};
use crate::config::source::Span;
use crate::engine::{EngineKind, SourceOptions, registry};
use crate::model::ListOrAll;
use crate::model::Name;

/// Which options struct a key of a `[database.NAME]` belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Source,
    Database,
    Policy,
}

/// What a `[database.NAME]` says, in its parts.
pub(super) struct Parts {
    pub source: SourceOptions,
    pub options: DatabaseOptions,
    /// Its policy's rules and its own over them.
    pub merged: PolicyOptions,
    /// What was found before this database.
    pub mark: usize,
    /// Whether the keys of the source could all be read.
    pub sound: bool,
    own_policy: bool,
}

impl Parts {
    /// Whether a key is one that engines may know or not know.
    pub(super) fn is_engines(&self, key: &str) -> bool {
        fields::<SourceOptions>().contains(&key) || fields::<DatabaseOptions>().contains(&key)
    }
}

impl Resolver<'_, '_> {
    pub(super) fn databases(
        &mut self,
        sections: BTreeMap<Name, Section<'_>>,
        plan: &Plan,
    ) -> BTreeMap<Name, Arc<Database>> {
        let owners: HashMap<&str, Owner> = [
            (fields::<SourceOptions>(), Owner::Source),
            (fields::<DatabaseOptions>(), Owner::Database),
            (fields::<PolicyOptions>(), Owner::Policy),
        ]
        .into_iter()
        .flat_map(|(keys, owner)| keys.iter().map(move |key| (*key, owner)))
        .collect();
        // Each table goes as soon as it is understood: of thousands, only one is there twice.
        let resolved = sections.into_iter().filter_map(|(name, section)| {
            let database = self.database(&name, &section, plan, &owners)?;
            Some((name, Arc::new(database)))
        });
        resolved.collect()
    }

    fn database(
        &mut self,
        name: &Name,
        section: &Section<'_>,
        plan: &Plan,
        owners: &HashMap<&str, Owner>,
    ) -> Option<Database> {
        let (mut source, mut common, mut own) = (DeTable::new(), DeTable::new(), DeTable::new());
        let mut unknown = Vec::new();
        for (key, value) in section.table.clone() {
            let word = key.get_ref().as_ref();
            let at = Span::new(section.head.file, key.span());
            match owners.get(word) {
                // `method` waits only where it asks for something new.
                Some(Owner::Source | Owner::Database) if word != "method" => self.note("database", word, at),
                Some(Owner::Policy) => self.note("policy", word, at),
                _ => {}
            }
            match owners.get(word) {
                Some(Owner::Source) => drop(source.insert(key, value)),
                Some(Owner::Database) => drop(common.insert(key, value)),
                Some(Owner::Policy) => drop(own.insert(key, value)),
                None => unknown.push((word.to_owned(), at)),
            }
        }
        let before = self.found.count();
        let source: SourceOptions = decode(source, section.head, &section.title, self.found);
        let sound = self.found.count() == before;
        let options: DatabaseOptions = decode(common, section.head, &section.title, self.found);
        let own_policy = !own.is_empty();
        let own: PolicyOptions = decode(own, section.head, &section.title, self.found);
        if own_policy {
            self.check_policy(&own, section);
        }
        let base = self.base(section, options.policy.as_deref());
        let merged = match &base {
            Some(written) => own.over(written),
            None => own,
        };
        let parts = Parts { source, options, merged, mark: before, sound, own_policy };
        let engine = self.engine(section, &parts);
        self.unknown_keys(unknown, engine, section);
        self.check_source(section, &parts, engine);
        let document = self.document;
        let base_section = parts.options.policy.as_deref().and_then(|name| document.get("policy", name));
        if let Some(kind) = engine {
            self.suits(section, base_section, kind, &parts);
        }
        self.must_be_said(section, base_section, &parts.merged);
        let policy = match parts.options.policy.as_deref().and_then(|name| plan.policies.get(name)) {
            Some(shared) if !parts.own_policy => Arc::clone(shared),
            _ => Arc::<Policy>::new(build(parts.merged, plan)),
        };
        Some(Database { name: name.clone(), engine: engine?, source: parts.source, options: parts.options, policy })
    }

    /// The policy the database builds on.
    fn base(&mut self, section: &Section<'_>, policy: Option<&str>) -> Option<PolicyOptions> {
        match policy {
            Some(name) => {
                self.reference("policy", name, section.value("policy"));
                self.written.get(name).cloned()
            }
            None => {
                if !section.has("policy") {
                    let help = format!("write `policy = \"NAME\"`; {}", self.names("policy"));
                    self.found.push(
                        Diagnostic::error(format!("{} has no `policy`", section.title))
                            .at(section.head, "a database has exactly one")
                            .help(help)
                            .about_absence(),
                    );
                }
                None
            }
        }
    }

    fn unknown_keys(&mut self, unknown: Vec<(String, Span)>, engine: Option<&EngineKind>, section: &Section<'_>) {
        for (word, at) in unknown {
            let engines: &[&str] = engine.map_or(fields::<SourceOptions>(), |kind| kind.keys);
            let known = COMMON_KEYS.iter().chain(engines).chain(fields::<PolicyOptions>()).copied();
            self.found.push(unknown_key(&word, at, section.title.clone(), known));
        }
    }

    /// Where backups go and to whom they are encrypted has no default.
    fn must_be_said(&mut self, section: &Section<'_>, base: Option<&Section<'_>>, merged: &PolicyOptions) {
        let Some(base) = base else { return };
        let missing = [
            ("destinations", merged.destinations.is_none(), "name one: `destinations = [\"local\"]`"),
            (
                "encryption",
                merged.encryption.is_none(),
                "name an [encryption.NAME], or say `encryption = \"none\"` out loud",
            ),
        ];
        for (key, absent, help) in missing {
            if absent && !base.has(key) && !section.has(key) && self.told.insert((base.head, key, "")) {
                self.found.push(
                    Diagnostic::error(format!("{} has no `{key}`", base.title))
                        .at(base.head, format!("no `{key}` here"))
                        .at(section.head, "and none here, where the policy is used")
                        .help(help)
                        .about_absence(),
                );
            }
        }
    }

    /// What can be wrong with keys of the source whatever the engine is.
    fn check_source(&mut self, section: &Section<'_>, parts: &Parts, engine: Option<&EngineKind>) {
        let Parts { source, options, .. } = parts;
        if let Some(url) = &source.url {
            self.no_password_in(url, "url", section.value("url"));
        }
        for (i, url) in options.replicas.iter().enumerate() {
            let at = section.element("replicas", i);
            self.no_password_in(url, "replicas", at);
            let kind = Url::split(url).and_then(|url| registry::by_scheme(url.scheme));
            if engine.is_some_and(|engine| kind.is_none_or(|kind| kind.name != engine.name)) {
                self.error("a replica is of another engine", at, "expected a URL with the scheme of `url`", "");
            }
        }
        if let Some(secret) = &source.password {
            self.secret("password", secret, section.value("password"));
        }
        if let Some(tls) = &options.tls {
            for (key, path) in [("ca", &tls.ca), ("cert", &tls.cert)] {
                if let Some(path) = path {
                    self.file(&format!("tls.{key}"), path, section.at("tls", &[key]));
                }
            }
            if let Some(key) = &tls.key {
                self.secret("tls.key", key, section.at("tls", &["key"]));
            }
        }
        for (i, path) in source.files.iter().enumerate() {
            self.file("files", path, section.element("files", i));
        }
        if section.is_empty_list("files") {
            self.error("`files` is empty", section.value("files"), "nothing would be archived", "");
        }
        for (i, glob) in source.exclude.iter().enumerate() {
            if let Err(error) = globset::Glob::new(glob) {
                self.error("this is no glob", section.element("exclude", i), error.kind().to_string(), "");
            }
        }
        self.command("dump", &source.dump, section);
        self.command("restore", &source.restore, section);
        if let Some(dir) = &source.tools_dir {
            self.absolute("tools_dir", Path::new(dir), section.value("tools_dir"));
        }
        self.within("jobs", source.jobs.into(), 1..=1024, section.value("jobs"));
        self.positive("lock_timeout", source.lock_timeout, section.value("lock_timeout"));
        self.positive("max_lag", options.max_lag, section.value("max_lag"));
        if let Some(length) = options.chain_max {
            self.within("chain_max", length.into(), 1..=10_000, section.value("chain_max"));
        }
        if let Some(nice) = options.nice {
            self.within("nice", nice.into(), -20..=19, section.value("nice"));
        }
        for (i, query) in options.check_sql.0.iter().enumerate() {
            self.said("check_sql", query, section.element("check_sql", i));
        }
        for (key, list) in [("databases", &options.databases), ("include_tables", &options.include_tables)] {
            if let Some(ListOrAll::List(names)) = list {
                if section.is_empty_list(key) {
                    self.error(format!("`{key}` is empty"), section.value(key), "nothing would be backed up", "");
                }
                for (i, name) in names.iter().enumerate() {
                    self.said(key, name, section.element(key, i));
                }
            }
        }
    }
}

/// Keys of a database that have nothing to do with its engine.
pub(in crate::config) const COMMON_KEYS: &[&str] = &["engine", "policy"];

/// The keys of a database by the room that owns them: the engine's and those of every database.
pub(in crate::config) fn partition_keys() -> [&'static [&'static str]; 2] {
    [fields::<SourceOptions>(), fields::<DatabaseOptions>()]
}
