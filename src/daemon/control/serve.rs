//! Accepts callers and keeps each within limits: how many, how slow, how large. One connection is one request.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::answer::overloaded;
use super::routes::routes;
use super::{Desk, Socket};

/// How much callers may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the head of a request.
    pub head: usize,
    /// Bytes of the body of a request.
    pub body: usize,
    /// How long the head may take, and then the body.
    pub patience: Duration,
    /// Connections at the same time of one user.
    pub connections_of_one: usize,
    /// Connections at the same time of all users but root, whom nobody can lock out.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 << 10,
            body: 64 << 10,
            patience: Duration::from_secs(10),
            connections_of_one: 64,
            connections: 256,
        }
    }
}

/// How long requests that are being answered may take when the server ends.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait when the process has no descriptor left for a caller.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// What every request is answered from.
#[derive(Clone)]
pub(super) struct Office {
    pub(super) desk: Arc<dyn Desk>,
    pub(super) limits: Limits,
    /// When the daemon started.
    pub(super) started: Timestamp,
    /// The server ends; streams end with it.
    pub(super) stop: CancellationToken,
}

/// Answers callers until `stop`, then ends the streams and gives other requests some seconds. `started` is when the daemon did.
pub async fn serve(socket: Socket, desk: Arc<dyn Desk>, limits: Limits, started: Timestamp, stop: CancellationToken) {
    let office = Office { desk, limits, started, stop: stop.clone() };
    let app = routes().with_state(office);
    let mut open = Open::default();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(gone) = open.tasks.join_next_with_id() => open.left(gone),
            (stream, peer) = accept(&socket.listener) => {
                if !open.admits(&peer, &limits) {
                    // A caller who does not take these few bytes gets none.
                    let _ = stream.try_write(&overloaded());
                    continue;
                }
                let service = TowerToHyperService::new(app.clone().layer(Extension(peer)));
                let connection = http1::Builder::new()
                    .keep_alive(false)
                    .max_buf_size(limits.head)
                    .timer(TokioTimer::new())
                    .header_read_timeout(limits.patience)
                    .serve_connection(TokioIo::new(stream), service);
                let stop = stop.clone();
                open.entered(&peer, async move {
                    let mut connection = pin!(connection);
                    // What goes wrong on a connection is the caller's: broken off, or no HTTP.
                    tokio::select! {
                        ended = connection.as_mut() => ended,
                        () = stop.cancelled() => {
                            connection.as_mut().graceful_shutdown();
                            connection.await
                        }
                    }
                    .unwrap_or_else(|e| tracing::debug!("control connection: {e}"));
                });
            }
        }
    }
    drop(socket);
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
