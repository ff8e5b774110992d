//! The bindings in memory, and the rules by which one may take the place of another.
//!
//! Whoever is about to ask the store takes a [`Ticket`] first. An invalidation makes all tickets of its key worthless, so
//! that an answer that left the store before the change cannot get in after it. Between two answers the version decides.
//! Keys share a fixed number of stripes for this; keys of one stripe can spoil each other's tickets, which costs a load
//! and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use sentinel_core::binding::{Binding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::KnownBinding;
use sentinel_core::time::Timestamp;
use sentinel_core::usage::UseCounter;

use super::CacheBounds;
use super::uses::UseQueue;

const STRIPES: usize = 1_024;

/// A binding, and when it may be given without asking.
#[derive(Clone)]
struct Entry {
    known: Arc<KnownBinding>,
    from: Timestamp,
    until: Timestamp,
    epoch: u64,
}

/// What the cache was when somebody began to ask the store.
pub(super) struct Ticket {
    generation: u64,
    epoch: u64,
    seen: Option<Version>,
}

/// What became of an answer of the store.
pub(super) enum Installed<T> {
    /// What the cache holds now, or would hold if there were room.
    Current(T),
    /// The key was invalidated meanwhile, so this answer may be older than the change and is not kept.
    Invalidated(T),
}

impl<T> Installed<T> {
    pub(super) fn into_answer(self) -> T {
        match self {
            Self::Current(answer) | Self::Invalidated(answer) => answer,
        }
    }
}

/// A binding that is not in the cache, with a counter of its own.
fn uncached(binding: Binding) -> Arc<KnownBinding> {
    Arc::new(KnownBinding {
        binding,
        uses: Arc::new(UseCounter::default()),
    })
}

/// The cache.
pub(super) struct KnownCache {
    entries: Cache<KeyFingerprint, Entry, UnitWeighter, DefaultHashBuilder, Leaving>,
    stripes: Box<[Mutex<u64>]>,
    epoch: AtomicU64,
    fresh: Duration,
    retry_pause: Duration,
    leaving: Leaving,
}

impl KnownCache {
    pub(super) fn new(bounds: &CacheBounds, uses: Arc<UseQueue>) -> Self {
        let leaving = Leaving(uses);
        Self {
            entries: Cache::with(
                bounds.entries_max,
                u64::try_from(bounds.entries_max).unwrap_or(u64::MAX),
                UnitWeighter,
                DefaultHashBuilder::default(),
                leaving.clone(),
            ),
            stripes: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
            epoch: AtomicU64::new(0),
            fresh: bounds.fresh,
            retry_pause: bounds.retry_pause.min(bounds.fresh),
            leaving,
        }
    }

    /// The binding while it is fresh. A clock that was set back ends its life: nobody knows how old it is.
    pub(super) fn fresh(&self, fingerprint: &KeyFingerprint, now: Timestamp) -> Option<Arc<KnownBinding>> {
        let entry = self.entries.get(fingerprint)?;
        let alive = entry.from <= now && now < entry.until;
        (alive && entry.epoch == self.epoch.load(Ordering::Acquire)).then_some(entry.known)
    }

    /// The binding, however old.
    pub(super) fn any_age(&self, fingerprint: &KeyFingerprint) -> Option<Arc<KnownBinding>> {
        self.entries.get(fingerprint).map(|entry| entry.known)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn ticket(&self, fingerprint: &KeyFingerprint) -> Ticket {
        let generation = self.stripe(fingerprint);
        Ticket {
            generation: *generation,
            epoch: self.epoch.load(Ordering::Acquire),
            seen: self.version(fingerprint),
        }
    }

    /// Takes in a binding that the store gave, unless a newer one is here or the key was invalidated since the ticket.
    pub(super) fn install(
        &self,
        ticket: &Ticket,
        binding: Binding,
        now: Timestamp,
    ) -> Installed<Arc<KnownBinding>> {
        let generation = self.stripe(&binding.fingerprint);
        let here = self.entries.peek(&binding.fingerprint);
        if let Some(newer) = here
            .as_ref()
            .filter(|entry| entry.known.binding.version > binding.version)
        {
            return Installed::Current(Arc::clone(&newer.known));
        }
        // With an older copy here the higher version alone shows that this one is newer.
        if *generation != ticket.generation && here.is_none() {
            return Installed::Invalidated(uncached(binding));
        }
        Installed::Current(self.insert(here, binding, now, ticket.epoch))
    }

    /// Takes in that the store has no binding for the key, unless one came in, or the key was invalidated, since the ticket.
    pub(super) fn absent(
        &self,
        ticket: &Ticket,
        fingerprint: &KeyFingerprint,
    ) -> Installed<Option<Arc<KnownBinding>>> {
        let generation = self.stripe(fingerprint);
        let here = self.entries.peek(fingerprint);
        if let Some(newer) = here.filter(|entry| Some(entry.known.binding.version) > ticket.seen) {
            return Installed::Current(Some(newer.known));
        }
        if *generation != ticket.generation {
            return Installed::Invalidated(None);
        }
        self.remove(fingerprint);
        Installed::Current(None)
    }

    /// Takes in a change made on this replica; answers that are under way no longer count. A key that is not cached stays
    /// so: two changes may be told in the other order than they were made, and the other one may have removed the binding.
    pub(super) fn changed_here(&self, binding: Binding, now: Timestamp) {
        let mut generation = self.stripe(&binding.fingerprint);
        *generation += 1;
        let here = self.entries.peek(&binding.fingerprint);
        if here
            .as_ref()
            .is_some_and(|entry| entry.known.binding.version < binding.version)
        {
            self.insert(here, binding, now, self.epoch.load(Ordering::Acquire));
        }
    }

    pub(super) fn invalidate(&self, fingerprint: &KeyFingerprint, changed: Option<Version>) {
        let mut generation = self.stripe(fingerprint);
        *generation += 1;
        let known_already = changed.is_some_and(|changed| self.version(fingerprint) >= Some(changed));
        if !known_already {
            self.remove(fingerprint);
        }
    }

    pub(super) fn expire_all(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Gives the binding a little more life, so that a store that is away is not asked at every request.
    pub(super) fn postpone(&self, fingerprint: &KeyFingerprint, now: Timestamp) {
        let _generation = self.stripe(fingerprint);
        if let Some(entry) = self.entries.peek(fingerprint) {
            let postponed = Entry {
                known: entry.known,
                from: now,
                until: now.plus(self.retry_pause),
                epoch: self.epoch.load(Ordering::Acquire),
            };
            // Refused only when the entry was thrown out in between.
            let _ = self.entries.replace(*fingerprint, postponed, true);
        }
    }

    /// Puts the binding in the place of `here`. Its counter stays, so that no copy counts apart.
    fn insert(&self, here: Option<Entry>, binding: Binding, now: Timestamp, epoch: u64) -> Arc<KnownBinding> {
        let known = match here.map(|entry| entry.known) {
            Some(known) if known.binding == binding => known,
            Some(known) if known.binding.id == binding.id => Arc::new(KnownBinding {
                binding,
                uses: Arc::clone(&known.uses),
            }),
            _ => uncached(binding),
        };
        let entry = Entry {
            known: Arc::clone(&known),
            from: now,
            until: now.plus(self.fresh),
            epoch,
        };
        self.entries.insert(known.binding.fingerprint, entry);
        known
    }

    fn remove(&self, fingerprint: &KeyFingerprint) {
        if let Some((_, entry)) = self.entries.remove(fingerprint) {
            self.leaving.0.queue_leaving(&entry.known);
        }
    }

    /// What making room does to an entry, without an invalidation.
    #[cfg(test)]
    pub(super) fn throw_out(&self, fingerprint: &KeyFingerprint) {
        self.remove(fingerprint);
    }

    fn version(&self, fingerprint: &KeyFingerprint) -> Option<Version> {
        self.entries
            .peek(fingerprint)
            .map(|entry| entry.known.binding.version)
    }

    /// Held while entries of the stripe are compared and exchanged; never by [`KnownCache::fresh`].
    fn stripe(&self, fingerprint: &KeyFingerprint) -> MutexGuard<'_, u64> {
        // A fingerprint is a MAC: any of its bits are as good as a hash.
        let [low, high, ..] = *fingerprint.as_bytes();
        let number = usize::from(u16::from_le_bytes([low, high])) % STRIPES;
        self.stripes[number]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Called for a binding that is thrown out to make room.
#[derive(Clone)]
struct Leaving(Arc<UseQueue>);

impl Lifecycle<KeyFingerprint, Entry> for Leaving {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: KeyFingerprint, entry: Entry) {
        self.0.queue_leaving(&entry.known);
    }
}
