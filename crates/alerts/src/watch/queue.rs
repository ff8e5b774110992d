//! The bounded queue between those who see what is no refusal, or more than one, and the watch. Taking never waits; what does not fit is counted, and told of.

use std::sync::atomic::{AtomicU64, Ordering};

use sentinel_core::time::Timestamp;
use tokio::sync::mpsc;

use super::Signal;

/// The most signals that wait.
pub const SIGNALS_MAX: usize = 4_096;

/// Takes signals from everywhere.
pub struct SignalQueue {
    sender: mpsc::Sender<Signal>,
    lost: AtomicU64,
}

impl SignalQueue {
    /// A queue, and its other end for [`super::Watch::run`].
    pub fn new() -> (Self, mpsc::Receiver<Signal>) {
        let (sender, receiver) = mpsc::channel(SIGNALS_MAX);
        let lost = AtomicU64::new(0);
        (Self { sender, lost }, receiver)
    }

    /// Puts a signal in, unless the queue is full or closed.
    pub fn put(&self, signal: Signal) {
        if let Err(error) = self.sender.try_send(signal) {
            let count = match error.into_inner() {
                Signal::RecordsLost { count, .. } => count,
                _ => 1,
            };
            self.lost.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// What was lost since the last call, and so many more.
    pub(super) fn take_lost(&self, now: Timestamp, more: u64) -> Option<Signal> {
        let count = self.lost.swap(0, Ordering::Relaxed).saturating_add(more);
        (count > 0).then_some(Signal::RecordsLost { count, at: now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_counted() {
        let now = Timestamp::from_unix_ms(1);
        let (queue, mut receiver) = SignalQueue::new();
        let lost = |count| Signal::RecordsLost { count, at: now };
        for _ in 0..SIGNALS_MAX {
            queue.put(lost(1));
        }
        assert_eq!(queue.take_lost(now, 0), None);
        queue.put(lost(7));
        queue.put(lost(2));
        assert_eq!(queue.take_lost(now, 0), Some(lost(9)));
        assert_eq!(queue.take_lost(now, 0), None);
        assert_eq!(receiver.recv().await, Some(lost(1)));
        queue.put(lost(3));
        assert_eq!(queue.take_lost(now, 0), None);
    }
}
