//! One request of a caller over HTTP/1.1, whatever it comes through: a head within limits of size and time, no second request.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Bytes of the head of a request.
pub(super) const HEAD: usize = 64 << 10;

/// Answers the one request of a connection. Its head must come within `patience`; after `stop` none is begun.
pub(super) async fn converse<S>(stream: S, app: Router, patience: Duration, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD)
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    // What goes wrong on a connection is the caller's: broken off, or no HTTP.
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
    .unwrap_or_else(|e| tracing::debug!("a caller's connection: {e}"));
}
