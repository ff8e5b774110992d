//! Bindings whose uses wait to be written.
//!
//! Uses are counted on the binding's own counter; the queue only says which counters to look at. So a full queue costs no
//! count: the counter stays where it is and is queued again at the next use, or when its binding is thrown out of the cache.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use sentinel_core::known::Known;
use sentinel_core::usage::Uses;

/// The uses of one binding, taken out of its counter: to be written or given back.
#[derive(Debug)]
#[must_use = "uses that are neither written nor given back are lost"]
pub struct TakenUses {
    uses: Uses,
    known: Known,
}

impl TakenUses {
    /// What was counted.
    pub fn uses(&self) -> Uses {
        self.uses
    }
}

/// The queue.
pub(super) struct UseQueue {
    waiting: ArrayQueue<Known>,
    times_full: AtomicU64,
}

impl UseQueue {
    pub(super) fn new(bindings_max: usize) -> Self {
        Self {
            waiting: ArrayQueue::new(bindings_max.max(1)),
            times_full: AtomicU64::new(0),
        }
    }

    /// Queues the binding; its counter has just been marked as queued.
    pub(super) fn queue(&self, known: &Known) {
        if self.waiting.push(known.clone()).is_err() {
            self.times_full.fetch_add(1, Ordering::Relaxed);
            known.uses.not_queued();
        }
    }

    /// Makes sure that uses of a binding that leaves the cache are written, even when the queue had been full before.
    pub(super) fn queue_leaving(&self, known: &Known) {
        // Taking and giving back is the way to look; a batch that runs meanwhile finds the counter empty and passes on.
        if let Some(uses) = known.uses.take(known.binding.id) {
            known.uses.give_back(&uses);
            self.queue(known);
        }
    }

    pub(super) fn take(&self, bindings_max: usize) -> Vec<TakenUses> {
        let mut taken = Vec::with_capacity(bindings_max.min(self.waiting.len()));
        // Every look at a counter is bounded too: a binding may be queued twice, and is empty the second time.
        for _ in 0..self.waiting.len() {
            if taken.len() == bindings_max {
                break;
            }
            let Some(known) = self.waiting.pop() else {
                break;
            };
            if let Some(uses) = known.uses.take(known.binding.id) {
                taken.push(TakenUses { uses, known });
            }
        }
        taken
    }

    pub(super) fn give_back(&self, taken: Vec<TakenUses>) {
        for TakenUses { uses, known } in taken {
            known.uses.give_back(&uses);
            self.queue(&known);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn times_full(&self) -> u64 {
        self.times_full.load(Ordering::Relaxed)
    }
}
