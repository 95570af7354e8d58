//! Reload, on one path: read all -> validate -> compare -> swap -> report. Start-up is the same from nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::agenda::Agenda;
use super::configured::{Answer, Fingerprint, Read, fingerprint, in_short, texts};
use super::core::{Core, Message};
use super::facts::Facts;
use super::ground::Ground;
use super::journal;
use crate::config::{self, Diff, Loaded, Plan, Report, accepted};
use crate::control;
use crate::model::{Event, Name, Notice};
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
        let (known, untouched) = (configured.fingerprint, configured.untouched());
        let (ground, to) = (self.ground.clone(), self.messages());
        tokio::task::spawn_blocking(move || {
            // A loop that is gone has no use for it.
            let _ = to.send(Message::Read(read(&ground, known, untouched).map(Box::new)));
        });
    }

    /// Takes over what was read, or says why not. None: it is what runs.
    pub(super) fn read(&mut self, read: Option<Read>) {
        let Some(read) = read else { return self.read_again() };
        let answers = std::mem::take(&mut self.configured.waiting);
        // A file that was only touched. Whoever asked gets an answer all the same.
        let asked = std::mem::take(&mut self.configured.insisted) || !answers.is_empty();
        if !asked && read.fingerprint == self.configured.fingerprint {
            return self.read_again();
        }
        self.configured.note(&read);
        self.service.reloading();
        if let Err(e) = &read.kept {
            tracing::warn!(
                "after a restart this configuration would be missed if the files were broken then: {}",
                e.line()
            );
        }
        let told = match read.result {
            Ok(loaded) => self.accept(loaded, read.took),
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

    fn accept(&mut self, loaded: Loaded, [read, kept]: [Duration; 2]) -> control::Reload {
        let Loaded { mut plan, warnings } = loaded;
        let begun = Instant::now();
        let diff = config::diff(&self.plan, &plan);
        let compared = begun.elapsed();
        plan.daemon.keep_until_restart(&self.plan.daemon);
        let mended = self.configured.rejected.take().is_some();
        self.configured.since = self.now();
        self.take_over(plan);
        let swapped = begun.elapsed().saturating_sub(compared);
        tracing::debug!(
            "reload: read and checked in {read:.0?}, kept in {kept:.0?}, compared in {compared:.0?}, swapped in {swapped:.0?}"
        );
        let whole = if mended { "; the files are whole again" } else { "" };
        journal::config_accepted(&format!("{diff}{whole}"));
        journal::config_warnings(&warnings);
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
        for (name, agenda) in &mut self.agendas {
            if let Some(database) = plan.databases.get(name) {
                agenda.adopt(database, &self.zone, now);
            }
        }
        let new = self.new_ones(&plan);
        let facts = Facts::of(&self.ground, &new).unwrap_or_else(|e| {
            tracing::error!("what was done for new databases is not known: {}", e.line());
            Facts::default()
        });
        self.make_agendas(&plan, &new, &facts);
        self.plan = Arc::clone(&plan);
        self.shown.send_replace(plan);
        self.look(now);
    }

    /// The databases of `plan` that have no agenda yet.
    pub(super) fn new_ones(&self, plan: &Plan) -> Vec<Name> {
        plan.databases.keys().filter(|name| !self.agendas.contains_key(*name)).cloned().collect()
    }

    /// Makes the agendas of `new` ones.
    pub(super) fn make_agendas(&mut self, plan: &Plan, new: &[Name], facts: &Facts) {
        let now = self.now();
        let made = new.iter().filter_map(|name| {
            let database = plan.databases.get(name)?;
            Some((name.clone(), Agenda::new(database, &self.zone, facts.last(name), facts.success(name), now)))
        });
        // All at once: a map that grows one by one in order is half empty.
        self.agendas.append(&mut made.collect());
    }
}

/// Reads the files, and keeps them if they can be used and are not what they were. Those that are `untouched` are not looked into.
fn read(ground: &Ground, known: Fingerprint, untouched: Option<Fingerprint>) -> Option<Read> {
    let begun = Instant::now();
    let files = config::read(&ground.config);
    let texts = texts(files.sources());
    if untouched == Some(texts) {
        return None;
    }
    let result = files.understand();
    let took = begun.elapsed();
    let fingerprint = fingerprint(match &result {
        Ok(loaded) => &loaded.warnings,
        Err(report) => report,
    });
    let kept = match &result {
        Ok(loaded) if fingerprint != known => accepted::keep(&ground.state, &loaded.warnings),
        _ => Ok(()),
    };
    Some(Read { result, fingerprint, texts, kept, took: [took, begun.elapsed().saturating_sub(took)] })
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
