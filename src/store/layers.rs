//! What is laid over every remote service, in one place: timeout inside, retry outside, a limit of requests around both.

use std::time::Duration;

use opendal::Operator;
use opendal::layers::{ConcurrentLimitLayer, RetryLayer, TimeoutLayer};

use super::DestinationOptions;

const TIMEOUT: Duration = Duration::from_secs(60);
const RETRIES: u32 = 5;
const CONCURRENCY: u32 = 16;

/// Lays the policy of `options` over a remote service. The reverse order of timeout and retry would lose a writer's state
/// when a call is retried.
pub(super) fn remote(operator: Operator, options: &DestinationOptions) -> Operator {
    let timeout = options.timeout.map_or(TIMEOUT, |t| t.0);
    let retries = options.retries.unwrap_or(RETRIES);
    let concurrency = options.concurrency.unwrap_or(CONCURRENCY);
    operator
        .layer(TimeoutLayer::new().with_timeout(timeout).with_io_timeout(timeout))
        .layer(RetryLayer::new().with_jitter().with_max_times(retries as usize))
        .layer(ConcurrentLimitLayer::new(concurrency as usize))
}
