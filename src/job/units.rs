//! `stop_units`: systemd units that are stopped for a backup, and started again whatever happens.
//!
//! What is about to be stopped is written to `state_dir/stopped/NAME` first, and removed when it runs again. So whatever ends
//! the run, a panic, a kill or a loss of power too, the next run of the database or the next start of the daemon finds what
//! has to be started. Units are stopped after `before_backup` and started when dump, upload and manifest are done or failed:
//! the dump streams into the destination, so its end is theirs.

use std::ffi::OsString;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::recorded::beside;
use crate::config::Database;
use crate::engine::process::{Ran, Tool};
use crate::error::{Error, Kind, Result};
use crate::history::{Level, Lock, lock};
use crate::model::{Name, Progress, RunId};

const FOLDER: &str = "stopped";
const SYSTEMCTL: &str = "systemctl";
/// What a record may hold, in bytes.
const MAX_RECORD: u64 = 1 << 20;
/// How long `systemctl` may take. Units have limits of their own, 90 s by default, which end earlier.
pub(super) const LIMIT: Duration = Duration::from_secs(10 * 60);
const HINT: &str = "see `systemctl status`; another user than root needs the polkit rule that comes with qbackd";

/// What was stopped and has to be started again.
#[derive(Debug, Serialize, Deserialize)]
struct Stopped {
    units: Vec<String>,
    run: RunId,
    since: Timestamp,
}

/// The units of one database, for one of its runs.
pub(super) struct Units<'a> {
    context: &'a Context,
    database: &'a Name,
    wanted: &'a [String],
    run: &'a RunId,
    systemctl: OsString,
}

/// Starts what an earlier run of `database` left stopped, if it did. Its lock shows that the run is dead.
pub async fn recover(context: &Context, database: &Name, lock: &Lock) {
    recover_by(SYSTEMCTL, context, database, lock).await;
}

/// The same for every database that nobody runs now: when a daemon starts. Before each, `takes` is told how long it may take.
///
/// # Errors
/// `state_dir` cannot be read.
pub async fn recover_all(context: &Context, takes: impl Fn(Duration)) -> Result<()> {
    recover_all_by(SYSTEMCTL, context, takes).await
}

async fn recover_all_by(systemctl: &str, context: &Context, takes: impl Fn(Duration)) -> Result<()> {
    for name in context.state.all_kept(FOLDER)? {
        let Ok(database) = name.parse::<Name>() else { continue };
        if let Some(lock) = lock::try_lock(&context.state, &database)? {
            takes(LIMIT);
            recover_by(systemctl, context, &database, &lock).await;
        }
    }
    Ok(())
}

async fn recover_by(systemctl: &str, context: &Context, database: &Name, _lock: &Lock) {
    match read(context, database) {
        Ok(Some(left)) => {
            let units = Units { context, database, wanted: &[], run: &left.run, systemctl: systemctl.into() };
            units.start_or_tell().await;
        }
        Ok(None) => {}
        Err(e) => tracing::warn!("{database}: {e}"),
    }
}

impl<'a> Units<'a> {
    /// The units that `database` wants stopped.
    pub(super) fn of(context: &'a Context, database: &'a Database, run: &'a RunId) -> Self {
        let wanted = &database.policy.stop_units;
        Self { context, database: &database.name, wanted, run, systemctl: SYSTEMCTL.into() }
    }

    /// Does `work` while the units are stopped.
    ///
    /// # Errors
    /// A unit cannot be stopped, and then the work is not begun; or the work's own. That a unit cannot be started again is
    /// told as a warning; it is tried again before the next run.
    pub(super) async fn stopped_during<T>(
        &self,
        progress: &Progress,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if self.wanted.is_empty() {
            return work.await;
        }
        progress.quiet_phase("stopping units");
        let done = match self.stop().await {
            Ok(()) => AssertUnwindSafe(work).catch_unwind().await,
            Err(e) => Ok(Err(e)),
        };
        progress.quiet_phase("starting units");
        self.start_or_tell().await;
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }

    async fn stop(&self) -> Result<()> {
        let mut running = Vec::new();
        for name in self.wanted {
            for unit in self.look(name, &self.context.cancel).await? {
                if !matches!(unit.active.as_str(), "inactive" | "failed") {
                    running.push(unit);
                } else if unit.load == "not-found" {
                    return Err(Error::new(Kind::Configuration, format!("there is no unit {name} to stop"))
                        .hint("`stop_units` has names of systemd units: see `systemctl list-units`"));
                }
            }
        }
        if let Some(masked) = running.iter().find(|unit| unit.load == "masked") {
            return Err(Error::failed(format!("cannot stop {} for the backup", masked.id))
                .because("it is masked, so it could not be started again")
                .hint(format!("systemctl unmask {}", masked.id)));
        }
        if running.is_empty() {
            return Ok(());
        }
        // What an earlier run left stopped and could not be started stays in the record.
        let mut units = read(self.context, self.database)?.map(|left| left.units).unwrap_or_default();
        let ours = running.iter().filter(|unit| unit.active != "deactivating").map(|unit| unit.id.clone());
        units.extend(ours);
        self.remember(units)?;
        let ids: Vec<String> = running.into_iter().map(|unit| unit.id).collect();
        let (ran, _) = self.systemctl("stop", &ids, &self.context.cancel).await?;
        if !ran.status.success() {
            return Err(Error::failed(format!("cannot stop {}", ids.join(", "))).because(ran.how()).hint(HINT));
        }
        self.context.history.line(self.run, Level::Info, format!("stopped {}", ids.join(", ")));
        Ok(())
    }

    /// Starts what the record names. What goes wrong is told with the run.
    async fn start_or_tell(&self) {
        if let Err(e) = self.start().await {
            beside(self.context, self.run, Level::Error, &e);
        }
    }

    async fn start(&self) -> Result<()> {
        let Some(left) = read(self.context, self.database)? else { return Ok(()) };
        let ids = left.units;
        // Whoever cancelled the run wants them back as well.
        let never = CancellationToken::new();
        let failure = match self.systemctl("start", &ids, &never).await {
            Ok((ran, _)) if ran.status.success() => {
                self.context.history.line(self.run, Level::Info, format!("started {} again", ids.join(", ")));
                return self.context.state.forget(FOLDER, self.database.as_str());
            }
            Ok((ran, _)) => ran.how(),
            Err(e) => e.line(),
        };
        let mut still = Vec::new();
        for id in ids {
            let found = self.look(&id, &never).await.unwrap_or_default();
            if !found.iter().any(|unit| matches!(unit.active.as_str(), "active" | "activating" | "reloading")) {
                still.push(id);
            }
        }
        if still.is_empty() {
            return self.context.state.forget(FOLDER, self.database.as_str());
        }
        let names = still.join(" ");
        self.remember(still)?;
        Err(Error::failed(format!("cannot start again what was stopped for the backup of {}: {names}", self.database))
            .because(failure)
            .hint(format!("systemctl start {names}; it is tried again before the next run and when the daemon starts")))
    }

    fn remember(&self, mut units: Vec<String>) -> Result<()> {
        units.sort_unstable();
        units.dedup();
        let stopped = Stopped { units, run: self.run.clone(), since: self.context.clock.now() };
        let json = serde_json::to_vec(&stopped).map_err(|e| Error::failed("cannot make JSON").because(e))?;
        self.context.state.keep(FOLDER, self.database.as_str(), &json)
    }

    /// What systemd knows of a unit, or of all that match a pattern.
    async fn look(&self, name: &str, cancel: &CancellationToken) -> Result<Vec<Unit>> {
        let arguments = [name.to_owned()];
        let (ran, lines) = self.systemctl("show", &arguments, cancel).await?;
        if !ran.status.success() {
            return Err(Error::failed(format!("cannot look at the unit {name}")).because(ran.how()).hint(HINT));
        }
        Ok(units_in(&lines))
    }

    async fn systemctl(
        &self,
        verb: &'static str,
        units: &[String],
        cancel: &CancellationToken,
    ) -> Result<(Ran, Vec<String>)> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let said = Arc::clone(&lines);
        let listener = move |line| said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        let options = ["--no-ask-password", "--no-pager", "--property=Id,LoadState,ActiveState"];
        let options = options.into_iter().filter(|option| verb == "show" || !option.starts_with("--property"));
        let tool = Tool::new(&self.systemctl).args([verb]).args(options).args(["--"]).args(units);
        let ran = tool.called(format!("systemctl {verb}")).work(LIMIT, listener, cancel).await?;
        let lines = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((ran, lines))
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Unit {
    id: String,
    load: String,
    active: String,
}

/// What `systemctl show` printed: properties, of one unit after the other, in an order of its own.
fn units_in(lines: &[String]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut unit = Unit::default();
    for (key, value) in lines.iter().filter_map(|line| line.split_once('=')) {
        let place = match key {
            "Id" => &mut unit.id,
            "LoadState" => &mut unit.load,
            "ActiveState" => &mut unit.active,
            _ => continue,
        };
        value.clone_into(place);
        if [&unit.id, &unit.load, &unit.active].iter().all(|text| !text.is_empty()) {
            units.push(std::mem::take(&mut unit));
        }
    }
    units
}

fn read(context: &Context, database: &Name) -> Result<Option<Stopped>> {
    let Some(json) = context.state.kept(FOLDER, database.as_str(), MAX_RECORD)? else { return Ok(None) };
    serde_json::from_slice(&json).map(Some).map_err(|e| {
        let path = context.state.path().join(FOLDER).join(database.as_str());
        Error::failed(format!("cannot tell which units are stopped for {database}"))
            .because(format!("{}: {e}", path.display()))
            .hint("start them by hand, and remove that file")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    use crate::config::Plan;
    use crate::history::{History, NewRun, StateDir};
    use crate::model::{RunKind, SystemClock};

    #[test]
    fn what_systemctl_shows_is_read_in_any_order_and_of_several_units() {
        let lines = [
            "Id=a.service",
            "LoadState=loaded",
            "ActiveState=active",
            "ActiveState=failed",
            "Id=b@x=y.service",
            "LoadState=masked",
        ];
        let unit =
            |id: &str, load: &str, active: &str| Unit { id: id.into(), load: load.into(), active: active.into() };
        assert_eq!(
            units_in(&lines.map(str::to_owned)),
            [unit("a.service", "loaded", "active"), unit("b@x=y.service", "masked", "failed")]
        );
    }

    /// A systemd that writes down what it is asked, and a context; all in one folder.
    struct World {
        dir: tempfile::TempDir,
        context: Context,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("systemctl");
            let script = "#!/bin/sh\nlast() { shift $(($# - 1)); echo \"$1\"; }\necho \"$1 $(last \"$@\")\" >> \"$0.calls\"\n\
                          printf 'Id=app.service\\nLoadState=loaded\\nActiveState=active\\n'\n";
            std::fs::write(&file, script).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            let state = Arc::new(StateDir::prepare(&dir.path().join("state")).unwrap());
            let clock = Arc::new(SystemClock);
            let (history, _) = History::open(Arc::clone(&state), "host", clock.clone()).unwrap();
            let context = Context {
                plan: Arc::new(Plan::default()),
                state,
                history: Arc::new(history),
                clock,
                host: "host".into(),
                initiated_by: "a test".into(),
                run: None,
                scheduled: None,
                notices: None,
                cancel: CancellationToken::new(),
            };
            Self { dir, context }
        }

        fn systemctl(&self) -> String {
            self.dir.path().join("systemctl").display().to_string()
        }

        fn calls(&self) -> String {
            std::fs::read_to_string(self.dir.path().join("systemctl.calls")).unwrap_or_default()
        }

        fn begin(&self, database: &Name) -> RunId {
            let new = NewRun {
                id: None,
                kind: RunKind::Backup,
                database: database.clone(),
                destinations: Vec::new(),
                backup: None,
                initiated_by: "a test".into(),
                due: None,
                attempt: None,
            };
            self.context.history.begin(new, None).unwrap()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn units_run_again_after_a_panic_and_the_panic_goes_on() {
        let world = World::new();
        let (context, database) = (&world.context, "shop".parse::<Name>().unwrap());
        let run = world.begin(&database);
        let wanted = ["app.service".to_owned()];
        let units =
            Units { context, database: &database, wanted: &wanted, run: &run, systemctl: world.systemctl().into() };
        let work = async {
            assert_eq!(world.calls(), "show app.service\nstop app.service\n");
            assert!(read(context, &database).unwrap().is_some(), "what is stopped is on record");
            panic!("in the middle of a dump")
        };
        let progress = Progress::default();
        let ended = AssertUnwindSafe(units.stopped_during::<()>(&progress, work)).catch_unwind().await;
        assert_eq!(ended.unwrap_err().downcast_ref(), Some(&"in the middle of a dump"));
        assert_eq!(world.calls(), "show app.service\nstop app.service\nstart app.service\n");
        assert!(read(context, &database).unwrap().is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_starts_first_starts_what_dead_runs_left_and_leaves_the_living_alone() {
        let world = World::new();
        let (context, systemctl) = (&world.context, world.systemctl());
        let [dead, alive] = ["dead", "alive"].map(|name| name.parse::<Name>().unwrap());
        for database in [&dead, &alive] {
            let run = world.begin(database);
            let units = Units { context, database, wanted: &[], run: &run, systemctl: (&systemctl).into() };
            units.remember(vec![format!("{database}.service")]).unwrap();
        }
        let lock = lock::hold(&context.state, &alive).unwrap();
        recover_all_by(&systemctl, context, |_| ()).await.unwrap();
        assert_eq!(world.calls(), "start dead.service\n");
        assert!(read(context, &dead).unwrap().is_none() && read(context, &alive).unwrap().is_some());
        drop(lock);
        recover_all_by(&systemctl, context, |_| ()).await.unwrap();
        assert_eq!(world.calls(), "start dead.service\nstart alive.service\n");
    }
}
