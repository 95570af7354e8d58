//! Where a database stands: its state from what the history knows of it, when silence is an alarm, what the daily look tells. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::config::{Database, Policy};
use crate::control::status::{Backup, DatabaseStatus, Failure, Pause, Proof, Running, State, Suspicion};
use crate::history::{Condition, Newest, PausedBy, Run};
use crate::model::timespan::rough;
use crate::model::{Event, Name, Notice, Timespan};

/// Nobody is alarmed before so long without a success, however often the schedule is.
const STALE_AT_LEAST: Duration = Duration::from_secs(48 * 3600);
/// How often people are reminded of what they were told.
const REMIND: SignedDuration = SignedDuration::from_hours(24);

/// What is known of a database.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// What the history keeps between its runs.
    pub condition: Condition,
    /// Its newest runs.
    pub newest: Newest,
    /// What runs now.
    pub running: Option<Running>,
    /// See [`stale_after`].
    pub stale_after: Option<Duration>,
}

impl Facts {
    /// When the newest good backup was published.
    pub fn last_success(&self) -> Option<Timestamp> {
        last_success(&self.newest)
    }
}

/// When the newest good backup was published.
pub fn last_success(newest: &Newest) -> Option<Timestamp> {
    newest.full.iter().chain(&newest.incremental).map(ended).max()
}

/// How long without a success until it is an alarm: what the policy says, else 1.5 times the longest gap of its schedule, and
/// at least 48 h. Nobody waits for a database that is backed up by hand only.
pub fn stale_after(policy: &Policy, longest_gap: Option<Duration>) -> Option<Duration> {
    let by_schedule = || {
        let scheduled = !policy.full.is_empty() || !policy.incremental.is_empty();
        scheduled.then(|| longest_gap.unwrap_or_default().saturating_mul(3) / 2).map(|gap| gap.max(STALE_AT_LEAST))
    };
    policy.stale_after.map(|Timespan(length)| length).or_else(by_schedule)
}

/// Whether there was no success for too long: since the last one, or since the database was first seen.
pub fn is_stale(
    first_seen: Timestamp,
    last_success: Option<Timestamp>,
    stale_after: Option<Duration>,
    now: Timestamp,
) -> bool {
    let waited = now.duration_since(last_success.unwrap_or(first_seen));
    stale_after.and_then(|limit| SignedDuration::try_from(limit).ok()).is_some_and(|limit| waited > limit)
}

/// What the database's tables say, as a short word: it changes with any edit of them, of its policy and of its destinations.
pub fn fingerprint(database: &Database) -> String {
    let Database { name, engine, source, options, policy } = database;
    // Secrets are references here.
    let text = format!("{name} {} {source:?} {options:?} {policy:?}", engine.name);
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Where a database stands. `database` is `None` for one that is in no file any more, `next` when its next run starts by itself.
pub fn standing(
    name: &Name,
    database: Option<&Database>,
    facts: &Facts,
    next: Option<Timestamp>,
    now: Timestamp,
) -> DatabaseStatus {
    let Facts { condition, newest, .. } = facts;
    let (last, enabled) = (facts.last_success(), database.is_some_and(|database| database.policy.enabled));
    let state = match &condition.pause {
        _ if database.is_none() => State::Detached,
        _ if !enabled => State::Disabled,
        Some(_) => State::Paused,
        None if condition.failures > 0 => State::Failing,
        None if last.is_none() => State::Validating,
        None => State::Active,
    };
    let stale_after = facts.stale_after.filter(|_| enabled);
    DatabaseStatus {
        name: name.clone(),
        engine: database.map(|database| database.engine.name.to_owned()),
        state,
        stale: is_stale(condition.first_seen, last, stale_after, now),
        stale_after: stale_after.map(|limit| limit.as_secs()),
        last_full: newest.full.as_ref().and_then(backup),
        last_incremental: newest.incremental.as_ref().and_then(backup),
        next: next.filter(|_| state != State::Paused && enabled),
        running: facts.running.clone(),
        failures: condition.failures,
        failing_since: condition.failing_since,
        last_error: newest.failed.as_ref().map(failure),
        pause: condition.pause.as_ref().map(|pause| Pause {
            since: pause.at,
            by: pause.by.to_string(),
            why: pause.why.clone(),
        }),
        suspicious: condition.hold.as_ref().map(|hold| Suspicion { backup: hold.backup.clone(), since: hold.since }),
        proven: newest.proof.as_ref().map(|run| Proof {
            how: run.kind,
            run: run.id.clone(),
            at: ended(run),
            backup: run.backup.clone(),
        }),
    }
}

fn ended(run: &Run) -> Timestamp {
    run.ended.unwrap_or(run.started)
}

fn backup(run: &Run) -> Option<Backup> {
    Some(Backup {
        id: run.backup.clone()?,
        run: run.id.clone(),
        started: run.started,
        finished: ended(run),
        plain_bytes: run.plain_bytes,
        stored_bytes: run.stored_bytes,
        destinations: run.destinations.clone(),
    })
}

fn failure(run: &Run) -> Failure {
    let error = run.error.clone().unwrap_or_else(|| run.outcome.map_or_else(String::new, |how| how.to_string()));
    Failure { run: run.id.clone(), at: ended(run), error, hint: run.hint.clone() }
}

/// What is looked at once a minute: whether it has been silent for too long, and whether somebody is to be reminded. `condition`
/// remembers what was told; nothing is told twice within a day.
pub fn look(
    condition: &mut Condition,
    database: &Database,
    last_success: Option<Timestamp>,
    stale_after: Option<Duration>,
    host: &str,
    now: Timestamp,
) -> Vec<Notice> {
    let mut told = Vec::new();
    let limit = stale_after.filter(|_| database.policy.enabled);
    if !is_stale(condition.first_seen, last_success, limit, now) {
        condition.stale_told = None;
    } else if a_day_ago(condition.stale_told, now) {
        condition.stale_told = Some(now);
        let text = match last_success {
            Some(last) => format!("no good backup for {}: the last one was at {last}", length(last, now)),
            None => {
                format!("no good backup ever, and it has been waited for for {}", length(condition.first_seen, now))
            }
        };
        told.push(Notice {
            hint: Some(format!("`qbackd status {0}` and `qbackd history {0}` tell why", database.name)),
            details: vec![("alarm after".into(), limit.map(Timespan).unwrap_or_default().to_string())],
            ..Notice::new(Event::Stale, now, host, Some(&database.name), text)
        });
    }
    let paused = condition.pause.as_ref().filter(|pause| pause.by == PausedBy::Failures && database.policy.enabled);
    if let Some(pause) = paused
        && a_day_ago(condition.reminded, now)
    {
        let text = format!("still paused, for {}: {}", length(pause.at, now), pause.why);
        told.push(Notice {
            hint: Some(super::failures::way_out(&database.name)),
            ..Notice::new(Event::Paused, now, host, Some(&database.name), text)
        });
        condition.reminded = Some(now);
    }
    told
}

/// Ends a pause by failures if the database's tables are not what they were when it began. Gives whether it did.
pub fn edited(condition: &mut Condition, tables: &str) -> bool {
    let ends = condition.pause.as_ref().is_some_and(|pause| {
        pause.by == PausedBy::Failures && pause.tables.as_deref().is_some_and(|before| before != tables)
    });
    if ends {
        super::failures::forget(condition);
    }
    ends
}

/// Whether it is a day since; also when the clock was set back by more than that.
fn a_day_ago(told: Option<Timestamp>, now: Timestamp) -> bool {
    told.is_none_or(|told| now.duration_since(told).abs() >= REMIND)
}

fn length(from: Timestamp, now: Timestamp) -> String {
    let seconds = u64::try_from(now.duration_since(from).as_secs()).unwrap_or(0);
    rough(seconds).unwrap_or_else(|| "less than a minute".into())
}
