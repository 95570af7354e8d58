//! What a backup that ended changes about its database: the count of failures, a pause, a suspicious size; and who is to be told. Pure.

use jiff::Timestamp;

use crate::history::{Condition, Hold, Pause, PausedBy, Run};
use crate::model::{BackupType, Event, Name, Notice, Outcome, RunKind, Size};

/// So many good backups before it tell what the usual size of a backup is.
pub const USUAL: usize = 10;
/// With fewer before it no backup is suspicious.
pub const AT_LEAST: usize = 3;

/// What the rules are, and what is known besides the run itself.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Failures after which the database is paused; 0: never.
    pub pause_after: u32,
    /// See [`super::standing::fingerprint`].
    pub tables: String,
    /// The name of this machine.
    pub host: String,
    /// Whether the run will be tried again: then its failure is none yet.
    pub again: bool,
    /// The newest good full backups before it, newest first: see [`measure`].
    pub before: Vec<Run>,
}

/// Before when backups are a measure for the size of a backup that started at `started`: those that are suspicious themselves
/// are none, or a database that shrank would count as healthy after a week of alarms.
pub fn measure(condition: &Condition, started: Timestamp) -> Timestamp {
    condition.hold.as_ref().map_or(started, |hold| hold.since.min(started))
}

/// Takes note of a run that ended. Only backups count: a veto, a skip or an interruption is no failure, a copy is none of the
/// database's.
pub fn after_run(condition: &mut Condition, run: &Run, rules: &Rules, now: Timestamp) -> Vec<Notice> {
    if run.kind != RunKind::Backup {
        return Vec::new();
    }
    match run.outcome {
        Some(Outcome::Succeeded) => succeeded(condition, run, rules, now),
        Some(outcome @ (Outcome::Failed | Outcome::TimedOut)) if !rules.again => {
            failed(condition, run, outcome, rules, now)
        }
        _ => Vec::new(),
    }
}

fn succeeded(condition: &mut Condition, run: &Run, rules: &Rules, now: Timestamp) -> Vec<Notice> {
    let failures = condition.failures;
    let mut told = Vec::new();
    let recovered = match (failures, condition.stale_told) {
        (0, None) => None,
        // Whoever was told of the silence wants to know that it is over.
        (0, Some(_)) => Some("backup succeeded; there had been none for too long".to_owned()),
        _ => Some(format!("backup succeeded after {}", times(failures, "failure"))),
    };
    told.extend(recovered.map(|text| notice(Event::Recovered, text, run, rules, now)));
    forget(condition);
    condition.stale_told = None;
    let size = run.plain_bytes.map_or_else(String::new, |bytes| format!(": {}", Size(bytes)));
    told.push(notice(Event::Succeeded, format!("backup succeeded{size}"), run, rules, now));
    told.extend(weigh(condition, run, rules, now));
    told
}

fn failed(condition: &mut Condition, run: &Run, outcome: Outcome, rules: &Rules, now: Timestamp) -> Vec<Notice> {
    condition.failures = condition.failures.saturating_add(1);
    condition.failing_since.get_or_insert(run.ended.unwrap_or(now));
    let error = cause(run);
    let text = match &error {
        Some(error) => format!("backup {outcome}: {error}"),
        None => format!("backup {outcome}"),
    };
    let about = |event, text| Notice { error: error.clone(), ..notice(event, text, run, rules, now) };
    let mut told = vec![about(Event::Failed, text)];
    if rules.pause_after > 0 && condition.failures >= rules.pause_after && condition.pause.is_none() {
        let failures = times(condition.failures, "failure");
        // What stands before the colon is the subject of a mail.
        let (why, text) = match &error {
            Some(error) => (format!("{failures}, the last: {error}"), format!("paused after {failures}: {error}")),
            None => (failures.clone(), format!("paused after {failures}")),
        };
        let by = PausedBy::Failures;
        condition.pause = Some(Pause { at: now, by, why, tables: Some(rules.tables.clone()) });
        condition.reminded = Some(now);
        let notice = about(Event::Paused, text);
        told.push(Notice { hint: Some(way_out(&run.database)), ..notice });
    }
    told
}

/// Forgets the failures and the pause they led to. An operator's pause stays.
pub(super) fn forget(condition: &mut Condition) {
    (condition.failures, condition.failing_since) = (0, None);
    if condition.pause.as_ref().is_some_and(|pause| pause.by == PausedBy::Failures) {
        condition.pause = None;
    }
    condition.reminded = None;
}

/// How a pause by failures ends.
pub(super) fn way_out(name: &Name) -> String {
    format!("mend it, then `qbackd backup {name}`; a success ends the pause, as does `qbackd resume {name}`")
}

/// Compares a full backup with those before it. A suspicious one keeps retention from deleting what may be the last good one,
/// until a backup is of the usual size again, or somebody says that this is it now.
fn weigh(condition: &mut Condition, run: &Run, rules: &Rules, now: Timestamp) -> Option<Notice> {
    let backup = run.backup.as_ref().filter(|id| id.kind() == BackupType::Full)?;
    let limit = measure(condition, run.started);
    let usual = |of: fn(&Run) -> Option<u64>| {
        let since = condition.usual_since;
        let fit =
            rules.before.iter().filter(|one| one.started < limit && since.is_none_or(|since| one.started >= since));
        let mut known: Vec<u64> = fit.take(USUAL).filter_map(of).collect();
        known.sort_unstable();
        (known.len() >= AT_LEAST).then(|| known[known.len() / 2])
    };
    let sizes = usual(|one| one.plain_bytes).zip(run.plain_bytes);
    let tables = usual(|one| one.tables).zip(run.tables);
    if sizes.is_none() && tables.is_none() {
        return None;
    }
    let less_than_half = |pair: Option<(u64, u64)>| pair.filter(|(usual, now)| now.saturating_mul(2) < *usual);
    let found = match (less_than_half(sizes), less_than_half(tables)) {
        (Some((usual, now)), _) => format!("{} instead of about {}", Size(now), Size(usual)),
        (None, Some((usual, now))) => {
            format!("{} instead of about {usual}", times(u32::try_from(now).unwrap_or(u32::MAX), "table"))
        }
        (None, None) => {
            condition.hold = None;
            return None;
        }
    };
    condition.hold.get_or_insert_with(|| Hold { since: run.started, backup: backup.clone() });
    let text = format!("the backup is much smaller than those before: {found}; retention deletes nothing meanwhile");
    let hint = format!("look whether the data is all there; if so, `qbackd prune {} --yes` goes on", run.database);
    Some(Notice { hint: Some(hint), ..notice(Event::SuspiciousSize, text, run, rules, now) })
}

fn notice(event: Event, text: String, run: &Run, rules: &Rules, now: Timestamp) -> Notice {
    let bytes = |n: Option<u64>| n.map(|n| Size(n).to_string());
    let number = |n: Option<u64>| n.map(|n| n.to_string());
    let known = [
        ("size", bytes(run.plain_bytes)),
        ("stored", bytes(run.stored_bytes)),
        ("tables", number(run.tables)),
        ("rows", number(run.rows)),
        ("by", Some(run.initiated_by.clone())),
    ];
    let details = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Notice {
        run: Some(run.id.clone()),
        backup: run.backup.clone().filter(|_| run.outcome == Some(Outcome::Succeeded)),
        destination: run.destinations.first().cloned(),
        hint: run.hint.clone(),
        details,
        ..Notice::new(event, now, &rules.host, Some(&run.database), text)
    }
}

/// What went wrong, without what everybody knows: that it was the backup of this database.
pub(super) fn cause(run: &Run) -> Option<String> {
    let known = format!("backup of {} failed: ", run.database);
    run.error.as_deref().map(|error| error.strip_prefix(&known).unwrap_or(error).to_owned())
}

fn times(n: u32, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

#[cfg(test)]
mod tests;
