//! A program that is run for what it does, not for a stream: a hook, `systemctl`.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::child::{Child, Ran};
use super::{Tool, joined};
use crate::error::{Error, Explain, Kind, Result};
use crate::model::Timespan;

impl Tool {
    /// Runs the program, without anything on its stdin, and waits until it has ended. `listener` gets each line of its
    /// stdout and stderr when it is printed, without control characters. What it left in the background is left alone.
    ///
    /// # Errors
    /// The program cannot be run; [`Kind::TimedOut`] if it takes longer than `limit`; [`Kind::Interrupted`] if `cancel`
    /// fires. Its whole process group is gone then.
    pub async fn work(
        self,
        limit: Duration,
        listener: impl FnMut(String) + Send + 'static,
        cancel: &CancellationToken,
    ) -> Result<Ran> {
        let stop = cancel.child_token();
        let guard = stop.clone().drop_guard();
        let task = tokio::spawn(async move {
            let (output, output_end) = io::pipe().explain(|| "cannot make a pipe")?;
            let stdout = output_end.try_clone().explain(|| "cannot make a pipe")?;
            let talk = Some((output, output_end));
            let child = Child::spawn_heard(&self, Stdio::null(), stdout.into(), talk, Some(Box::new(listener)))?;
            let ended = tokio::select! {
                biased;
                () = child.exit.cancelled() => Ok(()),
                () = stop.cancelled() => Err(Error::interrupted()),
                () = sleep(limit) => {
                    Err(Error::new(Kind::TimedOut, format!("`{}` was not done within {}", child.name(), Timespan(limit))))
                }
            };
            child.ran(ended).await
        });
        let ran = joined(task).await;
        drop(guard);
        ran
    }
}
