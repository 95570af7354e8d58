//! Reload, on one path: read all -> validate -> compare -> swap -> report. Start-up is the same from nothing.

use std::sync::Arc;

use super::agenda::Agenda;
use super::configured::{Answer, Read, in_short, texts};
use super::core::{Core, Message};
use super::{accepted, journal};
use crate::config::{self, Diff, Loaded, Plan, Report};
use crate::control;
use crate::error::Result;
use crate::model::{Event, Notice};
use crate::schedule;

impl Core {
    /// Has the files read. Nothing else waits for that.
    pub(super) fn reread(&mut self, answer: Option<Answer>) {
        let configured = &mut self.configured;
        if configured.reading {
            configured.again = true;
            configured.later.extend(answer);
            return;
        }
        configured.reading = true;
        configured.waiting.extend(answer);
        let (dir, to) = (self.ground.config.clone(), self.messages());
        tokio::task::spawn_blocking(move || {
            // A loop that is gone has no use for it.
            let _ = to.send(Message::Read(Box::new(Read(config::load(&dir)))));
        });
    }

    /// Takes over what was read, or says why not.
    pub(super) fn read(&mut self, Read(read): Read) {
        let answers = std::mem::take(&mut self.configured.waiting);
        let report = match &read {
            Ok(loaded) => &loaded.warnings,
            Err(report) => report,
        };
        let texts = texts(report);
        // A file that was only touched. Whoever asked gets an answer all the same.
        if answers.is_empty() && texts == self.configured.texts {
            return self.read_again();
        }
        self.configured.texts = texts;
        self.service.reloading();
        let told = match read {
            Ok(loaded) => self.accept(loaded),
            Err(report) => self.reject(&report),
        };
        self.service.ready();
        for answer in answers {
            // Whoever does not wait any more does not want to know.
            let _ = answer.send(Ok(told.clone()));
        }
        self.read_again();
    }

    fn read_again(&mut self) {
        self.configured.reading = false;
        self.configured.waiting = std::mem::take(&mut self.configured.later);
        if std::mem::take(&mut self.configured.again) {
            self.reread(None);
        }
    }

    fn accept(&mut self, loaded: Loaded) -> control::Reload {
        let Loaded { plan, warnings } = loaded;
        let diff = config::diff(&self.plan, &plan);
        if let Err(e) = accepted::keep(&self.ground.state, &warnings) {
            tracing::warn!(
                "after a restart this configuration would be missed if the files were broken then: {}",
                e.line()
            );
        }
        let mended = self.configured.rejected.take().is_some();
        self.configured.since = self.now();
        self.take_over(plan);
        let whole = if mended { "; the files are whole again" } else { "" };
        journal::config_accepted(&format!("{diff}{whole}"));
        told(true, &warnings, &diff)
    }

    fn reject(&mut self, report: &Report) -> control::Reload {
        let line = in_short(report);
        let notice = self.rejection(&line);
        // Who reads the same mistake again and again wants to hear of it; everybody else heard of it.
        if self.configured.rejected.as_ref() == Some(&line) {
            journal::tell(&notice);
        } else {
            self.alarms.tell_everybody(&self.plan, &notice);
        }
        self.configured.rejected = Some(line);
        told(false, report, &Diff::default())
    }

    /// At the start: tells that the files are broken, if nobody was told before the start.
    pub(super) fn tell_of_broken_files(&self) {
        if let Some(line) = &self.configured.rejected {
            self.alarms.tell_everybody_once(&self.plan, &self.rejection(line));
        }
    }

    fn rejection(&self, line: &str) -> Notice {
        let text = format!("the configuration was rejected, the one before stays: {line}");
        let mut notice = Notice::new(Event::ConfigRejected, self.now(), &self.ground.host, None, text);
        notice.error = Some(line.to_owned());
        notice.hint = Some("see all of it with `qbackd check`, mend it, `systemctl reload qbackd`".into());
        notice
    }

    /// Makes `plan` the one that counts. Runs keep the one they began with.
    fn take_over(&mut self, plan: Plan) {
        let now = self.now();
        let plan = Arc::new(plan);
        self.zone = schedule::zone(plan.daemon.options.timezone.as_deref());
        self.agendas.retain(|name, _| plan.databases.contains_key(name));
        self.alarms.meet(&plan);
        let reader = self.ground.history.read();
        for (name, database) in &plan.databases {
            match self.agendas.get_mut(name) {
                Some(agenda) => agenda.adopt(database, &self.zone, now),
                None => {
                    let last = reader.last_due(name).ok().flatten();
                    let proven = reader.newest(name).is_ok_and(|newest| newest.full.is_some());
                    let agenda = Agenda::new(database, &self.zone, last.as_ref(), proven, now);
                    self.agendas.insert(name.clone(), agenda);
                }
            }
        }
        self.plan = Arc::clone(&plan);
        self.shown.send_replace(plan);
        self.look(now);
    }

    /// The agendas of all databases at start-up.
    pub(super) fn make_agendas(&mut self) -> Result<()> {
        let now = self.now();
        let reader = self.ground.history.read();
        let (last, newest) = (reader.all_last_due()?, reader.all_newest()?);
        for (name, database) in &self.plan.databases {
            let proven = newest.get(name).is_some_and(|newest| newest.full.is_some());
            let agenda = Agenda::new(database, &self.zone, last.get(name), proven, now);
            self.agendas.insert(name.clone(), agenda);
        }
        Ok(())
    }
}

/// What `diff` answers: what a reload would do.
pub(super) fn preview(running: &Plan, dir: &std::path::Path) -> control::Reload {
    match config::load(dir) {
        Ok(loaded) => told(true, &loaded.warnings, &config::diff(running, &loaded.plan)),
        Err(report) => told(false, &report, &Diff::default()),
    }
}

fn told(accepted: bool, report: &Report, diff: &Diff) -> control::Reload {
    let (errors, warnings) = report.counts();
    control::Reload { accepted, errors, warnings, diagnostics: report.render(false), changes: diff.lines() }
}
