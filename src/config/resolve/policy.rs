//! `[policy.NAME]`, and the policy keys of a `[database.NAME]`.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Resolver;
use crate::config::decode::decode;
use crate::config::diagnostic::Diagnostic;
use crate::config::document::Section;
use crate::config::options::PolicyOptions;
use crate::config::plan::{Plan, Policy};
use crate::model::Name;
use crate::schedule::open_from;

/// Windows come again every week; which one they are looked at in does not matter. This is in 2026.
const SOME_DAY: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl Resolver<'_, '_> {
    pub(super) fn policy(&mut self, name: &Name, section: &Section<'_>, plan: &Plan) -> Policy {
        self.note_all("policy", section);
        let options: PolicyOptions = decode(section.table.clone(), section.head, &section.title, self.found);
        self.check_policy(&options, section);
        let policy = build(options.clone(), plan);
        self.written.insert(name.clone(), options);
        policy
    }

    /// Checks what one table says, wherever it stands.
    pub(super) fn check_policy(&mut self, options: &PolicyOptions, section: &Section<'_>) {
        self.check_references(options, section);
        for (key, span) in [
            ("timeout", options.timeout),
            ("stall_timeout", options.stall_timeout),
            ("max_loss", options.max_loss),
            ("stale_after", options.stale_after),
        ] {
            self.positive(key, span, section.value(key));
        }
        if let Some(keep) = &options.keep {
            self.keep(keep, section);
        }
        if let Some(windows) = &options.not_between
            && open_from(&windows.0, SOME_DAY, &self.zone).is_none()
        {
            self.error(
                "`not_between` leaves no time",
                section.value("not_between"),
                "no run could ever start",
                "leave some minutes of the week in which runs may start",
            );
        }
        if let Some(retry) = &options.retry {
            self.within("retry.attempts", retry.attempts.into(), 1..=100, section.at("retry", &["attempts"]));
        }
        if let Some(hooks) = &options.hooks {
            for (key, command) in hooks.commands() {
                self.said(&format!("hooks.{key}"), command, section.at("hooks", &[key]));
            }
            self.positive("hooks.timeout", Some(hooks.timeout), section.at("hooks", &["timeout"]));
        }
        if let Some(owner) = &options.owner {
            let good = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '\\' | '$');
            if owner.is_empty() || owner.starts_with('-') || !owner.chars().all(good) {
                self.error("wrong value for `owner`", section.value("owner"), "no group can be called that", "");
            }
        }
        for (i, unit) in options.stop_units.iter().flatten().enumerate() {
            let bad = |c: char| c.is_whitespace() || c.is_control() || c == '/';
            if unit.is_empty() || unit.starts_with('-') || unit.contains(bad) {
                self.error(
                    "wrong value for `stop_units`",
                    section.element("stop_units", i),
                    "no unit can be called that",
                    "write the name of a unit, like `nginx.service`",
                );
            }
        }
    }

    fn check_references(&mut self, options: &PolicyOptions, section: &Section<'_>) {
        if let Some(destinations) = &options.destinations {
            let mut seen = HashMap::new();
            for (i, name) in destinations.iter().enumerate() {
                let at = section.element("destinations", i);
                self.reference("destination", name, at);
                if let Some(first) = seen.insert(name, i) {
                    self.found.push(
                        Diagnostic::error(format!("destination `{name}` is named twice"))
                            .at(at, "again here")
                            .at(section.element("destinations", first), "first here"),
                    );
                }
            }
            if section.is_empty_list("destinations") {
                self.error(
                    "`destinations` is empty",
                    section.value("destinations"),
                    "a backup needs a place to live",
                    "name one: `destinations = [\"local\"]`",
                );
            }
        }
        if let Some(name) = options.encryption.as_deref().filter(|name| *name != "none") {
            self.reference("encryption", name, section.value("encryption"));
        }
        if let Some(rules) = &options.notify {
            for (i, rule) in rules.0.iter().enumerate() {
                let i = i.to_string();
                // One rule may stand alone or in a list, as a name or as a table.
                let at = section.at("notify", &[&i, "to"]);
                let at = if section.at("notify", &[&i]) == section.value("notify") {
                    section.at("notify", &["to"])
                } else {
                    at
                };
                self.reference("notify", &rule.to, at);
            }
        }
    }
}

/// The rules with every default. References to what is not there are left out: they were complained of.
pub(super) fn build(options: PolicyOptions, plan: &Plan) -> Policy {
    let default = Policy::default();
    let destination = |name: &String| plan.destinations.get(name.as_str()).map(Arc::clone);
    let many = |list: Option<crate::model::OneOrMany<_>>| list.unwrap_or_default().0;
    Policy {
        full: many(options.full),
        incremental: many(options.incremental),
        drill: many(options.drill),
        pitr: options.pitr.unwrap_or(default.pitr),
        max_loss: options.max_loss.unwrap_or(default.max_loss),
        destinations: options.destinations.iter().flatten().filter_map(destination).collect(),
        encryption: options.encryption.and_then(|name| plan.encryptions.get(name.as_str()).map(Arc::clone)),
        compression: options.compression.unwrap_or_default(),
        keep: options.keep,
        timeout: options.timeout.unwrap_or(default.timeout),
        stall_timeout: options.stall_timeout.unwrap_or(default.stall_timeout),
        retry: options.retry.unwrap_or_default(),
        randomized_delay: options.randomized_delay.unwrap_or_default(),
        persistent: options.persistent.unwrap_or(default.persistent),
        not_between: options.not_between.unwrap_or_default().0,
        pause_after: options.pause_after.unwrap_or(default.pause_after),
        stale_after: options.stale_after,
        notify: options.notify.unwrap_or_default().0,
        owner: options.owner,
        hooks: options.hooks.unwrap_or_default(),
        stop_units: options.stop_units.unwrap_or_default(),
        enabled: options.enabled.unwrap_or(default.enabled),
    }
}
