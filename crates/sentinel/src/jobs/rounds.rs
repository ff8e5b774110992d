//! What jobs that work in rounds have in common: the pause between two of them, and the end of all when the server stops.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// The rounds of one job.
pub(super) struct Rounds {
    ticks: Interval,
    stopping: watch::Receiver<bool>,
}

impl Rounds {
    /// One at once, and the next ones at this distance, or later when one takes longer.
    pub(super) fn every(interval: Duration, stopping: watch::Receiver<bool>) -> Self {
        Self::first_after(Duration::ZERO, interval, stopping)
    }

    /// The same, but the first one only after a while.
    pub(super) fn first_after(first: Duration, interval: Duration, stopping: watch::Receiver<bool>) -> Self {
        let mut ticks = interval_at(Instant::now() + first, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, stopping }
    }

    /// Returns true when it is time, and false when the server stops.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stop| *stop) => false,
            _ = self.ticks.tick() => true,
        }
    }

    /// What the work of a round comes to; nothing when the server stops meanwhile: it is not to wait for long work.
    pub(super) async fn unless_stopping<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            outcome = work => Some(outcome),
            _ = self.stopping.wait_for(|stop| *stop) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rounds_come_at_their_distance_until_the_server_stops() {
        let (stop, stopping) = watch::channel(false);
        let begun = Instant::now();
        let mut rounds = Rounds::first_after(Duration::from_secs(1), Duration::from_secs(10), stopping);
        for seconds in [1, 11, 21] {
            assert!(rounds.next().await);
            assert_eq!(begun.elapsed().as_secs(), seconds);
        }
        assert_eq!(rounds.unless_stopping(async { 7 }).await, Some(7));
        stop.send_replace(true);
        assert!(!rounds.next().await);
        let forever = std::future::pending::<()>();
        assert_eq!(rounds.unless_stopping(forever).await, None);
        assert_eq!(begun.elapsed().as_secs(), 21);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_gone_stops_them_too() {
        let (stop, stopping) = watch::channel(false);
        let mut rounds = Rounds::every(Duration::from_secs(10), stopping);
        assert!(rounds.next().await, "the first one comes at once");
        drop(stop);
        assert!(!rounds.next().await);
    }
}
