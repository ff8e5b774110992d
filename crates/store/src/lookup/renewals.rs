//! Bindings in use whose life ends soon: they are loaded again beside the requests, so that no request waits for it.
//!
//! The queue only saves time: what it has no room for is loaded by the first request after its end.

use std::collections::HashMap;

use crossbeam_queue::ArrayQueue;
use sentinel_core::known::Known;
use sentinel_core::time::Timestamp;

use super::CachedLookup;

/// The most bindings that are renewed with one question to the store.
pub const RENEWALS_BATCH_MAX: usize = 256;

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

impl CachedLookup {
    /// Loads bindings in use whose life ends soon, all that were asked for by now, and says how many. Whatever does not come of it
    /// is loaded by the next request that needs it.
    pub async fn renew_due(&self, now: Timestamp) -> usize {
        let mut renewed = 0;
        // What is asked for meanwhile is for the next call, so that this one ends.
        for _ in 0..self.cache.renewals_waiting().div_ceil(RENEWALS_BATCH_MAX) {
            let due = self.cache.take_renewals(RENEWALS_BATCH_MAX);
            if !self.renew(&due, now).await {
                break;
            }
            renewed += due.len();
        }
        renewed
    }

    /// Loads these; false when the store did not answer.
    async fn renew(&self, due: &[Known], now: Timestamp) -> bool {
        let fingerprints: Vec<_> = due.iter().map(|known| known.binding.fingerprint).collect();
        let mut tickets: HashMap<_, _> = fingerprints
            .iter()
            .map(|fingerprint| (*fingerprint, self.cache.ticket(fingerprint)))
            .collect();
        let found = self.in_time(self.store.find_many(&fingerprints)).await;
        self.note_store(found.as_ref().err(), now);
        let Ok(found) = found else {
            return false;
        };
        for found in found {
            if let Some(ticket) = tickets.remove(&found.binding.fingerprint) {
                self.cache.install(&ticket, found, now);
            }
        }
        for (fingerprint, ticket) in tickets {
            self.cache.absent(&ticket, &fingerprint);
        }
        true
    }
}
