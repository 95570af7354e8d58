//! Where tracing goes, as much of it as `-v` and `-q` ask for: to the journal with all its fields if stderr is the journal, else
//! to stderr as lines for people.

use rustix::fs::fstat;
use tracing::Subscriber;
use tracing::field::Field;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::{Global, output};

/// Starts it. `least` is how much is said without any `-v`: 0 for verbs, whose results go to stdout; 1 for the daemon, whose
/// lines are its results. Whoever started one before keeps it.
pub(super) fn start(global: &Global, least: u8) {
    let filter = EnvFilter::new(filter(global.verbose.saturating_add(least), global.quiet));
    let journal = stderr_is_the_journal();
    // A journal without its socket, as in a chroot: it takes lines as well.
    let sink = match journal.then(native).flatten() {
        Some(native) => native.boxed(),
        None => lines(std::io::stderr, output::coloured(&std::io::stderr()), !journal),
    };
    if tracing_subscriber::registry().with(filter).with(sink).try_init().is_err() {
        tracing::debug!("a subscriber was there already");
    }
}

/// Libraries are heard from only when somebody debugs. The scheduler's calls it an error that it is closed, and what it loses is
/// found by the sweep.
fn filter(verbose: u8, quiet: u8) -> &'static str {
    match (verbose, quiet) {
        (_, 2..) => "off",
        (_, 1) => "error,tokio_cron_scheduler=off",
        (0, 0) => "warn,tokio_cron_scheduler=off",
        (1, 0) => "warn,tokio_cron_scheduler=off,qbackd=info",
        (2, 0) => "info,tokio_cron_scheduler=off,qbackd=debug",
        (3.., 0) => "debug,qbackd=trace",
    }
}

/// The journal's own socket; none if it does not answer. Our fields are named as the journal wants them, without a prefix.
fn native() -> Option<tracing_journald::Layer> {
    let priorities = PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    };
    let layer = tracing_journald::layer().ok()?;
    Some(layer.with_field_prefix(None).with_syslog_identifier("qbackd".into()).with_priority_mappings(priorities))
}

/// Lines for people, each with its time if `time`.
fn lines<S, W>(writer: W, colours: bool, time: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer()
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false)
        .fmt_fields(debug_fn(field))
        // A stderr that is closed is no reason to die.
        .log_internal_errors(false);
    if time { lines.boxed() } else { lines.without_time().boxed() }
}

/// One field of a line. The message comes first; what the journal's own fields say is in it already.
fn field(to: &mut Writer<'_>, field: &Field, value: &dyn std::fmt::Debug) -> std::fmt::Result {
    match field.name() {
        "message" => write!(to, "{value:?}"),
        "MESSAGE_ID" => Ok(()),
        name if name.starts_with("QBACKD_") => Ok(()),
        name => write!(to, " {name}={value:?}"),
    }
}

/// `JOURNAL_STREAM` is the device and inode of the journal's end, so that a stderr that was sent elsewhere is not taken for it
/// (systemd.exec(5)).
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(std::io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_for_people_do_not_repeat_the_fields_of_the_journal() {
        let paper = Paper::default();
        let writer = paper.clone();
        let subscriber = tracing_subscriber::registry().with(lines(move || writer.clone(), false, false));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(MESSAGE_ID = "0123", QBACKD_DATABASE = "shop", step = 3, "shop: it rains");
        });
        let said = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said, " WARN shop: it rains step=3\n");
    }

    #[test]
    fn what_is_said_grows_with_v_and_shrinks_with_q() {
        assert_eq!(filter(1, 0), "warn,tokio_cron_scheduler=off,qbackd=info");
        assert_eq!([filter(3, 1), filter(0, 2)], ["error,tokio_cron_scheduler=off", "off"]);
    }
}
