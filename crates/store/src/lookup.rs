//! The cached lookup: what the data plane asks about keys, answered from memory wherever that is allowed.
//!
//! - A binding is fresh for [`CacheBounds::fresh`], counted from when the authority gave it; past that it is loaded again. So a change
//!   made by another process is noticed within that time, whatever messages are lost. One that is in use is loaded again a little
//!   earlier, beside the requests.
//! - While the store is away, the last binding that was known is still given, however old, as long as it was not thrown out.
//! - Of two copies of a binding the one with the higher version wins, whenever they arrive; and what a load brings that was
//!   under way when its key was invalidated is not kept.
//! - That a key has no binding is never kept.
//!
//! It must never judge a request, and its synchronous calls must never wait for I/O.

mod away;
mod cache;
mod either;
mod flights;
mod invalidating_admin;
mod renewals;
mod table;
mod uses;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::binding::{Binding, NewBinding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::known::{Known, KnownBinding};
use sentinel_core::network::Network;
use sentinel_core::ports::{BindingLookup, BindingStore, Claim, Found, StoreError, UseStore};
use sentinel_core::time::Timestamp;

use crate::pace::Pace;
use cache::{Installed, KnownCache, Ticket};
use flights::{Flights, Outcome};
use uses::UseQueue;

pub use invalidating_admin::InvalidatingAdmin;
pub use renewals::RENEWALS_BATCH_MAX;
pub use uses::TakenUses;

/// How often one lookup loads a key whose cache entry is invalidated again and again while it loads.
pub const LOAD_ATTEMPTS_MAX: u32 = 3;
/// The most bindings whose uses are written in one transaction.
pub const USES_BATCH_MAX: usize = 1_000;

/// The bounds of a [`CachedLookup`].
#[derive(Clone, Copy, Debug)]
pub struct CacheBounds {
    /// The most bindings that are kept; beyond, little used ones are thrown out. About 150 bytes each.
    pub entries_max: usize,
    /// How long a binding is given without asking the store.
    pub fresh: Duration,
    /// The same while changes made elsewhere are not heard of; at most [`CacheBounds::fresh`].
    pub fresh_out_of_touch: Duration,
    /// For how long a binding is given again after the store failed to answer; at most [`CacheBounds::fresh`].
    pub retry_pause: Duration,
    /// How long one call waits for the store; then the store counts as away.
    pub store_wait_max: Duration,
    /// The most keys that are loaded at the same time; beyond, the store counts as busy.
    pub loads_max: usize,
    /// The most bindings that wait for their uses to be written.
    pub uses_queued_max: usize,
    /// The most bindings that wait for their renewal.
    pub renewals_queued_max: usize,
}

impl Default for CacheBounds {
    fn default() -> Self {
        Self {
            entries_max: 100_000,
            fresh: Duration::from_secs(5),
            fresh_out_of_touch: Duration::from_secs(1),
            retry_pause: Duration::from_millis(500),
            store_wait_max: Duration::from_secs(2),
            loads_max: 1_024,
            uses_queued_max: 65_536,
            renewals_queued_max: 16_384,
        }
    }
}

/// What a lookup has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookupCounts {
    /// Bindings given past their life because the store was away.
    pub given_past_life: u64,
    /// Times that a binding with new uses found the queue full. Its uses stay counted while it is cached.
    pub uses_queue_full: u64,
    /// Times that the authority gave an older version of a binding than it had given before.
    pub store_went_back: u64,
    /// Times that the store did not take this replica's word for a key being unknown, because its secret is not the current one any more.
    pub secret_outdated: u64,
}

/// [`BindingLookup`] over a store. One per process, shared by all cores. Its asynchronous calls need a tokio runtime with
/// its timer.
pub struct CachedLookup {
    store: Arc<dyn BindingStore>,
    cache: KnownCache,
    flights: Flights,
    uses: Arc<UseQueue>,
    store_wait_max: Duration,
    away_said: AtomicBool,
    away_said_at_ms: AtomicI64,
    outdated_said: Pace,
    given_past_life: AtomicU64,
    secret_outdated: AtomicU64,
}

impl CachedLookup {
    /// A lookup that knows nothing yet.
    pub fn new(store: Arc<dyn BindingStore>, bounds: &CacheBounds) -> Self {
        let uses = Arc::new(UseQueue::new(bounds.uses_queued_max));
        Self {
            store,
            cache: KnownCache::new(bounds, Arc::clone(&uses)),
            flights: Flights::new(bounds.loads_max),
            uses,
            store_wait_max: bounds.store_wait_max,
            away_said: AtomicBool::new(false),
            away_said_at_ms: AtomicI64::new(i64::MIN),
            outdated_said: Pace::default(),
            given_past_life: AtomicU64::new(0),
            secret_outdated: AtomicU64::new(0),
        }
    }

    /// Forgets the key's binding, because it changed elsewhere; loads under way will not bring the old one back. Does
    /// nothing to a cached binding that is at least as new as `changed`, when the new version is known; then it gives false.
    pub fn invalidate(&self, fingerprint: &KeyFingerprint, changed: Option<Version>) -> bool {
        self.flights.detach(fingerprint);
        self.cache.invalidate(fingerprint, changed)
    }

    /// Ends the life of everything that is cached: each key is loaded again at its next use. What was known is still
    /// given while the store is away.
    pub fn expire_all(&self) {
        self.cache.expire_all();
    }

    /// Says whether changes made elsewhere are heard of; while they are not, bindings live for [`CacheBounds::fresh_out_of_touch`] only.
    pub fn set_out_of_touch(&self, is_out_of_touch: bool) {
        self.cache.set_out_of_touch(is_out_of_touch);
    }

    /// Takes note of a binding that was just changed on this replica.
    pub(crate) fn changed_here(&self, binding: Binding, now: Timestamp) {
        self.flights.detach(&binding.fingerprint);
        self.cache.changed_here(binding, now);
    }

    /// Takes the uses of at most `bindings_max` bindings out; whoever takes them writes them or gives them back.
    pub fn take_uses(&self, bindings_max: usize) -> Vec<TakenUses> {
        self.uses.take(bindings_max)
    }

    /// Puts back what could not be written.
    pub fn give_back(&self, taken: Vec<TakenUses>) {
        self.uses.give_back(taken);
    }

    /// Writes the uses that wait now, in batches of [`USES_BATCH_MAX`], and says of how many bindings. What a failed
    /// batch holds is given back; batches before it are written. Let it run to its end: what it holds is lost with it.
    pub async fn flush_uses(&self, store: &dyn UseStore) -> Result<usize, StoreError> {
        let mut written = 0;
        // Uses that arrive meanwhile are for the next call, so that this one ends.
        for _ in 0..self.uses.len().div_ceil(USES_BATCH_MAX) {
            let taken = self.uses.take(USES_BATCH_MAX);
            if taken.is_empty() {
                continue;
            }
            let batch = taken.iter().map(TakenUses::uses).collect();
            if let Err(error) = store.add_uses(batch).await {
                self.uses.give_back(taken);
                return Err(error);
            }
            written += taken.len();
        }
        Ok(written)
    }

    /// What has been counted.
    pub fn counts(&self) -> LookupCounts {
        LookupCounts {
            given_past_life: self.given_past_life.load(Ordering::Relaxed),
            uses_queue_full: self.uses.times_full(),
            store_went_back: self.cache.went_back(),
            secret_outdated: self.secret_outdated.load(Ordering::Relaxed),
        }
    }

    /// How many bindings are cached.
    pub fn entries(&self) -> usize {
        self.cache.len()
    }

    async fn load(&self, fingerprint: &KeyFingerprint, now: Timestamp) -> Outcome {
        let mut last = None;
        for _ in 0..LOAD_ATTEMPTS_MAX {
            let ticket = self.cache.ticket(fingerprint);
            // A load that ended just before this one began has the answer already.
            if let Some(known) = self.cache.renewed(fingerprint, now) {
                return Ok(Some(known));
            }
            let loaded = self.in_time(self.store.find(fingerprint)).await;
            self.note_store(loaded.as_ref().err(), now);
            let loaded = loaded.inspect_err(|error| self.load_failed(fingerprint, error, now))?;
            if loaded
                .as_ref()
                .is_some_and(|found| self.cache.is_past_life(found.age))
            {
                self.given_past_life.fetch_add(1, Ordering::Relaxed);
            }
            match self.take_in(&ticket, fingerprint, loaded, now) {
                Installed::Current(known) => return Ok(known),
                Installed::Invalidated(known) => last = known,
            }
        }
        // This load overlaps an invalidation each time: its last answer is as good as any, for this request alone.
        Ok(last)
    }

    /// Hands the store's answer to the cache.
    fn take_in(
        &self,
        ticket: &Ticket,
        fingerprint: &KeyFingerprint,
        loaded: Option<Found>,
        now: Timestamp,
    ) -> Installed<Option<Known>> {
        match loaded.map(|found| self.cache.install(ticket, found, now)) {
            Some(Installed::Current(known)) => Installed::Current(Some(known)),
            Some(Installed::Invalidated(known)) => Installed::Invalidated(Some(known)),
            None => self.cache.absent(ticket, fingerprint),
        }
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(self.store_wait_max, call)
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Unavailable(format!(
                    "no answer within {} ms",
                    self.store_wait_max.as_millis()
                )))
            })
    }

    async fn find_here(&self, fingerprint: &KeyFingerprint, now: Timestamp) -> Outcome {
        if let Some(known) = self.cache.fresh(fingerprint, now) {
            return Ok(Some(known));
        }
        let Some(flight) = self.flights.join(fingerprint) else {
            return self.known_good(fingerprint, StoreError::Busy);
        };
        match flight.outcome(|| self.load(fingerprint, now)).await {
            Ok(found) => Ok(found),
            Err(error) => self.known_good(fingerprint, error),
        }
    }
}

#[async_trait]
impl BindingLookup for CachedLookup {
    /// One step into a sharded table under a read lock that writers hold only to swap an entry, a reference count, and
    /// comparisons of integers: no I/O, no allocation.
    fn cached(&self, fingerprint: &KeyFingerprint, now: Timestamp) -> Option<Known> {
        self.cache.fresh(fingerprint, now)
    }

    async fn find(&self, fingerprint: &KeyFingerprint, now: Timestamp) -> Result<Option<Known>, StoreError> {
        self.find_here(fingerprint, now).await
    }

    async fn find_either(
        &self,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
        now: Timestamp,
    ) -> Result<Option<Known>, StoreError> {
        self.load_either(fingerprint, previous, now).await
    }

    async fn claim(&self, new: NewBinding) -> Result<Claim<Known>, StoreError> {
        let fingerprint = new.fingerprint;
        let ticket = self.cache.ticket(&fingerprint);
        let now = new.bound_at;
        let claim = self.in_time(self.store.claim(new)).await;
        if let Err(error @ StoreError::SecretOutdated) = &claim {
            self.note_store(Some(error), now);
        }
        match claim? {
            Claim::Won(binding) => {
                let version = binding.version;
                let known = self.cache.install(&ticket, binding.into(), now).into_answer();
                // Changed since, for example banned: then it is no longer this claim's to release.
                let unchanged = known.binding.version == version;
                Ok(if unchanged {
                    Claim::Won(known)
                } else {
                    Claim::Lost(known)
                })
            }
            // Where it lies it is not looked for at first, and moves with its next use.
            Claim::Lost(binding) if binding.fingerprint != fingerprint => {
                Ok(Claim::Lost(KnownBinding::new(binding)))
            }
            Claim::Lost(binding) => {
                let known = self.cache.install(&ticket, binding.into(), now).into_answer();
                Ok(Claim::Lost(known))
            }
        }
    }

    async fn release(&self, claimed: &KnownBinding) -> Result<(), StoreError> {
        let binding = &claimed.binding;
        // This copy may be older than the cached one and count apart from it.
        let cached = self.cache.any_age(&binding.fingerprint);
        let is_confirmed = |known: &KnownBinding| known.binding.id == binding.id && known.uses.is_confirmed();
        if is_confirmed(claimed) || cached.is_some_and(|known| is_confirmed(&known)) {
            return Ok(());
        }
        // Released, changed meanwhile, or nobody knows because the caller went away: in no case may this copy stay.
        let _forgotten = ForgottenAtTheEnd(self, binding.fingerprint);
        self.in_time(self.store.release(binding.id, binding.version))
            .await
            .map(|_| ())
    }

    async fn learn(
        &self,
        known: &KnownBinding,
        network: Network,
        networks_max: u16,
        now: Timestamp,
    ) -> Result<Option<Known>, StoreError> {
        let fingerprint = &known.binding.fingerprint;
        let ticket = self.cache.ticket(fingerprint);
        let learned = self
            .in_time(self.store.learn(known.binding.id, network, networks_max, now))
            .await?;
        // Moved meanwhile: it is no longer cached here, and its own ticket is another.
        if let Some(moved) = learned
            .as_ref()
            .filter(|learned| learned.fingerprint != *fingerprint)
        {
            self.invalidate(fingerprint, None);
            return Ok(Some(KnownBinding::new(moved.clone())));
        }
        let learned = learned.map(Found::from);
        Ok(self.take_in(&ticket, fingerprint, learned, now).into_answer())
    }

    /// An atomic addition; for the first use since the last batch also a reference count and a slot in a ring that was
    /// allocated at the start.
    fn record_use(&self, known: &Known, now: Timestamp) {
        if known.uses.count(now) {
            self.uses.queue(known);
        }
    }
}

/// Invalidates the key when it is dropped.
struct ForgottenAtTheEnd<'l>(&'l CachedLookup, KeyFingerprint);

impl Drop for ForgottenAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.invalidate(&self.1, None);
    }
}

impl std::fmt::Debug for CachedLookup {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CachedLookup")
            .field("entries", &self.entries())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
