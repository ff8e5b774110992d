//! Bindings in use whose life ends soon: they are loaded again beside the requests, so that no request waits for it.
//!
//! The queue only saves time: what it has no room for is loaded by the first request after its end.

use crossbeam_queue::ArrayQueue;
use sentinel_core::known::Known;

/// The queue.
pub(super) struct Renewals {
    waiting: ArrayQueue<Known>,
}

impl Renewals {
    pub(super) fn new(bindings_max: usize) -> Self {
        Self {
            waiting: ArrayQueue::new(bindings_max.max(1)),
        }
    }

    pub(super) fn queue(&self, known: &Known) {
        let _ = self.waiting.push(known.clone());
    }

    pub(super) fn take(&self, bindings_max: usize) -> Vec<Known> {
        std::iter::from_fn(|| self.waiting.pop())
            .take(bindings_max.min(self.waiting.len()))
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
