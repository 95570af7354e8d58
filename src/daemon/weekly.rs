//! Once a week, on Monday morning, those who want `weekly-summary` are told how the week was; each of their own databases.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::core::{Core, Message};
use crate::config::Database;
use crate::history::{EventFilter, Tally};
use crate::model::{Event, Name, Notice, Size};
use crate::notify::{Notify, wanted};
use crate::schedule::{Calendar, Schedule};

/// When a week is over, in the time zone of the daemon.
const OVER: &str = "Mon 08:00";
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A clock that was ahead by more than this was wrong.
const CLOCK_SLIP: SignedDuration = SignedDuration::from_hours(24);
/// More databases are not told one by one.
const MOST: usize = 50;

/// How the week of one database was.
#[derive(Debug, Clone)]
struct Week {
    name: Name,
    tally: Option<Tally>,
    /// What is wrong with it now: `failing`, `stale`.
    wrong: Vec<&'static str>,
}

impl Core {
    /// Tells how the week was, if one is over that nobody was told of. The history remembers, so that no restart tells it twice.
    pub(super) fn weekly(&mut self, now: Timestamp) {
        let schedule: Result<Schedule, _> = OVER.parse();
        let calendar = schedule.and_then(|schedule| Calendar::new(&schedule, &self.zone));
        let Some(over) = calendar.ok().and_then(|calendar| calendar.latest_until(now)) else { return };
        let last = match self.weekly {
            Some(last) => last,
            None => self.last_summary(),
        };
        self.weekly = Some(last);
        let ahead = last > now.saturating_add(CLOCK_SLIP).unwrap_or(now);
        if (last >= over && !ahead) || self.stopping.is_some() {
            return;
        }
        self.weekly = Some(now);
        if self.readers().is_empty() {
            return;
        }
        let (history, to) = (Arc::clone(&self.ground.history), self.messages());
        tokio::task::spawn_blocking(move || {
            let since = now.saturating_sub(WEEK).unwrap_or(Timestamp::MIN);
            match history.read().tally(since, now) {
                // A loop that is gone tells nobody.
                Ok(tallies) => drop(to.send(Message::Asked(Box::new(move |core| core.tell_week(tallies))))),
                Err(e) => tracing::warn!("nobody is told how the week was: {}", e.line()),
            }
        });
    }

    /// When people were last told; where they never were, the weeks before qbackd was here are none.
    fn last_summary(&self) -> Timestamp {
        let filter = EventFilter { word: Some(Event::WeeklySummary.to_string()), ..EventFilter::default() };
        let newest = self.ground.history.read().events(&filter, 1).ok().and_then(|newest| Some(newest.first()?.at));
        newest.or_else(|| self.alarms.first_seen()).unwrap_or_else(|| self.now())
    }

    /// Those who want to know, each with the databases that they are told of.
    fn readers(&self) -> BTreeMap<Name, (Arc<Notify>, Vec<&Arc<Database>>)> {
        let mut readers: BTreeMap<Name, (Arc<Notify>, Vec<&Arc<Database>>)> = BTreeMap::new();
        for database in self.plan.databases.values().filter(|database| database.policy.enabled) {
            let find = |name: &str| self.plan.notify.get(name).cloned();
            for to in wanted(&database.policy.notify, Event::WeeklySummary, find) {
                readers.entry(to.name.clone()).or_insert_with(|| (to, Vec::new())).1.push(database);
            }
        }
        readers
    }

    fn tell_week(&mut self, tallies: Vec<Tally>) {
        let now = self.now();
        let mut tallies: HashMap<Name, Tally> =
            tallies.into_iter().map(|tally| (tally.database.clone(), tally)).collect();
        let weeks: BTreeMap<&Name, Week> = self
            .plan
            .databases
            .iter()
            .filter(|(_, database)| database.policy.enabled)
            .map(|(name, _)| {
                let week =
                    Week { name: name.clone(), tally: tallies.remove(name), wrong: self.alarms.wrong_with(name) };
                (name, week)
            })
            .collect();
        let each = self.readers().into_values().map(|(to, theirs)| {
            let theirs = theirs.into_iter().filter_map(|database| weeks.get(&database.name).cloned());
            (to, summary(theirs.collect(), &self.ground.host, now))
        });
        let each: Vec<_> = each.collect();
        let whole = summary(weeks.into_values().collect(), &self.ground.host, now);
        self.alarms.tell_each(&whole, &each);
    }
}

/// The week in words, what needs somebody first.
fn summary(mut weeks: Vec<Week>, host: &str, now: Timestamp) -> Notice {
    weeks.sort_by_key(|week| (week.wrong.is_empty(), week.failed() == 0));
    let sum = |of: fn(&Week) -> u64| weeks.iter().map(of).sum::<u64>();
    let wrong = weeks.iter().filter(|week| !week.wrong.is_empty()).count();
    let count = |n: usize| if n == 1 { "1 database".to_owned() } else { format!("{n} databases") };
    let state = match wrong {
        0 => "all is well".to_owned(),
        1 => "1 database needs somebody".to_owned(),
        n => format!("{n} databases need somebody"),
    };
    let text = format!(
        "how the week was, {state}: {}, {} backups succeeded, {} failed, {} stored",
        count(weeks.len()),
        sum(Week::succeeded),
        sum(Week::failed),
        Size(sum(Week::stored)),
    );
    let mut details: Vec<_> = weeks.iter().take(MOST).map(|week| (week.name.to_string(), week.in_words())).collect();
    if let Some(more) = weeks.len().checked_sub(MOST).filter(|more| *more > 0) {
        details.push((format!("and {}", count(more)), "not told one by one".into()));
    }
    let hint = (wrong > 0).then(|| "`qbackd status` tells more".to_owned());
    Notice { hint, details, ..Notice::new(Event::WeeklySummary, now, host, None, text) }
}

impl Week {
    fn succeeded(&self) -> u64 {
        self.tally.as_ref().map_or(0, |tally| tally.succeeded)
    }

    fn failed(&self) -> u64 {
        self.tally.as_ref().map_or(0, |tally| tally.failed)
    }

    fn stored(&self) -> u64 {
        self.tally.as_ref().map_or(0, |tally| tally.stored_bytes)
    }

    /// `failing, stale; 6 succeeded, 1 failed, 120.0 MiB stored`
    fn in_words(&self) -> String {
        let runs = match &self.tally {
            None => "no backups".to_owned(),
            Some(_) => {
                format!("{} succeeded, {} failed, {} stored", self.succeeded(), self.failed(), Size(self.stored()))
            }
        };
        if self.wrong.is_empty() { runs } else { format!("{}; {runs}", self.wrong.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(name: &str, tally: Option<(u64, u64, u64)>, wrong: &[&'static str]) -> Week {
        let name: Name = name.parse().unwrap();
        let tally = tally.map(|(succeeded, failed, stored_bytes)| Tally {
            database: name.clone(),
            succeeded,
            failed,
            stored_bytes,
        });
        Week { name, tally, wrong: wrong.to_vec() }
    }

    #[test]
    fn a_week_is_told_with_what_needs_somebody_first() {
        let now = "2026-11-23T08:00:00Z".parse().unwrap();
        let weeks = vec![
            week("blog", Some((7, 0, 1 << 20)), &[]),
            week("crm", Some((6, 1, 1 << 20)), &[]),
            week("shop", Some((0, 3, 0)), &["failing", "stale"]),
            week("wiki", None, &["paused"]),
        ];
        let told = summary(weeks, "db1", now);
        assert_eq!(
            told.text,
            "how the week was, 2 databases need somebody: 4 databases, 13 backups succeeded, 4 failed, 2.0 MiB stored"
        );
        let told: Vec<_> = told.details.iter().map(|(name, words)| format!("{name}: {words}")).collect();
        assert_eq!(
            told,
            [
                "shop: failing, stale; 0 succeeded, 3 failed, 0 B stored",
                "wiki: paused; no backups",
                "crm: 6 succeeded, 1 failed, 1.0 MiB stored",
                "blog: 7 succeeded, 0 failed, 1.0 MiB stored",
            ]
        );
        let many = (0..60).map(|n| week(&format!("d{n}"), None, &[])).collect();
        let told = summary(many, "db1", now);
        assert!(told.text.starts_with("how the week was, all is well: 60 databases, 0 backups"), "{}", told.text);
        assert_eq!((told.details.len(), told.details[50].0.as_str(), told.hint), (51, "and 10 databases", None));
    }
}
