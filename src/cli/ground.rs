//! What the verbs that work start from: the plan in the files, the record of runs, this process and who called it.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::keys::KeyArgs;
use super::{Global, output};
use crate::config::{self, Loaded, Plan};
use crate::error::{Error, Kind, Result};
use crate::history::{History, StateDir};
use crate::job::context::Given;
use crate::job::scratch::Scratch;
use crate::job::{Context, Place};
use crate::model::secret::read_private;
use crate::model::{Secret, SystemClock};

/// Reads the configuration. Warnings go to stderr, a line each; `qbackd check` shows them whole.
///
/// # Errors
/// There is none, or it has errors; all of them were shown then.
pub(super) fn plan(global: &Global) -> Result<Plan> {
    let Loaded { plan, warnings, .. } = load(global)?;
    if global.quiet == 0 {
        warnings.lines().for_each(|(_, line)| output::warn(&line));
    }
    Ok(plan)
}

/// The same for verbs that people look at often: warnings are left to `qbackd check`.
///
/// # Errors
/// As [`plan`].
pub(super) fn plan_at_a_glance(global: &Global) -> Result<Plan> {
    Ok(load(global)?.plan)
}

fn load(global: &Global) -> Result<Loaded> {
    match config::load(&global.config) {
        Ok(loaded) => Ok(loaded),
        Err(report) => {
            output::tell(&report.render(output::coloured(&std::io::stderr())));
            let (errors, _) = report.counts();
            let plural = if errors == 1 { "" } else { "s" };
            Err(Error::new(Kind::Configuration, format!("{} has {errors} error{plural}", global.config.display()))
                .hint("nothing was done; mend it and see with `qbackd check`"))
        }
    }
}

/// The same for verbs that only read. Where a folder is named with `--from`, they go on without a configuration: the machine
/// may be bare, or its configuration what is broken.
///
/// # Errors
/// As [`plan`], where no folder is named.
pub(super) fn plan_to_read(global: &Global, from: Option<&Place>) -> Result<Plan> {
    let bare = matches!(from, Some(Place::Folder(_)));
    if bare && !global.config.exists() {
        return Ok(Plan::default());
    }
    match plan(global) {
        Err(e) if bare => {
            output::warn(&format!("{}; going on without it", e.line()));
            Ok(Plan::default())
        }
        other => other,
    }
}

/// The context of a job that writes a destination. The record of runs must be writable: a run that is not recorded is not run.
///
/// # Errors
/// The state cannot be used.
pub(super) fn context(plan: Plan, verb: &str, cancel: CancellationToken) -> Result<Context> {
    let state = StateDir::prepare(&plan.daemon.state_dir)?;
    with_state(plan, state, verb, cancel)
}

/// The context of a job that only reads destinations, and a guard to keep while it is used. Where this user cannot write the
/// record of runs (or there is none on a bare machine), the run is recorded nowhere, and that is said.
///
/// # Errors
/// Not even a temporary folder can be made.
pub(super) fn context_to_read(plan: Plan, verb: &str, cancel: CancellationToken) -> Result<(Context, Option<Scratch>)> {
    match StateDir::prepare(&plan.daemon.state_dir) {
        Ok(state) => Ok((with_state(plan, state, verb, cancel)?, None)),
        Err(e) => {
            tracing::info!("this run is not recorded: {}", e.line());
            let scratch = Scratch::anywhere("state")?;
            let state = StateDir::prepare(&scratch.path())?;
            Ok((with_state(plan, state, verb, cancel)?, Some(scratch)))
        }
    }
}

fn with_state(plan: Plan, state: StateDir, verb: &str, cancel: CancellationToken) -> Result<Context> {
    let state = Arc::new(state);
    let clock = Arc::new(SystemClock);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let (history, damage) = History::open(Arc::clone(&state), &host, clock.clone())?;
    if let Some(damage) = damage {
        output::warn(&format!("the history was damaged ({}) and is now {}", damage.why, damage.moved_to.display()));
    }
    Ok(Context {
        plan: Arc::new(plan),
        state,
        history: Arc::new(history),
        clock,
        host,
        initiated_by: format!("{} ({verb})", caller()),
        run: None,
        scheduled: None,
        notices: None,
        cancel,
    })
}

/// Who called: a name where the environment tells one, else the number of the user.
pub(super) fn caller() -> String {
    let named = |key| std::env::var(key).ok().filter(|name| !name.is_empty());
    match (named("SUDO_USER"), named("USER").or_else(|| named("LOGNAME"))) {
        (Some(person), _) => format!("{person} by sudo"),
        (None, Some(user)) => user,
        (None, None) if rustix::process::getuid().is_root() => "root".into(),
        (None, None) => format!("user {}", rustix::process::getuid().as_raw()),
    }
}

/// Where to read from, as typed.
///
/// # Errors
/// It is no place.
pub(super) fn place(from: Option<&str>) -> Result<Option<Place>> {
    from.map(|text| text.parse().map_err(|e: String| Error::new(Kind::Usage, format!("--from {text}")).because(e)))
        .transpose()
}

/// A backup, or something else with a way to be typed.
///
/// # Errors
/// It is none.
pub(super) fn typed<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T> {
    text.parse().map_err(|e: String| Error::new(Kind::Usage, e))
}

/// The keys that were given.
///
/// # Errors
/// The passphrase file cannot be read.
pub(super) fn given(keys: &KeyArgs) -> Result<Given> {
    let read = |path: &Path| Ok::<_, Error>(Secret::new(read_private(path)?.trim_end_matches(['\n', '\r'])));
    let passphrase = keys.passphrase_file.as_deref().map(read).transpose()?;
    Ok(Given { identities: keys.identity.clone(), passphrase })
}
