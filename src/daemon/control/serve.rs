//! Accepts callers and keeps each within limits: how many, how slow, how large. One connection is one request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use jiff::Timestamp;
use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::answer::overloaded;
use super::office::{Limits, Office};
use super::routes::routes;
use super::{Desk, Socket};
use crate::daemon::http::converse;

/// How long requests that are being answered may take when the server ends.
pub const GRACE: Duration = Duration::from_secs(5);
/// Callers over the limits who are told so at the same time; more are hung up on.
const REFUSED: usize = 64;
/// How long one of them may take to ask.
const SHORT: Duration = Duration::from_secs(1);
/// How long to wait when the process has no descriptor left for a caller.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Answers callers until `stop`, then ends the streams and gives other requests some seconds. `started` is when the daemon did.
pub async fn serve(
    socket: impl Into<Arc<Socket>>,
    desk: Arc<dyn Desk>,
    limits: Limits,
    started: Timestamp,
    stop: CancellationToken,
) {
    let socket = socket.into();
    let office = Office { desk, limits, started, stop: stop.clone() };
    let app = routes().with_state(office);
    let busy = Router::new().fallback(overloaded);
    let (mut open, mut refused) = (Open::default(), JoinSet::new());
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(gone) = open.tasks.join_next_with_id() => open.left(gone),
            Some(_) = refused.join_next() => {}
            (stream, peer) = accept(&socket.listener) => {
                if open.admits(&peer, &limits) {
                    let app = app.clone().layer(Extension(peer));
                    open.entered(&peer, converse(stream, app, limits.patience, stop.clone()));
                } else if refused.len() < REFUSED {
                    refused.spawn(converse(stream, busy.clone(), SHORT, stop.clone()));
                }
            }
        }
    }
    socket.remove();
    let _ = timeout(GRACE, open.tasks.join_all()).await;
}

/// The next caller the kernel can name.
async fn accept(listener: &UnixListener) -> (UnixStream, UCred) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match stream.peer_cred() {
                Ok(peer) => return (stream, peer),
                Err(e) => tracing::debug!("a caller of the control socket cannot be known: {e}"),
            },
            Err(e) => {
                tracing::warn!("cannot accept a caller on the control socket: {e}");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

/// The connections that are open, and whose they are.
#[derive(Default)]
struct Open {
    tasks: JoinSet<()>,
    users: HashMap<tokio::task::Id, u32>,
    of: HashMap<u32, usize>,
}

impl Open {
    fn admits(&self, peer: &UCred, limits: &Limits) -> bool {
        let of = |uid| self.of.get(&uid).copied().unwrap_or_default();
        let others = self.users.len() - of(0);
        of(peer.uid()) < limits.connections_of_one && (peer.uid() == 0 || others < limits.connections)
    }

    fn entered(&mut self, peer: &UCred, work: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(work);
        self.users.insert(task.id(), peer.uid());
        *self.of.entry(peer.uid()).or_default() += 1;
    }

    fn left(&mut self, gone: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let id = match gone {
            Ok((id, ())) => id,
            Err(e) => {
                tracing::error!("a request on the control socket ended by a fault of qbackd: {e}");
                e.id()
            }
        };
        let Some(uid) = self.users.remove(&id) else { return };
        if let Some(count) = self.of.get_mut(&uid) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&uid);
            }
        }
    }
}
