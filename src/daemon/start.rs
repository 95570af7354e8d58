//! The beginning: state, configuration, what a crash left, the parts around the loop; and the end of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::alarms::Alarms;
use super::configured::{Configured, in_short};
use super::control::socket::{Handed, handed_over};
use super::control::{self, Limits, Socket};
use super::core::{Core, Message};
use super::desk::Front;
use super::ground::Ground;
use super::{accepted, journal, metrics, watch};
use crate::config::{self, Loaded, Plan};
use crate::error::{Error, Kind, Result, from_io};
use crate::history::{History, StateDir, lock};
use crate::job::sweep::recover;
use crate::job::units;
use crate::model::{Clock, SystemClock};

/// How long notifications may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Runs the service until it is asked to stop.
///
/// # Errors
/// There is no configuration to run, not even one that was accepted before; the state cannot be used; another daemon runs.
pub fn serve(config: &Path) -> Result<()> {
    let handed = handed_over()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| from_io("cannot start the threads of the daemon", e))?;
    let served = runtime.block_on(work(config, handed));
    // What still blocks a thread was told to stop and has had its time.
    runtime.shutdown_background();
    served
}

async fn work(config: &Path, handed: Option<Handed>) -> Result<()> {
    let read = config::load(config);
    let state_dir = match &read {
        Ok(loaded) => loaded.plan.daemon.state_dir.clone(),
        Err(_) => config::daemon(config).state_dir,
    };
    let state = Arc::new(StateDir::prepare(&state_dir)?);
    let _alone = lock::daemon(&state)?;
    let ground = ground(config, &state)?;
    let (plan, configured) = first_plan(&ground, read)?;
    let plan = Arc::new(plan);

    let context = ground.context(&plan, "the start".into(), CancellationToken::new());
    for dead in recover(&context, None).await? {
        journal::run_ended(&dead, None, None);
    }
    units::recover_all(&context).await?;
    let socket = Socket::open(handed, &plan.daemon.options.control_socket).await?;
    let listener = match plan.daemon.options.listen {
        Some(address) => Some(metrics::bind(address).await?),
        None => None,
    };
    let alarms = Alarms::new(&ground)?;
    let count = plan.databases.len();
    let databases = if count == 1 { "database" } else { "databases" };
    journal::daemon_started(&format!("{count} {databases} from {}", config.display()));
    let mut core = Core::new(ground, plan, configured, alarms).await?;
    core.tell_of_broken_files();
    obey_signals(core.messages())?;
    let (dir, changed) = (config.to_owned(), core.messages());
    let watching = tokio::spawn(watch::watch(dir, move || changed.send(Message::Changed).is_ok()));
    let (stop, desk) = (CancellationToken::new(), Arc::new(Front::of(&core)));
    let measured: Arc<dyn metrics::Source> = desk.clone();
    let serving = tokio::spawn(control::serve(socket, desk, Limits::default(), core.ground.started, stop.clone()));
    if let Some(listener) = listener {
        tokio::spawn(metrics::serve(listener, measured, stop.clone()));
    }
    core.run().await;
    watching.abort();
    stop.cancel();
    let _ = serving.await;
    core.alarms.close(LAST_WORDS).await;
    Ok(())
}

fn ground(config: &Path, state: &Arc<StateDir>) -> Result<Ground> {
    let clock = Arc::new(SystemClock);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let (history, damage) = History::open(Arc::clone(state), &host, clock.clone())?;
    if let Some(damage) = damage {
        tracing::error!("the history was damaged ({}) and is now {}", damage.why, damage.moved_to.display());
    }
    Ok(Ground {
        config: config.to_owned(),
        state: Arc::clone(state),
        history: Arc::new(history),
        started: clock.now(),
        clock,
        host,
    })
}

/// The configuration to begin with: the files, or the last one that was accepted while they are broken.
fn first_plan(ground: &Ground, read: std::result::Result<Loaded, config::Report>) -> Result<(Plan, Configured)> {
    let now = ground.clock.now();
    match read {
        Ok(Loaded { plan, warnings }) => {
            warnings.lines().for_each(|(_, line)| tracing::warn!("{line}"));
            accepted::keep(&ground.state, &warnings)?;
            Ok((plan, Configured::new(&warnings, None, now)))
        }
        Err(report) => {
            let (errors, _) = report.counts();
            tracing::error!("{}", report.render(false).trim_end());
            let broken =
                format!("{} has {errors} error{}", ground.config.display(), if errors == 1 { "" } else { "s" });
            let Some(Loaded { plan, .. }) = accepted::last(&ground.state) else {
                return Err(Error::new(Kind::Configuration, broken)
                    .hint("see with `qbackd check`; there is no earlier one to run"));
            };
            tracing::error!("{broken}: the last accepted configuration runs until it is mended");
            Ok((plan, Configured::new(&report, Some(in_short(&report)), now)))
        }
    }
}

fn obey_signals(to: UnboundedSender<Message>) -> Result<()> {
    let listen = |kind| signal(kind).map_err(|e| from_io("cannot listen for signals", e));
    let (mut hangup, mut terminate, mut interrupt) =
        (listen(SignalKind::hangup())?, listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                Some(()) = hangup.recv() => Message::Reload,
                Some(()) = terminate.recv() => Message::Stop,
                Some(()) = interrupt.recv() => Message::Stop,
                else => return,
            };
            if to.send(message).is_err() {
                return;
            }
        }
    });
    Ok(())
}
