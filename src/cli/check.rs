//! `qbackd check`: whether the configuration is right, and when its schedules are due.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{Global, human, output};
use crate::config::{self, Plan, Policy, report::Row};
use crate::error::{Error, Kind, Result};
use crate::model::{Clock, SystemClock};
use crate::schedule::{Calendar, Schedule, open_from, zone};

/// How many times to come are shown of each schedule.
const NEXT: usize = 3;

/// Check the configuration, without touching anything.
///
/// Reads all *.toml of the folder as the daemon does and shows every error at
/// once, each with file, line, column and what was expected. Opens nothing but
/// the configuration: a file it names that is absent is a warning. Exits with 78
/// if there is any error.
///
/// Shows the next three times of each schedule, in the time zone it follows and
/// before any randomized_delay; where not_between holds a run back, also when it
/// may start.
///
/// Examples:
///   qbackd check
///   qbackd check --config ./etc
///   qbackd check --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Try every server, tool, recipient and destination as well.
    #[arg(long)]
    pub(super) connect: bool,
}

#[derive(Serialize)]
struct Verdict {
    errors: usize,
    warnings: usize,
    databases: usize,
    destinations: usize,
    findings: Vec<Row>,
    schedules: Vec<Times>,
}

/// The next times of a schedule, and the table and key where it is written.
#[derive(Serialize)]
struct Times {
    table: &'static str,
    name: String,
    key: &'static str,
    schedule: String,
    time_zone: Option<String>,
    next: Vec<Due>,
    #[serde(skip)]
    zone: TimeZone,
}

/// When a run is due, and when `not_between` lets it start.
#[derive(Serialize)]
struct Due {
    due: Timestamp,
    starts: Timestamp,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let loaded = config::load(&global.config);
    let (report, plan) = match &loaded {
        Ok(loaded) => (&loaded.warnings, Some(&loaded.plan)),
        Err(report) => (report, None),
    };
    let (errors, warnings) = report.counts();
    let (databases, destinations) = plan.map_or((0, 0), |plan| (plan.databases.len(), plan.destinations.len()));
    let schedules = plan.map_or_else(|| Ok(Vec::new()), |plan| schedules(plan, SystemClock.now()))?;
    let findings = report.rows();
    let verdict = Verdict { errors, warnings, databases, destinations, findings, schedules };
    if global.json {
        output::json(&verdict)?;
    } else if !report.is_empty() {
        output::tell(report.render(output::coloured(&std::io::stderr())).trim_end());
    }
    if plan.is_none() {
        let errors = output::count(errors, "error");
        return Err(Error::new(Kind::Configuration, format!("{} has {errors}", global.config.display())));
    }
    if args.connect {
        return Err(Error::new(
            Kind::Unavailable,
            "`check --connect` comes with servers and buckets, which is not built",
        ));
    }
    if global.json { Ok(()) } else { show(&verdict) }
}

fn show(verdict: &Verdict) -> Result<()> {
    if !verdict.schedules.is_empty() {
        let rows = verdict.schedules.iter().flat_map(rows).collect();
        output::table(&["IN", "KEY", "SCHEDULE", "NEXT"], rows)?;
        output::line("")?;
    }
    let warned = match verdict.warnings {
        0 => String::new(),
        warnings => format!(", {}", output::count(warnings, "warning")),
    };
    let databases = output::count(verdict.databases, "database");
    output::line(&format!("ok: {databases}, {}{warned}", output::count(verdict.destinations, "destination")))
}

/// A row for each time; only the first says what of.
fn rows(times: &Times) -> Vec<Vec<String>> {
    let when = |next: &Due| match human::in_zone(next.due, &times.zone) {
        due if next.starts == next.due => due,
        due => format!("{due}, held back until {}", human::in_zone(next.starts, &times.zone)),
    };
    let mut next: Vec<_> = times.next.iter().map(when).collect();
    if next.is_empty() {
        next.push("never again".to_owned());
    }
    let mut head = [format!("{} {}", times.table, times.name), times.key.to_owned(), times.schedule.clone()];
    next.into_iter().map(|when| head.iter_mut().map(std::mem::take).chain([when]).collect()).collect()
}

/// The schedules of all policies, and those of databases that say something else than their policy does.
fn schedules(plan: &Plan, now: Timestamp) -> Result<Vec<Times>> {
    let zone = zone(plan.daemon.options.timezone.as_deref());
    let mut all = Vec::new();
    for (name, policy) in &plan.policies {
        for (key, schedule) in written(policy) {
            all.push(times(("policy", name.as_str(), key), schedule, policy, &zone, now)?);
        }
    }
    for (name, database) in &plan.databases {
        let policy = &database.policy;
        let base = database.options.policy.as_deref().and_then(|name| plan.policies.get(name));
        let same = |base: &Policy| written(base).eq(written(policy)) && base.not_between == policy.not_between;
        if !policy.enabled || base.is_some_and(|base| same(base)) {
            continue;
        }
        for (key, schedule) in written(policy) {
            all.push(times(("database", name.as_str(), key), schedule, policy, &zone, now)?);
        }
    }
    Ok(all)
}

/// The schedules of a policy, by their keys.
fn written(policy: &Policy) -> impl Iterator<Item = (&'static str, &Schedule)> {
    [("full", &policy.full), ("incremental", &policy.incremental), ("drill", &policy.drill)]
        .into_iter()
        .flat_map(|(key, schedules)| schedules.iter().map(move |schedule| (key, schedule)))
}

fn times(
    (table, name, key): (&'static str, &str, &'static str),
    schedule: &Schedule,
    policy: &Policy,
    default_zone: &TimeZone,
    now: Timestamp,
) -> Result<Times> {
    let calendar = Calendar::new(schedule, default_zone).map_err(|why| Error::new(Kind::Configuration, why))?;
    let starts = |due| open_from(&policy.not_between, due, default_zone).unwrap_or(due);
    let next = std::iter::successors(calendar.next_after(now), |due| calendar.next_after(*due))
        .take(NEXT)
        .map(|due| Due { due, starts: starts(due) })
        .collect();
    let zone = calendar.zone().clone();
    let time_zone = zone.iana_name().map(str::to_owned);
    Ok(Times { table, name: name.to_owned(), key, schedule: schedule.text.clone(), time_zone, next, zone })
}
