//! Answers that go on: one JSON document a line, an empty line now and then so that a dead caller is noticed.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream::{Stream, unfold};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Entry, Watch};
use crate::control::Problem;
use crate::control::wire::Tick;
use crate::error::Result;

/// How often the counters of a run that is watched are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// After so long without news there is an empty line.
const SILENCE: Duration = Duration::from_secs(10);

/// The progress of a run, up to its end.
pub(super) fn ticks(watch: Watch, stop: CancellationToken) -> Response {
    let state = Ticking { watch, looks: every(LOOK), last: None, told: Instant::now(), stop };
    lines(unfold(state, |mut state| async move {
        let line = state.next().await?;
        Some((line, state))
    }))
}

struct Ticking {
    watch: Watch,
    looks: Interval,
    last: Option<Tick>,
    told: Instant,
    stop: CancellationToken,
}

impl Ticking {
    async fn next(&mut self) -> Option<Bytes> {
        if self.last.as_ref().is_some_and(|tick| tick.ended.is_some()) {
            return None;
        }
        loop {
            let changed = tokio::select! {
                biased;
                // An error: the daemon gave the run up; there is no more news after this.
                changed = self.watch.state.changed(), if self.last.is_some() => changed.is_ok(),
                () = self.stop.cancelled(), if self.last.is_some() => false,
                _ = self.looks.tick() => true,
            };
            let tick = self.tick();
            if self.last.as_ref() != Some(&tick) {
                self.told = Instant::now();
                let line = line(&tick);
                self.last = Some(tick);
                return Some(line);
            }
            if !changed {
                return None;
            }
            if self.told.elapsed() >= SILENCE {
                self.told = Instant::now();
                return Some(Bytes::from_static(b"\n"));
            }
        }
    }

    fn tick(&mut self) -> Tick {
        let now = self.watch.progress.snapshot();
        let stage = self.watch.state.borrow_and_update().clone();
        Tick {
            database: self.watch.database.clone(),
            run: stage.run,
            attempt: stage.attempt,
            phase: now.phase,
            quiet: now.quiet,
            expected: now.expected,
            plain: now.plain,
            stored: now.stored,
            ended: stage.ended,
        }
    }
}

/// Runs and lines of the history, up to the end of them.
pub(super) fn entries(added: mpsc::Receiver<Result<Entry>>, stop: CancellationToken) -> Response {
    let state = (added, every(SILENCE), stop);
    lines(unfold(state, |(mut added, mut silence, stop)| async move {
        let line = tokio::select! {
            biased;
            next = added.recv() => match next? {
                Ok(entry) => line(&entry),
                Err(error) => {
                    added.close();
                    line(&Entry::Error(Problem::from(&error)))
                }
            },
            () = stop.cancelled() => return None,
            _ = silence.tick() => Bytes::from_static(b"\n"),
        };
        Some((line, (added, silence, stop)))
    }))
}

fn every(time: Duration) -> Interval {
    let mut looks = interval(time);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

fn line(document: &impl Serialize) -> Bytes {
    // Our own types have no keys that are no text.
    let mut text = serde_json::to_vec(document).unwrap_or_default();
    text.push(b'\n');
    Bytes::from(text)
}

fn lines(stream: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    use futures::StreamExt;
    let body = Body::from_stream(stream.map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
