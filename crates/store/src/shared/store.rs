//! The authority with the shared cache in front: a [`BindingStore`] that asks the authority only when no replica has lately.
//!
//! - An entry is given while it is younger than [`SharedBounds::fresh`]; its age is told along, so that no cache behind this one
//!   adds a life of its own to it.
//! - While the authority does not answer, an entry of any age is given; its age says so.
//! - The shared cache never fails a request: without it, every question goes to the authority.
//! - A change goes to the authority first, then to the cache, then to the other replicas: whoever hears of it finds it.
//!
//! It must never decide: whatever the cache says, a claim is won by the authority's word alone.

mod counts;
mod moves;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use sentinel_core::binding::{Binding, BindingId, NewBinding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::ports::{BindingStore, Claim, Found, StoreError};
use sentinel_core::time::{Clock, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use counts::{Counters, add, count};

use super::claims::Claims;
use super::floors::Floors;
use super::{SharedCache, SharedEntry, Standing};
use crate::changes::{Change, ChangeAnnouncer};
use crate::pace::Pace;

pub use counts::SharedCounts;

/// The most calls of the cache that one question about many keys makes at the same time.
pub(super) const CALLS_AT_ONCE_MAX: usize = 64;

/// The bounds of a [`SharedStore`].
#[derive(Clone, Copy, Debug)]
pub struct SharedBounds {
    /// How long an entry is given without asking the authority. Less than the life of a binding in process, so that one that is
    /// renewed there before its life ends gets a younger answer.
    pub fresh: Duration,
    /// How long one question waits for the authority before an old entry is given; shorter than whoever asks waits for us.
    pub authority_wait_max: Duration,
    /// The most answers of the authority that are on their way to the cache beside the requests; beyond, they are not shared.
    pub puts_max: usize,
}

impl Default for SharedBounds {
    fn default() -> Self {
        Self {
            fresh: Duration::from_millis(3_750),
            authority_wait_max: Duration::from_millis(1_500),
            puts_max: 256,
        }
    }
}

/// What an entry is worth.
enum Fresh {
    /// As much as the authority's own answer.
    Answer(Option<Found>),
    /// Not enough.
    AskTheAuthority,
}

/// An authority and the cache that replicas share. Its calls need a tokio runtime with its timer.
pub struct SharedStore {
    authority: Arc<dyn BindingStore>,
    cache: Arc<dyn SharedCache>,
    announcer: Arc<dyn ChangeAnnouncer>,
    clock: Arc<dyn Clock>,
    bounds: SharedBounds,
    floors: Floors,
    claims: Claims,
    puts: Arc<Semaphore>,
    counters: Arc<Counters>,
    went_back_said: Pace,
    announcing_said: Pace,
}

impl SharedStore {
    /// `cache` in front of `authority`; changes are told to other replicas by `announcer`, with the time of `clock`.
    pub fn new(
        authority: Arc<dyn BindingStore>,
        cache: Arc<dyn SharedCache>,
        announcer: Arc<dyn ChangeAnnouncer>,
        clock: Arc<dyn Clock>,
        bounds: &SharedBounds,
    ) -> Self {
        Self {
            authority,
            cache,
            announcer,
            clock,
            bounds: *bounds,
            floors: Floors::default(),
            claims: Claims::default(),
            puts: Arc::new(Semaphore::new(bounds.puts_max)),
            counters: Arc::default(),
            went_back_said: Pace::default(),
            announcing_said: Pace::default(),
        }
    }

    /// A binding was changed by this replica, past this store: shares it and tells the others. Never fails; what could not be told is
    /// noticed within the life that all caches share.
    pub async fn changed(&self, binding: &Binding) {
        let at = self.clock.now();
        self.share(binding, Instant::now()).await;
        self.announce(&binding.fingerprint, binding.version, at).await;
    }

    /// A binding was removed by this replica, past this store; `absence` is [`Version::of_absence`] of the one that was removed. As
    /// [`SharedStore::changed`].
    pub async fn removed(&self, fingerprint: &KeyFingerprint, absence: Version) {
        let at = self.clock.now();
        self.floors.note(fingerprint, absence);
        let buried = self.cache.bury(fingerprint, absence).await;
        self.note_cache(&buried);
        self.announce(fingerprint, absence, at).await;
    }

    /// Another replica changed the key's binding: what the cache still holds of before is no longer believed, and leaves it. Call it before
    /// the caches behind this store are told to forget the key.
    pub async fn heard(&self, fingerprint: &KeyFingerprint, version: Version) {
        self.floors.note(fingerprint, version);
        let buried = self.cache.bury(fingerprint, version).await;
        self.note_cache(&buried);
    }

    /// What has been counted.
    pub fn counts(&self) -> SharedCounts {
        self.counters.counts()
    }

    /// What the cache holds; nothing when it fails. The cache says itself, in the log, why it does.
    async fn held(&self, fingerprint: &KeyFingerprint) -> SharedEntry {
        let held = self.cache.get(fingerprint).await;
        self.note_cache(&held);
        held.unwrap_or(SharedEntry::NOTHING)
    }

    /// The cache's answer, if it may stand for the authority's.
    fn fresh(&self, fingerprint: &KeyFingerprint, held: &SharedEntry) -> Fresh {
        match held {
            SharedEntry::Binding(binding, age)
                if *age < self.bounds.fresh
                    && self.floors.allow(fingerprint, Some(binding.version), *age) =>
            {
                Fresh::Answer(Some(Found {
                    binding: binding.clone(),
                    age: *age,
                }))
            }
            SharedEntry::Absent if self.floors.allow(fingerprint, None, super::ABSENT_LIFE) => {
                Fresh::Answer(None)
            }
            _ => Fresh::AskTheAuthority,
        }
    }

    /// Shares what the authority gave beside the request, which need not wait for it: an answer that arrives late is refused by its
    /// version, and its age counts from when the authority was asked.
    fn share_beside(
        &self,
        fingerprint: KeyFingerprint,
        found: Option<Found>,
        seen: Standing,
        asked: Instant,
    ) {
        let Ok(place) = Arc::clone(&self.puts).try_acquire_owned() else {
            count(&self.counters.puts_dropped);
            return;
        };
        let cache = Arc::clone(&self.cache);
        let counters = Arc::clone(&self.counters);
        tokio::spawn(async move {
            tell(&*cache, &counters, fingerprint, found, seen, asked).await;
            drop(place);
        });
    }

    /// Shares what the authority has just made of a binding, before anybody is told of it.
    async fn share(&self, binding: &Binding, asked: Instant) {
        self.floors.note(&binding.fingerprint, binding.version);
        let found = aged(Found::from(binding.clone()), asked);
        let shared = self.cache.put(&found, Standing::NOTHING).await;
        self.note_cache(&shared);
    }

    async fn announce(&self, fingerprint: &KeyFingerprint, version: Version, at: Timestamp) {
        let change = Change::Binding {
            fingerprint: *fingerprint,
            version,
            at,
        };
        if let Err(error) = self.announcer.announce(change).await {
            count(&self.counters.announcements_failed);
            if self.announcing_said.is_due() {
                tracing::warn!(%error, "other replicas were not told of a change; they notice it when their copy's life ends");
            }
        }
    }

    fn note_cache<T>(&self, outcome: &Result<T, StoreError>) {
        if outcome.is_err() {
            count(&self.counters.cache_failures);
        }
    }

    fn note_order(&self, found: Option<&Found>, seen: Standing) {
        let Some(found) = found.filter(|found| Standing::of_binding(found.binding.version) < seen) else {
            return;
        };
        count(&self.counters.authority_went_back);
        if self.went_back_said.is_due() {
            tracing::error!(
                binding = %found.binding.id, version = found.binding.version.0, seen = seen.number() / 2,
                "the database holds an older version than it gave before: it was restored from a backup, and its word counts"
            );
        }
    }

    /// An old entry, when the authority gave an error instead of an answer.
    fn known_good(&self, held: SharedEntry, error: StoreError) -> Result<Option<Found>, StoreError> {
        match held {
            SharedEntry::Binding(binding, age)
                if self
                    .floors
                    .allow(&binding.fingerprint, Some(binding.version), age) =>
            {
                count(&self.counters.given_past_life);
                Ok(Some(Found { binding, age }))
            }
            _ => Err(error),
        }
    }

    /// Waits for an answer of the authority.
    async fn in_time<T>(
        &self,
        question: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let wait_max = self.bounds.authority_wait_max;
        tokio::time::timeout(wait_max, question)
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Unavailable(format!(
                    "no answer within {} ms",
                    wait_max.as_millis()
                )))
            })
    }
}

/// Tells the cache what the authority answered.
async fn tell(
    cache: &dyn SharedCache,
    counters: &Counters,
    fingerprint: KeyFingerprint,
    found: Option<Found>,
    seen: Standing,
    asked: Instant,
) {
    let told = match found {
        Some(found) => cache.put(&aged(found, asked), seen).await,
        None => cache.put_absent(&fingerprint, seen).await,
    };
    if told.is_err() {
        count(&counters.cache_failures);
    }
}

/// The answer to a question that was asked then.
fn aged(found: Found, asked: Instant) -> Found {
    Found {
        age: found.age.saturating_add(asked.elapsed()),
        ..found
    }
}

#[async_trait]
impl BindingStore for SharedStore {
    async fn find(&self, fingerprint: &KeyFingerprint) -> Result<Option<Found>, StoreError> {
        let held = self.held(fingerprint).await;
        if let Fresh::Answer(found) = self.fresh(fingerprint, &held) {
            count(&self.counters.hits);
            return Ok(found);
        }
        count(&self.counters.misses);
        let asked = Instant::now();
        let found = match self.in_time(self.authority.find(fingerprint)).await {
            Ok(found) => found,
            Err(error @ StoreError::SecretOutdated) => return Err(error),
            Err(error) => return self.known_good(held, error),
        };
        self.note_order(found.as_ref(), held.seen());
        self.share_beside(*fingerprint, found.clone(), held.seen(), asked);
        Ok(found)
    }

    async fn find_many(&self, fingerprints: &[KeyFingerprint]) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::with_capacity(fingerprints.len());
        let mut missing = Vec::new();
        for some in fingerprints.chunks(CALLS_AT_ONCE_MAX) {
            let held = join_all(some.iter().map(|fingerprint| self.held(fingerprint))).await;
            for (fingerprint, held) in some.iter().zip(held) {
                match self.fresh(fingerprint, &held) {
                    Fresh::Answer(fresh) => found.extend(fresh),
                    Fresh::AskTheAuthority => missing.push((*fingerprint, held.seen())),
                }
            }
        }
        add(&self.counters.hits, fingerprints.len() - missing.len());
        add(&self.counters.misses, missing.len());
        if missing.is_empty() {
            return Ok(found);
        }
        let asked = Instant::now();
        let fingerprints: Vec<_> = missing.iter().map(|(fingerprint, _)| *fingerprint).collect();
        let answers = self.in_time(self.authority.find_many(&fingerprints)).await?;
        let mut answers: HashMap<_, _> = answers
            .into_iter()
            .map(|found| (found.binding.fingerprint, found))
            .collect();
        for some in missing.chunks(CALLS_AT_ONCE_MAX) {
            let told = some.iter().map(|(fingerprint, seen)| {
                let answer = answers.remove(fingerprint);
                self.note_order(answer.as_ref(), *seen);
                found.extend(answer.clone());
                tell(&*self.cache, &self.counters, *fingerprint, answer, *seen, asked)
            });
            join_all(told).await;
        }
        Ok(found)
    }

    async fn adopt(
        &self,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
    ) -> Result<Option<Found>, StoreError> {
        self.adopt_either(fingerprint, previous).await
    }

    async fn claim(&self, new: NewBinding) -> Result<Claim<Binding>, StoreError> {
        let asked = Instant::now();
        let claim = self.authority.claim(new).await?;
        let (Claim::Won(binding) | Claim::Lost(binding)) = &claim;
        if matches!(claim, Claim::Won(_)) {
            self.claims.remember(binding.id, binding.fingerprint);
        }
        self.share(binding, asked).await;
        Ok(claim)
    }

    async fn release(&self, id: BindingId, claimed: Version) -> Result<bool, StoreError> {
        let is_released = self.authority.release(id, claimed).await?;
        if let Some(fingerprint) = self.claims.take(id).filter(|_| is_released) {
            self.removed(&fingerprint, claimed.of_absence()).await;
        }
        Ok(is_released)
    }

    async fn learn(
        &self,
        id: BindingId,
        network: Network,
        networks_max: u16,
        now: Timestamp,
    ) -> Result<Option<Binding>, StoreError> {
        let asked = Instant::now();
        let learned = self.authority.learn(id, network, networks_max, now).await?;
        if let Some(binding) = &learned {
            self.share(binding, asked).await;
            self.announce(&binding.fingerprint, binding.version, self.clock.now())
                .await;
        }
        Ok(learned)
    }
}

impl std::fmt::Debug for SharedStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SharedStore")
            .field("bounds", &self.bounds)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
