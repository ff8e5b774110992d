//! Uses: counted on one counter, queued once, written in batches, never lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use sentinel_core::binding::BindingId;
use sentinel_core::ports::{BindingAdmin, BindingLookup, StoreError, UseStore};
use sentinel_core::usage::Uses;

use super::super::{CacheBounds, CachedLookup, USES_BATCH_MAX};
use super::{find, fresh_ms, lookup, lookup_with};
use crate::conformance::{actor, at, claimed, fingerprint};
use crate::memory::MemoryStore;

/// A store of uses that can be away, and counts its batches.
struct Ledger {
    memory: MemoryStore,
    away: AtomicBool,
    batches: AtomicUsize,
}

#[async_trait]
impl UseStore for Ledger {
    async fn add_uses(&self, batch: Vec<Uses>) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Busy);
        }
        assert!(batch.len() <= USES_BATCH_MAX);
        self.batches.fetch_add(1, Ordering::SeqCst);
        self.memory.add_uses(batch).await
    }
}

fn ledger(memory: &MemoryStore) -> Ledger {
    Ledger {
        memory: memory.clone(),
        away: AtomicBool::new(false),
        batches: AtomicUsize::new(0),
    }
}

/// Everything that waits, by binding.
fn taken(lookup: &CachedLookup) -> HashMap<BindingId, u64> {
    let mut counts = HashMap::new();
    for taken in lookup.take_uses(usize::MAX) {
        *counts.entry(taken.uses().binding).or_default() += taken.uses().count;
    }
    counts
}

#[tokio::test]
async fn every_copy_of_a_binding_counts_and_is_written() {
    let (lookup, store) = lookup();
    let ledger = ledger(&store.memory);
    let id = claimed(&store.memory, 1, "192.0.2.1").await.id;
    let first = find(&lookup, 1, 0).await;
    lookup.record_use(&first, at(1));
    store.memory.ban(id, String::new(), actor(2)).await.unwrap();
    let second = find(&lookup, 1, fresh_ms()).await;
    assert_ne!(second.binding.version, first.binding.version);
    lookup.record_use(&second, at(9_000));
    lookup.record_use(&first, at(8_000));
    lookup.flush_uses(&ledger).await.unwrap();
    let record = store.memory.show(id).await.unwrap().expect("a record");
    assert_eq!((record.use_count, record.last_used_at), (3, Some(at(9_000))));
    assert!(lookup.take_uses(10).is_empty());
}

#[tokio::test]
async fn uses_are_written_in_batches_of_a_maximum() {
    let (lookup, store) = lookup();
    let ledger = ledger(&store.memory);
    let keys = u32::try_from(2 * USES_BATCH_MAX + 1).unwrap();
    for number in 0..keys {
        claimed(&store.memory, number, "192.0.2.1").await;
        let known = find(&lookup, number, 0).await;
        lookup.record_use(&known, at(77));
    }
    assert_eq!(lookup.take_uses(3).len(), 3);
    assert_eq!(lookup.flush_uses(&ledger).await, Ok(2 * USES_BATCH_MAX - 2));
    assert_eq!(ledger.batches.load(Ordering::SeqCst), 2);
    assert_eq!(lookup.flush_uses(&ledger).await, Ok(0));
    let last = BindingId(i64::from(keys));
    let record = store.memory.show(last).await.unwrap().expect("a record");
    assert_eq!((record.use_count, record.last_used_at), (1, Some(at(77))));
}

#[tokio::test]
async fn what_could_not_be_written_is_written_later() {
    let (lookup, store) = lookup();
    let ledger = ledger(&store.memory);
    let id = claimed(&store.memory, 1, "192.0.2.1").await.id;
    let known = find(&lookup, 1, 0).await;
    ledger.away.store(true, Ordering::SeqCst);
    for now in 1..=3 {
        lookup.record_use(&known, at(now));
        assert_eq!(lookup.flush_uses(&ledger).await, Err(StoreError::Busy));
    }
    ledger.away.store(false, Ordering::SeqCst);
    assert_eq!(lookup.flush_uses(&ledger).await, Ok(1));
    let record = store.memory.show(id).await.unwrap().expect("a record");
    assert_eq!((record.use_count, record.last_used_at), (3, Some(at(3))));
}

#[tokio::test]
async fn a_binding_that_is_thrown_out_loses_no_uses() {
    let (lookup, store) = lookup_with(&CacheBounds {
        entries_max: 32,
        ..CacheBounds::default()
    });
    for number in 0..500 {
        claimed(&store.memory, number, "192.0.2.1").await;
        let known = find(&lookup, number, 0).await;
        lookup.record_use(&known, at(1));
        lookup.record_use(&known, at(2));
    }
    let counts = taken(&lookup);
    assert_eq!(counts.len(), 500);
    assert!(counts.values().all(|count| *count == 2));
}

#[tokio::test]
async fn a_full_queue_is_counted_and_loses_no_uses() {
    let (lookup, store) = lookup_with(&CacheBounds {
        uses_queued_max: 2,
        ..CacheBounds::default()
    });
    let mut known = Vec::new();
    for number in 0..4 {
        claimed(&store.memory, number, "192.0.2.1").await;
        known.push(find(&lookup, number, 0).await);
    }
    for known in &known {
        lookup.record_use(known, at(1));
    }
    assert_eq!(lookup.counts().uses_queue_full, 2);
    assert_eq!(taken(&lookup).len(), 2);
    // The one is queued again by its next use, the other when its binding leaves the cache.
    lookup.record_use(&known[2], at(2));
    lookup.invalidate(&fingerprint(3), None);
    let counts = taken(&lookup);
    assert_eq!(counts[&known[2].binding.id], 2);
    assert_eq!(counts[&known[3].binding.id], 1);
}
