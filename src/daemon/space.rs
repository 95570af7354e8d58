//! Destinations that have little space left. They are looked at after each run and daily, beside the loop: a file system may hang.
//! People are told once, and again only after there was room meanwhile.

use std::sync::Arc;

use tracing::Level;

use super::core::{Core, Message};
use super::scarce::{Change, again};
use crate::config::{Destination, Plan};
use crate::model::journal::Fields;
use crate::model::{Event, Moment, Name, Notice};
use crate::notify::NotifyRule;
use crate::store::{self, Space};

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
                let fields = Fields { destination: Some(name.as_str()), ..Fields::of(Moment::SpaceAgain) };
                fields.say(Level::INFO, &text);
                self.alarms.noted(self.ground.history.event(again(self.now(), name, text)));
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
