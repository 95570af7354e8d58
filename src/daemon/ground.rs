//! What the parts of the daemon stand on, which does not change while it lives.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::Plan;
use crate::history::{History, StateDir};
use crate::job::Context;
use crate::model::Clock;

/// What does not change while the daemon lives.
#[derive(Clone)]
pub(super) struct Ground {
    /// The folder of the configuration.
    pub(super) config: PathBuf,
    pub(super) state: Arc<StateDir>,
    pub(super) history: Arc<History>,
    pub(super) clock: Arc<dyn Clock>,
    /// This machine's name.
    pub(super) host: String,
    /// When the daemon started.
    pub(super) started: Timestamp,
}

impl Ground {
    /// What a job works with.
    pub(super) fn context(&self, plan: &Arc<Plan>, by: String, cancel: CancellationToken) -> Context {
        Context {
            plan: Arc::clone(plan),
            state: Arc::clone(&self.state),
            history: Arc::clone(&self.history),
            clock: Arc::clone(&self.clock),
            host: self.host.clone(),
            initiated_by: by,
            run: None,
            scheduled: None,
            notices: None,
            cancel,
        }
    }
}
