//! What the daemon says in the journal: one line for each thing that happens, with the fields by which it is found again.

use jiff::SignedDuration;
use tracing::Level;

use crate::config::Report;
use crate::history::{Damage, Run};
use crate::model::figures::took;
use crate::model::journal::Fields;
use crate::model::{Event, Moment, Name, Notice, Outcome, RunKind, Size};

/// Says what happened, at the level it deserves. How a run ended is left to [`run_ended`], which says it once.
pub(super) fn tell(notice: &Notice) {
    if notice.run.is_some() && matches!(notice.event, Event::Failed | Event::Succeeded) {
        return;
    }
    let fields = Fields {
        database: notice.database.as_ref().map(|name| name.as_str()),
        run: notice.run.as_ref().map(|run| run.as_str()),
        backup: notice.backup.as_ref().map(ToString::to_string),
        destination: notice.destination.as_deref(),
        ..Fields::of_event(notice.event)
    };
    let text = hinted(notice.text.clone(), notice.hint.as_deref());
    fields.say(level(notice.event), &text);
}

/// Says in one line how a run ended, as the history has it. `figures` tells what a backup holds
/// ([`model::figures`](crate::model::figures::figures)); `again`: how long until it is tried once more.
pub(super) fn run_ended(run: &Run, figures: Option<&str>, again: Option<SignedDuration>) {
    let (level, fields) = match (run.outcome, again) {
        (Some(Outcome::Succeeded), _) => (Level::INFO, Fields::of_event(Event::Succeeded)),
        (Some(Outcome::Failed | Outcome::TimedOut), None) => (Level::ERROR, Fields::of_event(Event::Failed)),
        (Some(Outcome::Failed | Outcome::TimedOut), Some(_)) => (Level::WARN, Fields::of(Moment::RunAgain)),
        (Some(Outcome::Interrupted) | None, _) => (Level::WARN, Fields::of(Moment::RunInterrupted)),
        (Some(Outcome::Vetoed), _) => (Level::WARN, Fields::of(Moment::RunRefused)),
        (Some(Outcome::Skipped), _) => (Level::INFO, Fields::of(Moment::RunRefused)),
    };
    let fields = Fields {
        database: Some(run.database.as_str()),
        run: Some(run.id.as_str()),
        backup: run.backup.as_ref().map(ToString::to_string),
        destination: run.destinations.first().map(String::as_str),
        ..fields
    };
    fields.say(level, &ending(run, figures, again));
}

/// Says that an edit of its tables ended the pause of a database that failed.
pub(super) fn pause_ended(database: &Name) {
    let fields = Fields { database: Some(database.as_str()), ..Fields::of(Moment::PauseEnded) };
    fields.say(Level::INFO, "it was paused after failures; its tables were edited, so it goes on");
}

/// Says that the history had to be begun anew.
pub(super) fn history_damaged(damage: &Damage) {
    let text = format!("the history was damaged ({}) and is now {}", damage.why, damage.moved_to.display());
    Fields::of(Moment::HistoryDamaged).say(Level::ERROR, &text);
}

/// Says that backups which should go stay at a destination.
pub(super) fn not_deleted(database: &Name, destination: &str, why: &str) {
    let fields =
        Fields { database: Some(database.as_str()), destination: Some(destination), ..Fields::of(Moment::NotDeleted) };
    fields.say(Level::WARN, &format!("old backups stay at {destination}: {why}"));
}

/// Names what the files ask for and what is not done, a line each: at every load, whoever asked for it.
pub(super) fn config_warnings(warnings: &Report) {
    warnings.lines().for_each(|(_, line)| Fields::of(Moment::ConfigWarning).say(Level::WARN, &line));
}

/// Says that an edit of the configuration is in use, and what it changed.
pub(super) fn config_accepted(changes: &str) {
    moment(Moment::ConfigAccepted, &format!("configuration accepted: {changes}"));
}

/// Says that the daemon works, and on what.
pub(super) fn daemon_started(on: &str) {
    moment(Moment::DaemonStarted, &format!("qbackd {} started: {on}", env!("CARGO_PKG_VERSION")));
}

/// Says that the daemon was asked to end, and what it waits for.
pub(super) fn daemon_stopping(waits_for: &str) {
    moment(Moment::DaemonStopping, &format!("stopping: {waits_for}"));
}

fn moment(moment: Moment, text: &str) {
    Fields::of(moment).say(Level::INFO, text);
}

/// Error: data may be lost if nobody acts. Warning: somebody should look.
fn level(event: Event) -> Level {
    match event {
        Event::Failed | Event::Paused | Event::Stale | Event::ConfigRejected | Event::LogGap | Event::DrillFailed => {
            Level::ERROR
        }
        Event::CopyFailed | Event::SourceChanged | Event::SuspiciousSize | Event::LowSpace => Level::WARN,
        Event::Recovered | Event::WeeklySummary | Event::Succeeded => Level::INFO,
    }
}

/// `ok: 84 tables, 12,402 rows, 1.2 GiB (350 MiB stored) in 2m 03s`
fn ending(run: &Run, figures: Option<&str>, again: Option<SignedDuration>) -> String {
    let length = run.ended.map_or_else(String::new, |ended| took(ended.duration_since(run.started)));
    let notes: String = run.notes.iter().map(|note| format!("; {note}")).collect();
    if run.outcome == Some(Outcome::Succeeded) {
        let what = if run.kind == RunKind::Backup { "ok".into() } else { format!("{} ok", run.kind) };
        let figures = figures.map(str::to_owned).or_else(|| run.plain_bytes.map(|bytes| Size(bytes).to_string()));
        let figures = figures.map_or_else(String::new, |figures| format!(": {figures}"));
        return format!("{what}{figures} in {length}{notes}");
    }
    let outcome = run.outcome.map_or("ended", Outcome::as_str);
    let mut text = format!("{} {outcome} after {length}", run.kind);
    if let Some(error) = &run.error {
        // The error begins with what failed, for those who read nothing but it.
        let said = format!("{} of {} failed: ", run.kind, run.database);
        text.push_str(&format!(": {}", error.strip_prefix(&said).unwrap_or(error)));
    }
    // Who cancelled it.
    if run.outcome == Some(Outcome::Interrupted) {
        text.push_str(&notes);
    }
    if let Some(again) = again {
        text.push_str(&format!("; again in {}", took(again)));
    }
    hinted(text, run.hint.as_deref())
}

fn hinted(text: String, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{text} (hint: {hint})"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;
    use crate::history::{Ending, History, NewRun, Phase, StateDir};
    use crate::model::{FixedClock, Name};

    /// What was logged: level, and the fields in order.
    type Lines = Arc<Mutex<Vec<(Level, Vec<(String, String)>)>>>;

    struct Keep(Lines);

    #[derive(Default)]
    struct Read(Vec<(String, String)>);

    impl Visit for Read {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0.push((field.name().into(), format!("{value:?}")));
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.push((field.name().into(), value.into()));
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Keep {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let mut read = Read::default();
            event.record(&mut read);
            self.0.lock().unwrap().push((*event.metadata().level(), read.0));
        }
    }

    /// The one line that `say` says: level and fields.
    fn said(say: impl FnOnce()) -> (Level, Vec<(String, String)>) {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(Keep(lines.clone()));
        tracing::subscriber::with_default(subscriber, say);
        let mut lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.pop().unwrap()
    }

    fn field<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
        fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    fn notice(event: Event, text: &str) -> Notice {
        Notice::new(event, "2026-11-20T02:00:00Z".parse().unwrap(), "db1", Some(&"shop".parse().unwrap()), text)
    }

    /// A run of the real history that ended so after two minutes and three seconds.
    fn run(kind: RunKind, ending: Ending) -> Run {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::new("2026-11-20T02:00:00Z".parse().unwrap()));
        let state = Arc::new(StateDir::prepare(dir.path()).unwrap());
        let (history, _) = History::open(state, "db1", clock.clone()).unwrap();
        let new = NewRun {
            id: None,
            kind,
            database: "shop".parse::<Name>().unwrap(),
            destinations: vec!["local".into()],
            backup: None,
            initiated_by: "the schedule".into(),
            due: None,
            attempt: None,
        };
        let id = history.begin(new, None).unwrap();
        clock.step(SignedDuration::from_secs(123));
        history.finish(&id, ending).unwrap();
        history.read().run(id.as_str()).unwrap()
    }

    #[test]
    fn a_line_names_its_database_and_has_the_fields_of_its_event() {
        let (level, fields) =
            said(|| tell(&Notice { hint: Some("mend it".into()), ..notice(Event::Stale, "no success\nfor 50h") }));
        assert_eq!(level, Level::ERROR);
        assert_eq!(field(&fields, "message"), "shop: no success for 50h (hint: mend it)");
        assert_eq!(field(&fields, "MESSAGE_ID"), Event::Stale.message_id());
        assert_eq!(field(&fields, "QBACKD_DATABASE"), "shop");
        assert_eq!(field(&fields, "QBACKD_EVENT"), "stale");
        // What is not known is no field.
        assert!(fields.iter().all(|(name, _)| name != "QBACKD_RUN"));
    }

    #[test]
    fn how_a_run_ended_is_one_line() {
        let ended = run(RunKind::Backup, Ending::new(Outcome::Succeeded));
        let (level, fields) = said(|| {
            run_ended(&ended, Some("84 tables, 12,402 rows, 1.2 GiB (350 MiB stored)"), None);
            tell(&Notice { run: Some(ended.id.clone()), ..notice(Event::Succeeded, "backup ok") });
        });
        assert_eq!(level, Level::INFO);
        assert_eq!(field(&fields, "message"), "shop: ok: 84 tables, 12,402 rows, 1.2 GiB (350 MiB stored) in 2m 03s");
        assert_eq!(field(&fields, "QBACKD_RUN"), ended.id.as_str());
        assert_eq!(field(&fields, "QBACKD_DESTINATION"), "local");
    }

    #[test]
    fn a_failure_that_is_tried_again_is_a_warning_and_the_last_one_an_error() {
        let error = Some("backup of shop failed: cannot dump: no such file".into());
        let ended = run(RunKind::Backup, Ending { error, hint: Some("look".into()), ..Ending::new(Outcome::Failed) });
        let (level, fields) = said(|| run_ended(&ended, None, Some(SignedDuration::from_mins(10))));
        assert_eq!((level, field(&fields, "QBACKD_EVENT")), (Level::WARN, "run-again"));
        assert_eq!(
            field(&fields, "message"),
            "shop: backup failed after 2m 03s: cannot dump: no such file; again in 10m 00s (hint: look)"
        );
        let (level, fields) = said(|| run_ended(&ended, None, None));
        assert_eq!((level, field(&fields, "QBACKD_EVENT")), (Level::ERROR, "failed"));
        assert_eq!(field(&fields, "MESSAGE_ID"), Event::Failed.message_id());
    }

    #[test]
    fn other_runs_say_what_they_were() {
        let ended = run(
            RunKind::Restore,
            Ending { plain_bytes: Some(2 << 20), phases: Vec::<Phase>::new(), ..Ending::new(Outcome::Succeeded) },
        );
        let (_, fields) = said(|| run_ended(&ended, None, None));
        assert_eq!(field(&fields, "message"), "shop: restore ok: 2.0 MiB in 2m 03s");
    }
}
