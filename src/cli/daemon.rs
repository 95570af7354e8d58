//! The way to a running daemon.

use super::Global;
use crate::config;
use crate::control::Client;
use crate::error::{Error, Kind, Result, from_io};

/// The daemon, if one runs. Of the configuration only `control_socket` is read, and not even that with `--socket`: a broken file
/// hides no daemon. One that runs another configuration than the one that was named is none.
///
/// # Errors
/// It may not be asked, or does not answer.
pub(super) async fn ask(global: &Global) -> Result<Option<Client>> {
    Ok(match connect(global).await? {
        Some(daemon) => match another(&daemon, global) {
            Some(why) => {
                tracing::info!("{why}; going on without it");
                None
            }
            None => Some(daemon),
        },
        None => None,
    })
}

async fn connect(global: &Global) -> Result<Option<Client>> {
    match &global.socket {
        Some(socket) => Client::connect(socket).await,
        None => Client::connect(&config::daemon(&global.config).options.control_socket).await,
    }
}

/// Why the daemon is not the one that is meant: with `--config ./test`, what is asked must not be done to what really runs.
fn another(daemon: &Client, global: &Global) -> Option<String> {
    let theirs = daemon.build().config.as_ref()?;
    let other = global.socket.is_none() && daemon.build().serves_another_than(&global.config);
    other.then(|| format!("the daemon runs {}, not {}", theirs.display(), global.config.display()))
}

/// The same for a verb that has not begun anything yet: what it does alone, it does as another user perhaps.
///
/// # Errors
/// As [`ask`].
pub(super) fn find(global: &Global) -> Result<Option<Client>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| from_io("cannot ask for a daemon", e))?.block_on(ask(global))
}

/// The daemon, for what only a daemon can do: `what`.
///
/// # Errors
/// None runs, or as [`ask`].
pub(super) async fn needed(global: &Global, what: &str) -> Result<Client> {
    let none = |why: &str| {
        Error::new(Kind::Unavailable, format!("cannot {what}: {why}"))
            .hint("`systemctl start qbackd` starts it; --socket names one elsewhere")
    };
    let daemon = connect(global).await?.ok_or_else(|| none("no daemon runs"))?;
    another(&daemon, global).map_or(Ok(daemon), |why| Err(none(&why)))
}
