//! A line of the journal: what happened, at the level it deserves, with the fields by which it is found again.
//!
//! A line stands for itself, also where nobody sees its fields: it begins with the database it is about. Under systemd it has
//! `QBACKD_DATABASE`, `QBACKD_RUN`, `QBACKD_BACKUP`, `QBACKD_DESTINATION`, `QBACKD_USER`, `QBACKD_EVENT` and the `MESSAGE_ID` of what
//! happened, which the installed catalog explains (`journalctl -x`).

use tracing::Level;

use super::{Event, Moment};

/// The fields of a line. What is not known is no field.
#[derive(Debug, Clone, Default)]
pub struct Fields<'a> {
    /// `MESSAGE_ID`
    pub id: &'static str,
    /// Its word.
    pub event: &'static str,
    /// The database it is about.
    pub database: Option<&'a str>,
    /// The run it came of.
    pub run: Option<&'a str>,
    /// The backup it is about.
    pub backup: Option<String>,
    /// The destination it is about.
    pub destination: Option<&'a str>,
    /// Who did it.
    pub user: Option<&'a str>,
}

impl Fields<'_> {
    /// Those of something that somebody may be told of as well.
    pub fn of_event(event: Event) -> Self {
        Self { id: event.message_id(), event: event.as_str(), ..Self::default() }
    }

    /// Those of something that only the journal is told.
    pub fn of(moment: Moment) -> Self {
        Self { id: moment.message_id(), event: moment.as_str(), ..Self::default() }
    }

    /// Says the line. A level is a constant of the place that logs.
    pub fn say(&self, level: Level, text: &str) {
        macro_rules! at {
            ($level:ident) => {
                tracing::$level!(
                    MESSAGE_ID = self.id,
                    QBACKD_EVENT = self.event,
                    QBACKD_DATABASE = self.database,
                    QBACKD_RUN = self.run,
                    QBACKD_BACKUP = self.backup,
                    QBACKD_DESTINATION = self.destination,
                    QBACKD_USER = self.user,
                    "{}",
                    line(self.database, text)
                )
            };
        }
        match level {
            Level::ERROR => at!(error),
            Level::WARN => at!(warn),
            _ => at!(info),
        }
    }
}

/// One line, whatever a tool or a server said in it.
fn line(database: Option<&str>, text: &str) -> String {
    let text: String = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match database {
        Some(database) => format!("{database}: {text}"),
        None => text,
    }
}
