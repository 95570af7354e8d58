//! What people must hear of: failures, pauses, silence; and who hears it: the journal, the history, those whom the policy names.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::agenda::Agenda;
use super::ground::Ground;
use super::journal;
use crate::config::{Database, Plan};
use crate::error::{Error, Result};
use crate::history::{Condition, Entry, EventFilter, Run};
use crate::job::standing;
use crate::model::{Event, Name, Notice, Outcome};
use crate::notify::{self, Notify, NotifyRule, Outbox, wanted};
use crate::schedule::longest_gap;

/// What was told within this time is not told once more after a restart.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What is known of every database between its runs, and those who are told.
pub(super) struct Alarms {
    ground: Ground,
    outbox: Outbox,
    known: BTreeMap<Name, Known>,
    gaps: Gaps,
}

/// The longest gaps of schedules, by their texts: thousands of databases may share one.
type Gaps = HashMap<Vec<String>, Option<Duration>>;

/// What is known of one database. The history has it too; it is kept here so that looking once a minute costs nothing.
struct Known {
    condition: Condition,
    last_success: Option<Timestamp>,
    /// The longest gap of its schedule, once that was asked.
    longest_gap: Option<Option<Duration>>,
}

impl Alarms {
    /// What the history knows.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn new(ground: &Ground) -> Result<Self> {
        let reader = ground.history.read();
        let successes = reader.all_successes()?;
        let known = |(name, condition): (Name, Condition)| {
            let last_success = successes.get(&name).copied();
            (name, Known { condition, last_success, longest_gap: None })
        };
        let known = reader.all_conditions()?.into_iter().map(known).collect();
        let outbox = Outbox::start(Arc::clone(&ground.clock), notify::LIMIT);
        Ok(Self { ground: ground.clone(), outbox, known, gaps: Gaps::new() })
    }

    /// Takes note of the databases of a plan that is to count from now on. An edit of a database ends a pause by failures.
    pub(super) fn meet(&mut self, plan: &Plan) {
        self.outbox.reload(&plan.notify);
        let new: Vec<&Name> = plan.databases.keys().filter(|name| !self.known.contains_key(*name)).collect();
        if !new.is_empty() {
            self.noted(self.ground.history.seen(new.iter().copied()));
        }
        self.gaps.clear();
        let now = self.ground.clock.now();
        for name in new {
            let known = Known { condition: Condition::new(now), last_success: None, longest_gap: None };
            self.known.insert(name.clone(), known);
        }
        for (name, database) in &plan.databases {
            let Some(known) = self.known.get_mut(name) else { continue };
            known.longest_gap = None;
            if known.condition.pause.is_none() {
                continue;
            }
            let tables = standing::fingerprint(database);
            if standing::edited(&mut known.condition, &tables) {
                let told = self.ground.history.amend(name, move |condition| standing::edited(condition, &tables));
                self.noted(told.map(drop));
                journal::pause_ended(name);
            }
        }
    }

    /// Whether nothing of it is to start by itself.
    pub(super) fn is_paused(&self, name: &Name) -> bool {
        self.known.get(name).is_some_and(|known| known.condition.pause.is_some())
    }

    /// Reads again what the history knows of a database: somebody changed it there.
    pub(super) fn refresh(&mut self, name: &Name) {
        let condition = self.ground.history.read().condition(name);
        if let (Ok(Some(condition)), Some(known)) = (condition, self.known.get_mut(name)) {
            known.condition = condition;
        }
    }

    /// Looks for databases that have been silent for too long, and for pauses that people are to be reminded of.
    pub(super) fn look(&mut self, plan: &Plan, agendas: &BTreeMap<Name, Agenda>, now: Timestamp) {
        let (mut told, mut changed) = (Vec::new(), Vec::new());
        for (name, database) in &plan.databases {
            let Some(known) = self.known.get_mut(name) else { continue };
            let gap = known.longest_gap(&mut self.gaps, agendas.get(name), now);
            let limit = standing::stale_after(&database.policy, gap);
            let (last, host) = (known.last_success, &self.ground.host);
            let before = known.condition.clone();
            let notices = standing::look(&mut known.condition, database, last, limit, host, now);
            if known.condition != before {
                changed.push((name.clone(), known.condition.clone()));
                told.extend(notices.into_iter().map(|notice| (&database.policy.notify, notice)));
            }
        }
        if changed.is_empty() {
            return;
        }
        // First told, then recorded: who is killed in between tells it once more, not never.
        told.iter().for_each(|(rules, notice)| self.tell(plan, rules, notice));
        let events = told.iter().map(|(_, notice)| Entry::from(notice)).collect();
        self.noted(self.ground.history.told(changed, events));
    }

    /// How long the longest gap of a schedule is.
    pub(super) fn longest_gap(&mut self, name: &Name, agenda: Option<&Agenda>, now: Timestamp) -> Option<Duration> {
        self.known.get_mut(name).and_then(|known| known.longest_gap(&mut self.gaps, agenda, now))
    }

    /// A backup begins: checks of healthchecks measure how long it takes.
    pub(super) fn run_begins(&self, plan: &Plan, database: &Database) {
        let rules = &database.policy.notify;
        for to in wanted(rules, Event::Succeeded, |name| plan.notify.get(name).cloned()) {
            self.outbox.started(&to);
        }
    }

    /// A backup ended, with what people are to be told of it; the history has that already.
    pub(super) fn run_ended(&mut self, plan: &Plan, database: &Database, run: &Run, notices: &[Notice]) {
        self.refresh(&database.name);
        if let Some(known) = self.known.get_mut(&database.name)
            && run.outcome == Some(Outcome::Succeeded)
        {
            known.last_success = run.ended;
        }
        notices.iter().for_each(|notice| self.tell(plan, &database.policy.notify, notice));
    }

    /// A backup could not even be recorded.
    pub(super) fn not_begun(&self, plan: &Plan, database: &Database, error: &Error, now: Timestamp) {
        let text = format!("backup failed before it began: {}", error.line());
        let mut notice = Notice::new(Event::Failed, now, &self.ground.host, Some(&database.name), text);
        (notice.error, notice.hint) = (Some(error.line()), error.remedy().map(str::to_owned));
        self.tell(plan, &database.policy.notify, &notice);
    }

    /// Tells something that is about no database to everybody whom any policy wants to be told of such.
    pub(super) fn tell_everybody(&self, plan: &Plan, notice: &Notice) {
        let rules: Vec<NotifyRule> =
            plan.databases.values().flat_map(|database| database.policy.notify.iter().cloned()).collect();
        self.tell_those(plan, &rules, notice);
    }

    /// Tells everybody, unless they were told the same within a day: a restart is news for the journal alone.
    pub(super) fn tell_everybody_once(&self, plan: &Plan, notice: &Notice) {
        let filter = EventFilter { word: Some(notice.event.to_string()), ..EventFilter::default() };
        let newest = self.ground.history.read().events(&filter, 1).unwrap_or_default();
        let recent = newest.first().filter(|entry| notice.at.duration_since(entry.at).abs() < DAY);
        let error = recent.and_then(|entry| entry.notice.as_ref()?.get("error")?.as_str());
        if error.is_some() && error == notice.error.as_deref() {
            journal::tell(notice);
        } else {
            self.tell_everybody(plan, notice);
        }
    }

    /// Tells something that is about no database to those whom these rules name.
    pub(super) fn tell_those(&self, plan: &Plan, rules: &[NotifyRule], notice: &Notice) {
        self.noted(self.ground.history.event(notice));
        self.tell(plan, rules, notice);
    }

    /// Tells each their own part of something; all of it is for the journal and the history.
    pub(super) fn tell_each(&self, whole: &Notice, each: &[(Arc<Notify>, Notice)]) {
        self.noted(self.ground.history.event(whole));
        journal::tell(whole);
        each.iter().for_each(|(to, part)| self.outbox.tell(to, part));
    }

    /// Whether there ever was a good backup.
    pub(super) fn has_backup(&self, name: &Name) -> bool {
        self.known.get(name).is_some_and(|known| known.last_success.is_some())
    }

    /// When qbackd first saw any database.
    pub(super) fn first_seen(&self) -> Option<Timestamp> {
        self.known.values().map(|known| known.condition.first_seen).min()
    }

    /// What is wrong with a database, a word each.
    pub(super) fn wrong_with(&self, name: &Name) -> Vec<&'static str> {
        let Some(Known { condition, .. }) = self.known.get(name) else { return Vec::new() };
        let paused = condition.pause.is_some();
        let wrong = [
            (paused, "paused"),
            (!paused && condition.failures > 0, "failing"),
            (condition.stale_told.is_some(), "stale"),
            (condition.hold.is_some(), "suspicious"),
        ];
        wrong.into_iter().filter_map(|(is, word)| is.then_some(word)).collect()
    }

    fn tell(&self, plan: &Plan, rules: &[NotifyRule], notice: &Notice) {
        journal::tell(notice);
        for to in wanted(rules, notice.event, |name| plan.notify.get(name).cloned()) {
            self.outbox.tell(&to, notice);
        }
    }

    /// What is wrong, for the one line of the status: `, 1 failing, 2 paused`.
    pub(super) fn in_short(&self, plan: &Plan) -> String {
        let mut said = [("failing", 0), ("paused", 0), ("stale", 0), ("suspicious", 0), ("validating", 0)];
        let mut count = |word: &str| said.iter_mut().filter(|(what, _)| *what == word).for_each(|(_, n)| *n += 1);
        for (name, _) in plan.databases.iter().filter(|(_, database)| database.policy.enabled) {
            let wrong = self.wrong_with(name);
            wrong.iter().for_each(|word| count(word));
            if wrong.is_empty() && !self.has_backup(name) {
                count("validating");
            }
        }
        let wrong: String = said.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!(", {n} {what}")).collect();
        if wrong.is_empty() && !plan.databases.is_empty() { ", all fresh".into() } else { wrong }
    }

    /// How those who are told do.
    pub(super) fn notifiers(&self) -> Vec<notify::NotifierState> {
        self.outbox.state()
    }

    /// Tries once more to deliver what waits.
    pub(super) async fn close(self, within: Duration) {
        let left = self.outbox.close(within).await;
        if left > 0 {
            let s = if left == 1 { "" } else { "s" };
            tracing::warn!("{left} notification{s} could not be delivered before the end");
        }
    }

    /// The history is not what backups depend on: that it cannot be written is told, and they go on.
    pub(super) fn noted(&self, result: Result<()>) {
        if let Err(e) = result {
            tracing::error!("{}", e.line());
        }
    }
}

impl Known {
    fn longest_gap(&mut self, gaps: &mut Gaps, agenda: Option<&Agenda>, now: Timestamp) -> Option<Duration> {
        *self.longest_gap.get_or_insert_with(|| {
            let agenda = agenda?;
            *gaps.entry(agenda.texts()).or_insert_with(|| longest_gap(agenda.calendars(), now))
        })
    }
}
