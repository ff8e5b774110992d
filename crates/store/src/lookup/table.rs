//! Bindings by fingerprint, in shards, within a bound: the room that the cache lives in.
//!
//! A shard's lock is held only while one entry is looked at or exchanged. A full shard makes room by throwing out, of a few entries
//! that stand where the new one would, the one whose life ends first: what is in use is renewed again and again, so that is one that
//! was not used for long.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::known::Known;

/// The most shards. More of them would cost room, and hardly spare any wait.
const SHARDS_MAX: usize = 1_024;
/// Each shard has room for so many at least, where the bound allows, so that throwing out has a choice.
const ENTRIES_PER_SHARD_MIN: usize = 64;
/// So many entries are compared when one has to go.
const CANDIDATES_MAX: usize = 8;

/// The shards.
pub(super) struct Table {
    shards: Box<[RwLock<Shard>]>,
}

/// Entries whose fingerprints share some bits, and how often one of them was invalidated.
pub(super) struct Shard {
    /// Grows with each invalidation of any key of the shard.
    pub(super) generation: u64,
    entries: HashTable<Known>,
    entries_max: usize,
}

impl Table {
    /// Room for at most `entries_max`, and for at least one.
    pub(super) fn new(entries_max: usize) -> Self {
        let shards = (entries_max / ENTRIES_PER_SHARD_MIN).clamp(1, SHARDS_MAX);
        let entries_per_shard_max = (entries_max / shards).max(1);
        let shard = || {
            RwLock::new(Shard {
                generation: 0,
                entries: HashTable::new(),
                entries_max: entries_per_shard_max,
            })
        };
        Self {
            shards: std::iter::repeat_with(shard).take(shards).collect(),
        }
    }

    /// The key's entry.
    pub(super) fn get(&self, fingerprint: &KeyFingerprint) -> Option<Known> {
        self.read(fingerprint).get(fingerprint).cloned()
    }

    /// The key's shard, to look at.
    pub(super) fn read(&self, fingerprint: &KeyFingerprint) -> RwLockReadGuard<'_, Shard> {
        self.shards[self.place(fingerprint)]
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The key's shard, to change.
    pub(super) fn write(&self, fingerprint: &KeyFingerprint) -> RwLockWriteGuard<'_, Shard> {
        self.shards[self.place(fingerprint)]
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        let len = |shard: &RwLock<Shard>| shard.read().unwrap_or_else(PoisonError::into_inner).entries.len();
        self.shards.iter().map(len).sum()
    }

    /// A fingerprint is a MAC: any of its bits are as good as a hash. These are not the ones that order a shard's entries.
    fn place(&self, fingerprint: &KeyFingerprint) -> usize {
        let [.., high, low] = *fingerprint.as_bytes();
        usize::from(u16::from_be_bytes([high, low])) % self.shards.len()
    }
}

impl Shard {
    /// The key's entry.
    pub(super) fn get(&self, fingerprint: &KeyFingerprint) -> Option<&Known> {
        self.entries.find(hash(fingerprint), is(fingerprint))
    }

    /// Puts an entry in the place of the key's old one; gives what had to go: that one, or another one to make room.
    pub(super) fn put(&mut self, known: Known) -> Option<Known> {
        let fingerprint = known.binding.fingerprint;
        if let Some(here) = self.entries.find_mut(hash(&fingerprint), is(&fingerprint)) {
            return Some(std::mem::replace(here, known));
        }
        let thrown_out = (self.entries.len() >= self.entries_max)
            .then(|| self.make_room(&fingerprint))
            .flatten();
        self.entries.insert_unique(hash(&fingerprint), known, |known| {
            hash(&known.binding.fingerprint)
        });
        thrown_out
    }

    /// Takes the key's entry out.
    pub(super) fn remove(&mut self, fingerprint: &KeyFingerprint) -> Option<Known> {
        let entry = self.entries.find_entry(hash(fingerprint), is(fingerprint)).ok()?;
        Some(entry.remove().0)
    }

    fn make_room(&mut self, newcomer: &KeyFingerprint) -> Option<Known> {
        let buckets = self.entries.num_buckets();
        let first = usize::try_from(hash(newcomer) % u64::try_from(buckets).ok()?).ok()?;
        // A full shard's table is at most half empty, so this ends after a few steps; it ends after one round in any case.
        let oldest = (0..buckets)
            .map(|step| (first + step) % buckets)
            .filter_map(|bucket| self.entries.get_bucket(bucket).map(|known| (bucket, known)))
            .take(CANDIDATES_MAX)
            .min_by_key(|(_, known)| known.life.span().until)
            .map(|(bucket, _)| bucket)?;
        let entry = self.entries.get_bucket_entry(oldest).ok()?;
        Some(entry.remove().0)
    }
}

fn hash(fingerprint: &KeyFingerprint) -> u64 {
    fingerprint
        .as_bytes()
        .first_chunk()
        .map_or(0, |first| u64::from_le_bytes(*first))
}

fn is(fingerprint: &KeyFingerprint) -> impl Fn(&Known) -> bool {
    move |known| known.binding.fingerprint == *fingerprint
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use sentinel_core::binding::{Binding, BindingId, BindingStatus, Version};
    use sentinel_core::known::KnownBinding;
    use sentinel_core::policy::OwnPolicy;

    use super::*;
    use crate::conformance::{at, fingerprint, network};

    fn known(number: u32, until: i64) -> Known {
        let known = KnownBinding::new(Binding {
            id: BindingId(i64::from(number)),
            fingerprint: fingerprint(number),
            status: BindingStatus::Active,
            networks: network("192.0.2.1").into(),
            policy: OwnPolicy::default(),
            version: Version(1),
            bound_at: at(0),
        });
        known.life.renew(at(until), 0);
        known
    }

    fn put(table: &Table, known: Known) -> Option<Known> {
        let fingerprint = known.binding.fingerprint;
        table.write(&fingerprint).put(known)
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        for entries_max in [1, 5, ENTRIES_PER_SHARD_MIN, 1_000, 100_000] {
            let table = Table::new(entries_max);
            assert!(table.shards.len() <= SHARDS_MAX);
            for number in 0..3_000 {
                put(&table, known(number, 1));
                assert!(table.get(&fingerprint(number)).is_some(), "the newest stays");
            }
            assert!(table.len() <= entries_max, "{} > {entries_max}", table.len());
        }
    }

    #[test]
    fn what_is_renewed_outlives_what_is_not() {
        const USED: u32 = 100;
        let table = Table::new(1_000);
        for number in 0..USED {
            put(&table, known(number, i64::MAX >> 21));
        }
        for number in USED..50_000 {
            put(&table, known(number, 1));
        }
        let kept = (0..USED).filter(|number| table.get(&fingerprint(*number)).is_some());
        // One goes only when all of the candidates were in use.
        assert!(kept.count() > 95, "{CANDIDATES_MAX} candidates");
    }

    proptest! {
        #[test]
        fn it_holds_what_was_put_and_not_removed(steps in prop::collection::vec((0_u32..40, any::<bool>()), 1..200)) {
            let table = Table::new(100_000);
            let mut model = BTreeSet::new();
            for (number, is_put) in steps {
                let before = if is_put {
                    put(&table, known(number, 1))
                } else {
                    let fingerprint = fingerprint(number);
                    table.write(&fingerprint).remove(&fingerprint)
                };
                let was_there = if is_put { !model.insert(number) } else { model.remove(&number) };
                prop_assert_eq!(before.is_some(), was_there);
                prop_assert_eq!(table.len(), model.len());
            }
            for number in 0..40 {
                prop_assert_eq!(table.get(&fingerprint(number)).is_some(), model.contains(&number));
            }
        }
    }
}
