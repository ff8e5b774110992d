//! What the store with the shared cache counts, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`super::SharedStore`] has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedCounts {
    /// Questions that the cache answered.
    pub hits: u64,
    /// Questions that went to the authority.
    pub misses: u64,
    /// Calls of the cache that failed.
    pub cache_failures: u64,
    /// Entries given past their life because the authority did not answer.
    pub given_past_life: u64,
    /// Answers of the authority that were older than what the cache held: it was restored from a backup.
    pub authority_went_back: u64,
    /// Answers that were not shared, because too many were on their way.
    pub puts_dropped: u64,
    /// Changes that the other replicas could not be told of at once.
    pub announcements_failed: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) cache_failures: AtomicU64,
    pub(super) given_past_life: AtomicU64,
    pub(super) authority_went_back: AtomicU64,
    pub(super) puts_dropped: AtomicU64,
    pub(super) announcements_failed: AtomicU64,
}

impl Counters {
    pub(super) fn counts(&self) -> SharedCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SharedCounts {
            hits: read(&self.hits),
            misses: read(&self.misses),
            cache_failures: read(&self.cache_failures),
            given_past_life: read(&self.given_past_life),
            authority_went_back: read(&self.authority_went_back),
            puts_dropped: read(&self.puts_dropped),
            announcements_failed: read(&self.announcements_failed),
        }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    add(counter, 1);
}

pub(super) fn add(counter: &AtomicU64, times: usize) {
    counter.fetch_add(u64::try_from(times).unwrap_or(u64::MAX), Ordering::Relaxed);
}
