//! `/metrics` for Prometheus and `/healthz`, on `listen`. Every scrape shows what is true at that moment.
//!
//! The text is written from the status, not collected in a registry: a database that is gone from the files is gone from the next
//! scrape, and an idle daemon does nothing.

mod figures;
mod page;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use figures::{Configuration, Counters, Figures, render};

use super::http::converse;
use crate::error::{Result, from_io};

/// Callers at the same time; more wait in the kernel's queue.
const CALLERS: usize = 32;
/// How long the head of a request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A loop that works answers within this time.
const ANSWER: Duration = Duration::from_secs(10);
/// How long to wait when the process has no descriptor left for a caller.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// What the daemon's loop tells at each scrape.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Everything that is shown, as it is now.
    async fn figures(&self) -> Result<Figures>;
}

/// Listens on `[daemon] listen`.
///
/// # Errors
/// The address is taken, or is none of this host.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        let hint = match e.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program listens there (`ss -tlnp`); choose another `listen` in [daemon]"
            }
            std::io::ErrorKind::AddrNotAvailable => {
                "no interface has this address; choose another `listen` in [daemon]"
            }
            _ => return from_io(format!("cannot listen on {address} for metrics"), e),
        };
        from_io(format!("cannot listen on {address} for metrics"), e).hint(hint)
    })
}

/// Answers until `stop`.
pub async fn serve(listener: impl Into<Arc<TcpListener>>, source: Arc<dyn Source>, stop: CancellationToken) {
    let listener = listener.into();
    let app = Router::new().route("/metrics", get(metrics)).route("/healthz", get(healthz)).with_state(source);
    let mut callers = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(_) = callers.join_next() => {}
            accepted = listener.accept(), if callers.len() < CALLERS => match accepted {
                Ok((stream, _)) => drop(callers.spawn(whole(stream, app.clone(), stop.clone()))),
                Err(e) => {
                    tracing::warn!("cannot accept a caller of /metrics: {e}");
                    sleep(EXHAUSTED).await;
                }
            },
        }
    }
}

/// One conversation, all of it within limits: who reads slowly must not keep a place for ever.
async fn whole(stream: tokio::net::TcpStream, app: Router, stop: CancellationToken) {
    let _ = timeout(PATIENCE + ANSWER + PATIENCE, converse(stream, app, PATIENCE, stop)).await;
}

async fn metrics(State(source): State<Arc<dyn Source>>) -> Response {
    match look(&*source).await {
        Ok(figures) => {
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (kind, render(&figures)).into_response()
        }
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text).into_response(),
    }
}

/// Whether the daemon works. That backups fail does not make it ill: restarting it would mend nothing.
async fn healthz(State(source): State<Arc<dyn Source>>) -> Result<Response, Infallible> {
    Ok(match look(&*source).await {
        Ok(figures) => format!("ok: {}\n", figures.status.headline()).into_response(),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text).into_response(),
    })
}

async fn look(source: &dyn Source) -> Result<Figures, String> {
    match timeout(ANSWER, source.figures()).await {
        Ok(Ok(figures)) => Ok(figures),
        Ok(Err(e)) => Err(format!("{}\n", e.line())),
        Err(_) => Err(format!("the daemon did not answer within {} s\n", ANSWER.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loop that hangs: whoever asks it waits.
    struct Hung;

    #[async_trait]
    impl Source for Hung {
        async fn figures(&self) -> Result<Figures> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_hangs_makes_the_daemon_ill() {
        let hung: Arc<dyn Source> = Arc::new(Hung);
        let begun = tokio::time::Instant::now();
        let health = timeout(ANSWER * 2, healthz(State(Arc::clone(&hung)))).await.unwrap().unwrap();
        assert_eq!((health.status(), begun.elapsed()), (StatusCode::SERVICE_UNAVAILABLE, ANSWER));
        let said = axum::body::to_bytes(health.into_body(), 1000).await.unwrap();
        assert_eq!(said, "the daemon did not answer within 10 s\n");
        let page = timeout(ANSWER * 2, metrics(State(hung))).await.unwrap();
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
