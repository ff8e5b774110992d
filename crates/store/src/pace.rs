//! How often the log says the same thing: what fails at every request is said once in a while, and counted elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two times that the log says the same.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Remembers when one thing was said last.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Whether it is time to say it again; the caller then does.
    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= SAID_EVERY);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_said_once_in_a_while() {
        let pace = Pace::default();
        assert!(pace.is_due());
        assert!(!pace.is_due());
        tokio::time::advance(SAID_EVERY).await;
        assert!(pace.is_due());
    }
}
