//! Destinations that have little space left. They are looked at after each run and daily, beside the loop: a file system may hang.
//! People are told once, and again only after there was room meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::core::{Core, Message};
use crate::config::{Destination, Plan};
use crate::error::Result;
use crate::history::{Entry, EventFilter, Reader};
use crate::model::{Event, Name, Notice, Size};
use crate::notify::NotifyRule;
use crate::store::{self, Space};

/// The word by which the history knows that there is room again.
const AGAIN: &str = "space-again";
/// What is older is not looked for at the start; it is told once more.
const OLDEST: SignedDuration = SignedDuration::from_hours(35 * 24);
/// So many events tell what was told.
const ENOUGH: usize = 1000;

/// What is known of the space of destinations.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    /// Those with little, and what was said of each.
    low: BTreeMap<Name, String>,
    /// Those that are being looked at. One that hangs is not looked at again.
    looking: Vec<Name>,
}

/// What changed at a destination.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Low(String),
    Again(String),
}

impl Spaces {
    /// What the history knows.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn new(reader: &Reader, now: Timestamp) -> Result<Self> {
        let since = Some(now.saturating_sub(OLDEST).unwrap_or(Timestamp::MIN));
        let newest = |word: &str| -> Result<BTreeMap<Name, Entry>> {
            let filter = EventFilter { word: Some(word.into()), since, ..EventFilter::default() };
            let events = reader.events(&filter, ENOUGH)?;
            // The newest comes first, so it is put in last.
            Ok(events.into_iter().rev().filter_map(|entry| Some((about(&entry)?, entry))).collect())
        };
        let (mut told, again) = (newest(Event::LowSpace.as_str())?, newest(AGAIN)?);
        told.retain(|name, told| again.get(name).is_none_or(|again| again.at < told.at));
        let low = told.into_iter().map(|(name, told)| (name, told.text)).collect();
        Ok(Self { low, looking: Vec::new() })
    }

    /// What is wrong, a sentence each, of those that are in the plan.
    pub(super) fn problems<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = &'a String> {
        self.low.iter().filter(|(name, _)| plan.destinations.contains_key(*name)).map(|(_, text)| text)
    }

    /// Takes note of the space of a destination. There is room again when a tenth more than `least` is free, so that a file
    /// system at the limit does not call all the time.
    fn note(&mut self, name: &Name, space: Space, least: u64) -> Option<Change> {
        let free = format!("{} of {} free", Size(space.free), Size(space.total));
        match self.low.contains_key(name) {
            false if space.free < least => {
                let text = format!("{name} has little space left: {free}, `min_free` is {}", Size(least));
                self.low.insert(name.clone(), text.clone());
                Some(Change::Low(text))
            }
            true if space.free >= least.saturating_add(least / 10) => {
                self.low.remove(name);
                Some(Change::Again(format!("{name} has room again: {free}")))
            }
            _ => None,
        }
    }
}

/// The destination that an event is about.
fn about(entry: &Entry) -> Option<Name> {
    entry.notice.as_ref()?.get("destination")?.as_str()?.parse().ok()
}

impl Core {
    /// Has the space of destinations looked at.
    pub(super) fn look_at_space<'a>(&mut self, destinations: impl IntoIterator<Item = &'a Arc<Destination>>) {
        for destination in destinations {
            if self.spaces.looking.contains(&destination.name) {
                continue;
            }
            self.spaces.looking.push(destination.name.clone());
            let (to, destination) = (self.messages(), Arc::clone(destination));
            tokio::task::spawn_blocking(move || {
                // One that cannot be opened fails its runs, and they say why.
                let space = store::space(destination.name.as_str(), &destination.options).ok().flatten();
                // A loop that is gone has no use for it.
                let _ = to.send(Message::Asked(Box::new(move |core| core.looked_at_space(&destination, space))));
            });
        }
    }

    fn looked_at_space(&mut self, destination: &Destination, space: Option<Space>) {
        let name = &destination.name;
        self.spaces.looking.retain(|looking| looking != name);
        let Some(space) = space else { return };
        match self.spaces.note(name, space, destination.options.min_free.of(space.total)) {
            Some(Change::Low(text)) => {
                let mut notice = Notice::new(Event::LowSpace, self.now(), &self.ground.host, None, text);
                notice.destination = Some(name.to_string());
                notice.hint = Some(
                    "make space, or keep less; `qbackd prune --dry-run` shows what could go and what `keep` keeps"
                        .into(),
                );
                self.alarms.tell_those(&self.plan, &rules_at(&self.plan, name), &notice);
            }
            Some(Change::Again(text)) => {
                tracing::info!("{text}");
                let mut entry = Entry::action(self.now(), AGAIN, None, "the daemon", text);
                entry.notice = Some(json!({ "destination": name }));
                self.alarms.noted(self.ground.history.event(entry));
            }
            None => {}
        }
    }
}

/// The rules of those whose backups lie at a destination.
fn rules_at(plan: &Plan, name: &Name) -> Vec<NotifyRule> {
    let there = plan.databases.values().filter(|one| one.policy.destinations.iter().any(|known| known.name == *name));
    there.flat_map(|database| database.policy.notify.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_space_is_told_once_until_there_is_clearly_room_again() {
        let (mut spaces, name) = (Spaces::default(), "local".parse().unwrap());
        let mut note = |free| spaces.note(&name, Space { free, total: 10_000 }, 1000);
        assert_eq!(note(1000), None);
        let Some(Change::Low(text)) = note(999) else { panic!("999 of 10000 is less than 1000") };
        assert_eq!(text, "local has little space left: 999 B of 9.8 KiB free, `min_free` is 1000 B");
        assert_eq!([note(0), note(1000), note(1099)], [const { None }; 3]);
        assert_eq!(note(1100), Some(Change::Again("local has room again: 1.1 KiB of 9.8 KiB free".into())));
        assert_eq!(note(1100), None);
        assert!(matches!(note(0), Some(Change::Low(_))));
    }
}
