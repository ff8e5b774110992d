//! The bindings in memory, and the rules by which one may take the place of another.
//!
//! Whoever is about to ask the store takes a [`Ticket`] first. An invalidation makes all tickets of its key worthless, so
//! that an answer that left the store before the change cannot get in after it. Between two answers the version decides; but a
//! version that was here before the authority was asked is no match for the authority's answer, should that be older: then the
//! authority itself went back, to a backup or to a standby that had not heard everything.
//!
//! Keys of one shard can spoil each other's tickets, which costs a load and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sentinel_core::binding::{Binding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::known::{Known, KnownBinding, Life};
use sentinel_core::ports::Found;
use sentinel_core::time::Timestamp;

use super::CacheBounds;
use super::renewals::Renewals;
use super::table::{Shard, Table};
use super::uses::UseQueue;

/// A binding's renewal is asked for when this part of its life is left.
const RENEWED_AHEAD: u32 = 4;

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

/// The cache.
pub(super) struct KnownCache {
    table: Table,
    epoch: AtomicU64,
    life: Duration,
    life_out_of_touch: Duration,
    is_out_of_touch: AtomicBool,
    retry_pause: Duration,
    uses: Arc<UseQueue>,
    renewals: Renewals,
    went_back: AtomicU64,
}

impl KnownCache {
    pub(super) fn new(bounds: &CacheBounds, uses: Arc<UseQueue>) -> Self {
        Self {
            table: Table::new(bounds.entries_max),
            epoch: AtomicU64::new(0),
            life: bounds.fresh,
            life_out_of_touch: bounds.fresh_out_of_touch.min(bounds.fresh),
            is_out_of_touch: AtomicBool::new(false),
            retry_pause: bounds.retry_pause.min(bounds.fresh),
            uses,
            renewals: Renewals::new(bounds.renewals_queued_max),
            went_back: AtomicU64::new(0),
        }
    }

    /// The binding while it is fresh; asks for its renewal when that ends soon. A clock that was set back ends its life: nobody
    /// knows how old it is.
    pub(super) fn fresh(&self, fingerprint: &KeyFingerprint, now: Timestamp) -> Option<Known> {
        let known = self.table.get(fingerprint)?;
        let span = known.life.span();
        if !Life::is_of(span, self.epoch()) || now >= span.until {
            return None;
        }
        let left = span.until.since(now);
        if left > self.life {
            return None;
        }
        if left <= self.life / RENEWED_AHEAD && !span.is_due && known.life.ask() {
            self.renewals.queue(&known);
        }
        Some(known)
    }

    /// The binding while it is fresh; its life ends with it, so that whoever needs it then asks the store.
    pub(super) fn fresh_without_renewal(
        &self,
        fingerprint: &KeyFingerprint,
        now: Timestamp,
    ) -> Option<Known> {
        let known = self.table.get(fingerprint)?;
        let span = known.life.span();
        let is_fresh =
            Life::is_of(span, self.epoch()) && now < span.until && span.until.since(now) <= self.life;
        is_fresh.then_some(known)
    }

    /// The binding while it is fresh and no renewal of it is due.
    pub(super) fn renewed(&self, fingerprint: &KeyFingerprint, now: Timestamp) -> Option<Known> {
        self.fresh(fingerprint, now)
            .filter(|known| !known.life.span().is_due)
    }

    /// The binding, however old.
    pub(super) fn any_age(&self, fingerprint: &KeyFingerprint) -> Option<Known> {
        self.table.get(fingerprint)
    }

    /// How many wait for their renewal.
    pub(super) fn renewals_waiting(&self) -> usize {
        self.renewals.len()
    }

    /// Bindings whose renewal was asked for, at most `bindings_max`.
    pub(super) fn take_renewals(&self, bindings_max: usize) -> Vec<Known> {
        self.renewals.take(bindings_max)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// How often the authority gave an older version than was here before it was asked.
    pub(super) fn went_back(&self) -> u64 {
        self.went_back.load(Ordering::Relaxed)
    }

    pub(super) fn ticket(&self, fingerprint: &KeyFingerprint) -> Ticket {
        let shard = self.table.read(fingerprint);
        Ticket {
            generation: shard.generation,
            epoch: self.epoch(),
            seen: version(&shard, fingerprint),
        }
    }

    /// Takes in a binding that the store gave, unless a newer one is here or the key was invalidated since the ticket.
    pub(super) fn install(&self, ticket: &Ticket, found: Found, now: Timestamp) -> Installed<Known> {
        let Found { binding, age } = found;
        let mut shard = self.table.write(&binding.fingerprint);
        let here = shard.get(&binding.fingerprint);
        if let Some(newer) = here.filter(|here| here.binding.version > binding.version) {
            let went_back = age.is_zero() && Some(newer.binding.version) == ticket.seen;
            if !went_back {
                return Installed::Current(newer.clone());
            }
            self.went_back.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                binding = %binding.id, known = newer.binding.version.0, stored = binding.version.0,
                "the store went back to an older version: was it restored from a backup?"
            );
        }
        // With an older copy here the higher version alone shows that this one is newer.
        if shard.generation != ticket.generation && here.is_none() {
            return Installed::Invalidated(KnownBinding::new(binding));
        }
        Installed::Current(self.put(&mut shard, binding, self.end_of_life(now, age), ticket.epoch))
    }

    /// Takes in that the store has no binding for the key, unless one came in, or the key was invalidated, since the ticket.
    pub(super) fn absent(&self, ticket: &Ticket, fingerprint: &KeyFingerprint) -> Installed<Option<Known>> {
        let mut shard = self.table.write(fingerprint);
        let here = shard.get(fingerprint);
        if let Some(newer) = here.filter(|here| Some(here.binding.version) > ticket.seen) {
            return Installed::Current(Some(newer.clone()));
        }
        if shard.generation != ticket.generation {
            return Installed::Invalidated(None);
        }
        self.remove(&mut shard, fingerprint);
        Installed::Current(None)
    }

    /// Takes in a change made on this replica; answers that are under way no longer count. A key that is not cached stays
    /// so: two changes may be told in the other order than they were made, and the other one may have removed the binding.
    pub(super) fn changed_here(&self, binding: Binding, now: Timestamp) {
        let mut shard = self.table.write(&binding.fingerprint);
        shard.generation += 1;
        if version(&shard, &binding.fingerprint).is_some_and(|here| here < binding.version) {
            let until = self.end_of_life(now, Duration::ZERO);
            self.put(&mut shard, binding, until, self.epoch());
        }
    }

    /// Forgets the key's binding, unless it is at least as new as `changed`. False when it was.
    pub(super) fn invalidate(&self, fingerprint: &KeyFingerprint, changed: Option<Version>) -> bool {
        let mut shard = self.table.write(fingerprint);
        shard.generation += 1;
        let known_already = changed.is_some_and(|changed| version(&shard, fingerprint) >= Some(changed));
        if !known_already {
            self.remove(&mut shard, fingerprint);
        }
        !known_already
    }

    pub(super) fn expire_all(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Says whether changes made elsewhere are heard. While they are not, bindings live shorter.
    pub(super) fn set_out_of_touch(&self, is_out_of_touch: bool) {
        self.is_out_of_touch.store(is_out_of_touch, Ordering::Release);
    }

    /// Gives the binding a little more life, so that a store that is away is not asked at every request.
    pub(super) fn postpone(&self, fingerprint: &KeyFingerprint, now: Timestamp) {
        if let Some(known) = self.table.get(fingerprint) {
            known.life.renew(now.plus(self.retry_pause), self.epoch());
        }
    }

    /// Whether a binding that the authority gave so long ago can only be given because the authority is away.
    pub(super) fn is_past_life(&self, age: Duration) -> bool {
        age >= self.life
    }

    /// Until when a binding lives that the authority gave so long ago. One that is older than a life is given because the authority
    /// is away.
    fn end_of_life(&self, now: Timestamp, age: Duration) -> Timestamp {
        let life = if self.is_out_of_touch.load(Ordering::Acquire) {
            self.life_out_of_touch
        } else {
            self.life
        };
        let left = life.checked_sub(age).filter(|left| !left.is_zero());
        now.plus(left.unwrap_or(self.retry_pause))
    }

    /// Puts the binding in the place of the key's old one, or gives that one a new life when it is the same.
    fn put(&self, shard: &mut Shard, binding: Binding, until: Timestamp, epoch: u64) -> Known {
        if let Some(same) = shard
            .get(&binding.fingerprint)
            .filter(|here| here.binding == binding)
        {
            same.life.renew(until, epoch);
            return same.clone();
        }
        let known = KnownBinding::new(binding);
        known.life.renew(until, epoch);
        if let Some(leaving) = shard.put(known.clone()) {
            self.uses.queue_leaving(&leaving);
        }
        known
    }

    fn remove(&self, shard: &mut Shard, fingerprint: &KeyFingerprint) {
        if let Some(leaving) = shard.remove(fingerprint) {
            self.uses.queue_leaving(&leaving);
        }
    }

    /// What making room does to an entry, without an invalidation.
    #[cfg(test)]
    pub(super) fn throw_out(&self, fingerprint: &KeyFingerprint) {
        self.remove(&mut self.table.write(fingerprint), fingerprint);
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }
}

fn version(shard: &Shard, fingerprint: &KeyFingerprint) -> Option<Version> {
    shard.get(fingerprint).map(|known| known.binding.version)
}
