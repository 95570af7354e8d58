//! From what was written to what is meant: every table decoded and checked, references followed, defaults applied. Nothing stops
//! at the first error.

mod alone;
mod check;
mod database;
mod destination;
mod encryption;
mod engine;
mod notify;
mod policy;
mod url;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::decode::fields;
use super::diagnostic::{Diagnostic, Findings};
use super::document::{Document, Section};
use super::options::PolicyOptions;
use super::plan::Plan;
use super::source::Span;
use super::unbuilt::UNBUILT;
use crate::model::Name;
use crate::schedule::zone;

pub(super) use database::partition_keys;
pub(super) use destination::own_keys as destination_keys;
pub(super) use notify::keys as notify_keys;

/// Everything that is needed while the tables are gone through.
pub(super) struct Resolver<'d, 's> {
    document: &'d Document<'s>,
    /// The time zone of whatever has none of its own.
    zone: TimeZone,
    found: &'d mut Findings,
    /// Policies as written, for the databases that build on them.
    written: BTreeMap<Name, PolicyOptions>,
    /// Where keys without an effect are used, by their place in [`UNBUILT`].
    unbuilt: BTreeMap<usize, Vec<Span>>,
    /// Errors that many databases share, by place and kind: one of them tells it all.
    told: BTreeSet<(Span, &'static str, &'static str)>,
    /// Where engines and services are named that this build does not have.
    missing: BTreeMap<String, Vec<Span>>,
}

/// Makes the plan; what is wrong is added to `found`, and then the plan is of no use.
pub(super) fn resolve(mut document: Document<'_>, found: &mut Findings) -> Plan {
    let databases = document.take("database");
    let mut resolver = Resolver {
        document: &document,
        zone: TimeZone::UTC,
        found,
        written: BTreeMap::new(),
        unbuilt: BTreeMap::new(),
        told: BTreeSet::new(),
        missing: BTreeMap::new(),
    };
    let mut plan = Plan { daemon: resolver.daemon(), signing: resolver.signing(), ..Plan::default() };
    resolver.zone = zone(plan.daemon.options.timezone.as_deref());
    plan.destinations = resolver.each("destination", Resolver::destination);
    resolver.same_place_twice(&plan.destinations);
    plan.encryptions = resolver.each("encryption", Resolver::encryption);
    plan.notify = resolver.each("notify", Resolver::notify);
    plan.policies = resolver.each("policy", |resolver, name, section| Some(resolver.policy(name, section, &plan)));
    plan.databases = resolver.databases(databases, &plan);
    resolver.warn();
    plan
}

impl<'d, 's> Resolver<'d, 's> {
    /// Resolves each `[kind.NAME]`.
    fn each<T>(
        &mut self,
        kind: &str,
        mut with: impl FnMut(&mut Self, &Name, &'d Section<'s>) -> Option<T>,
    ) -> BTreeMap<Name, Arc<T>> {
        let document = self.document;
        document
            .named(kind)
            .filter_map(|(name, section)| Some((name.clone(), Arc::new(with(self, name, section)?))))
            .collect()
    }

    fn error(&mut self, message: impl Into<String>, at: Span, label: impl Into<String>, help: impl Into<String>) {
        let error = Diagnostic::error(message).at(at, label);
        let help = help.into();
        self.found.push(if help.is_empty() { error } else { error.help(help) });
    }

    /// Remembers that `key` of a `table` was written, for the warning if it does nothing yet.
    fn note(&mut self, table: &str, key: &str, at: Span) {
        if let Some(i) = UNBUILT.iter().position(|(t, k, _)| *t == table && (*k == key || *k == "*")) {
            self.unbuilt.entry(i).or_default().push(at);
        }
    }

    /// [`note`](Self::note) for every key of a table.
    fn note_all(&mut self, table: &str, section: &Section<'_>) {
        for key in section.table.keys() {
            self.note(table, key.get_ref(), Span::new(section.head.file, key.span()));
        }
    }

    /// Remembers that this build lacks `what`.
    fn lacks(&mut self, what: String, at: Span) {
        self.missing.entry(what).or_default().push(at);
    }

    /// The warnings that are one for many places.
    fn warn(&mut self) {
        for (what, mut places) in std::mem::take(&mut self.missing) {
            places.sort_unstable();
            self.found.push(
                Diagnostic::warning(format!("{what} is not built into this qbackd"))
                    .used_at(places)
                    .help("runs that need it fail with exit code 69"),
            );
        }
        for (i, mut places) in std::mem::take(&mut self.unbuilt) {
            let (table, key, waits_for) = UNBUILT[i];
            let what = match (key, table) {
                ("*", _) => format!("[{table}.NAME]"),
                (_, "daemon" | "signing") => format!("`{key}` of [{table}]"),
                (_, "keep") => format!("`{key}` of `{table}`"),
                _ => format!("`{key}` of a {table}"),
            };
            places.sort_unstable();
            self.found.push(
                Diagnostic::warning(format!("{what} has no effect yet"))
                    .used_at(places)
                    .help(format!("it is checked already and will act in a later version ({waits_for})")),
            );
        }
    }
}

/// The keys of a policy.
pub(super) fn policy_keys() -> &'static [&'static str] {
    fields::<PolicyOptions>()
}
