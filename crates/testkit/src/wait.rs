//! Bounded waits: the one place that knows how long a test may wait for a state.

use std::time::Duration;

/// The longest that a test waits for anything. Reaching it is a failure, never a way on.
pub const WAIT_MAX: Duration = Duration::from_secs(10);

/// Waits for `future`, at most [`WAIT_MAX`]; panics with `what` when it does not come.
pub async fn bounded<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(WAIT_MAX, future)
        .await
        .unwrap_or_else(|_| panic!("waited {} s for: {what}", WAIT_MAX.as_secs()))
}
