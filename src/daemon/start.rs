//! The beginning: state, configuration, what a crash left, the parts around the loop; and the end of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::alarms::Alarms;
use super::configured::{Configured, in_short};
use super::control::socket::{Handed, handed_over};
use super::control::{self, Limits, Socket};
use super::core::{Core, Message};
use super::desk::Front;
use super::ground::Ground;
use super::service::Service;
use super::supervise::{Part, supervise};
use super::{journal, metrics, watch};
use crate::config::{self, Loaded, Plan, accepted};
use crate::error::{Error, Kind, Result, from_io};
use crate::history::{History, StateDir, lock};
use crate::job::sweep::recover;
use crate::job::units;
use crate::model::{Clock, SystemClock};

/// How long notifications may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long what is dropped at the end may take.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// How long the end takes at most once the loop is over, and a while for a disk that is slow.
const END: Duration =
    control::GRACE.saturating_add(LAST_WORDS).saturating_add(LAST_MOMENT).saturating_add(Duration::from_secs(10));

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
    // What still runs was told to stop and has had its time; dropping it kills its children.
    runtime.shutdown_timeout(LAST_MOMENT);
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
    // Other units may take longer to start than this one is given.
    units::recover_all(&context, |longer| Service::default().needs(longer)).await?;
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
    let stop = CancellationToken::new();
    let mut parts = JoinSet::new();
    parts.spawn(supervise("the watch over the files", stop.clone(), watching(config, &core, &stop)));
    let desk = Arc::new(Front::of(&core));
    parts.spawn(supervise(
        "the control server",
        stop.clone(),
        serving(Arc::new(socket), &desk, core.ground.started, &stop),
    ));
    if let Some(listener) = listener {
        parts.spawn(supervise("the metrics server", stop.clone(), measuring(Arc::new(listener), &desk, &stop)));
    }
    core.run().await;
    core.service.needs(END);
    stop.cancel();
    parts.join_all().await;
    core.alarms.close(LAST_WORDS).await;
    Ok(())
}

fn watching(config: &Path, core: &Core, stop: &CancellationToken) -> impl Fn() -> Part + use<> {
    let (dir, changed, stop) = (config.to_owned(), core.messages(), stop.clone());
    move || {
        let (dir, changed, stop) = (dir.clone(), changed.clone(), stop.clone());
        Box::pin(async move {
            let tell = move || changed.send(Message::Changed).is_ok();
            stop.run_until_cancelled(watch::watch(dir, tell)).await;
        })
    }
}

fn serving(
    socket: Arc<Socket>,
    desk: &Arc<Front>,
    started: Timestamp,
    stop: &CancellationToken,
) -> impl Fn() -> Part + use<> {
    let (desk, stop) = (Arc::clone(desk), stop.clone());
    move || {
        let (socket, desk) = (Arc::clone(&socket), Arc::clone(&desk));
        Box::pin(control::serve(socket, desk, Limits::default(), started, stop.clone()))
    }
}

fn measuring(listener: Arc<TcpListener>, desk: &Arc<Front>, stop: &CancellationToken) -> impl Fn() -> Part + use<> {
    let (desk, stop) = (Arc::clone(desk), stop.clone());
    move || {
        let desk: Arc<Front> = Arc::clone(&desk);
        Box::pin(metrics::serve(Arc::clone(&listener), desk, stop.clone()))
    }
}

fn ground(config: &Path, state: &Arc<StateDir>) -> Result<Ground> {
    let clock = Arc::new(SystemClock);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let (history, damage) = History::open(Arc::clone(state), &host, clock.clone())?;
    if let Some(damage) = damage {
        journal::history_damaged(&damage);
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
            journal::config_warnings(&warnings);
            accepted::keep(&ground.state, &warnings)?;
            Ok((plan, Configured::new(&warnings, None, now)))
        }
        Err(report) => {
            let Some(Loaded { plan, .. }) = accepted::last(&ground.state)? else {
                tracing::error!("{}", report.render(false).trim_end());
                let (errors, _) = report.counts();
                let plural = if errors == 1 { "" } else { "s" };
                let broken = format!("{} has {errors} error{plural}", ground.config.display());
                return Err(Error::new(Kind::Configuration, broken)
                    .hint("see with `qbackd check`; there is no earlier one to run"));
            };
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
