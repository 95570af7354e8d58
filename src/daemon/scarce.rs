//! Which destinations have little space left, and what was told of that.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::config::Plan;
use crate::error::Result;
use crate::history::{Entry, EventFilter, Reader};
use crate::model::{Event, Name, Size};
use crate::store::Space;

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
    pub(super) looking: Vec<Name>,
}

/// What changed at a destination.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// There is little space left.
    Low(String),
    /// There is room again.
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
    pub(super) fn note(&mut self, name: &Name, space: Space, least: u64) -> Option<Change> {
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

/// That there is room again, for the history.
pub(super) fn again(at: Timestamp, destination: &Name, text: String) -> Entry {
    Entry { notice: Some(json!({ "destination": destination })), ..Entry::by_itself(at, AGAIN, text) }
}

/// The destination that an event is about.
fn about(entry: &Entry) -> Option<Name> {
    entry.notice.as_ref()?.get("destination")?.as_str()?.parse().ok()
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
