//! The domain's ports on the store in memory.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use sentinel_core::binding::{
    Binding, BindingCounts, BindingEdit, BindingId, BindingRecord, Edited, NewBinding, Version,
};
use sentinel_core::event::{Actor, AdminEvent, Intercept};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::ports::{
    AdminEventStore, ArchivedBinding, BINDINGS_COUNTED_MAX, BindingAdmin, BindingFilter, BindingPage,
    BindingStore, Claim, CountedBindings, Found, Health, InterceptBucket, InterceptFilter,
    InterceptRetention, InterceptStore, MovedBinding, StoreError, StoredIntercept, UseStore,
};
use sentinel_core::time::Timestamp;
use sentinel_core::usage::Uses;

use super::MemoryStore;
use crate::bounds::page_rows;

#[async_trait]
impl BindingStore for MemoryStore {
    async fn find(&self, fingerprint: &KeyFingerprint) -> Result<Option<Found>, StoreError> {
        let state = self.state();
        let found = state.find(fingerprint);
        if found.is_none() {
            state.assert_current(&self.own)?;
        }
        Ok(found.map(Found::from))
    }

    async fn adopt(
        &self,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
    ) -> Result<Option<Found>, StoreError> {
        let adopted = self.state().adopt(&self.own, fingerprint, previous)?;
        Ok(adopted.map(Found::from))
    }

    async fn claim(&self, new: NewBinding) -> Result<Claim<Binding>, StoreError> {
        self.state().claim(&self.own, new)
    }

    async fn release(&self, id: BindingId, claimed: Version) -> Result<bool, StoreError> {
        Ok(self.state().release(id, claimed))
    }

    async fn learn(
        &self,
        id: BindingId,
        network: Network,
        networks_max: u16,
        now: Timestamp,
    ) -> Result<Option<Binding>, StoreError> {
        Ok(self.state().learn(id, network, networks_max, now))
    }
}

#[async_trait]
impl BindingAdmin for MemoryStore {
    async fn list_ordered(
        &self,
        filter: BindingFilter,
        page: BindingPage,
    ) -> Result<Vec<BindingRecord>, StoreError> {
        Ok(self.state().list(&filter, page))
    }

    async fn show(&self, id: BindingId) -> Result<Option<BindingRecord>, StoreError> {
        Ok(self.state().bindings.get(&id).cloned())
    }

    async fn counts(&self) -> Result<BindingCounts, StoreError> {
        Ok(self.state().counts(&BindingFilter::default()))
    }

    async fn count_some(&self, filter: BindingFilter) -> Result<CountedBindings, StoreError> {
        let counts = self.state().counts(&filter);
        Ok(CountedBindings {
            counts,
            is_exact: counts.total() <= BINDINGS_COUNTED_MAX,
        })
    }

    async fn create(&self, new: MovedBinding, actor: Actor) -> Result<Option<BindingRecord>, StoreError> {
        self.state().create(&self.own, new, &actor)
    }

    async fn earlier(
        &self,
        fingerprint: KeyFingerprint,
        limit: u32,
    ) -> Result<Vec<ArchivedBinding>, StoreError> {
        let state = self.state();
        let earlier = state
            .archived
            .iter()
            .rev()
            .filter(|archived| archived.fingerprint == fingerprint);
        Ok(earlier.take(page_rows(limit) as usize).cloned().collect())
    }

    async fn edit(
        &self,
        id: BindingId,
        edit: BindingEdit,
        known: Option<Version>,
        actor: Actor,
    ) -> Result<Edited, StoreError> {
        Ok(self.state().edit(id, &edit, known, &actor))
    }
}

#[async_trait]
impl UseStore for MemoryStore {
    async fn add_uses(&self, batch: Vec<Uses>) -> Result<(), StoreError> {
        self.state().add_uses(&batch);
        Ok(())
    }
}

#[async_trait]
impl InterceptStore for MemoryStore {
    async fn append(&self, batch: Vec<Intercept>) -> Result<(), StoreError> {
        self.state().append_intercepts(batch);
        Ok(())
    }

    async fn list(&self, filter: InterceptFilter) -> Result<Vec<StoredIntercept>, StoreError> {
        Ok(self.state().list_intercepts(&filter))
    }

    async fn by_ids(
        &self,
        runs: Vec<RangeInclusive<i64>>,
        limit: u32,
    ) -> Result<Vec<StoredIntercept>, StoreError> {
        Ok(self.state().intercepts_by_ids(&runs, limit))
    }

    async fn buckets(&self, since: Timestamp, bucket_ms: i64) -> Result<Vec<InterceptBucket>, StoreError> {
        Ok(self.state().buckets(since, bucket_ms))
    }
}

#[async_trait]
impl InterceptRetention for MemoryStore {
    async fn keep_from(&self, oldest: Timestamp, _now: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.state();
        let before = state.intercepts.len();
        state.intercepts.retain(|stored| stored.intercept.at >= oldest);
        Ok((before - state.intercepts.len()) as u64)
    }

    async fn keep_newest(&self, rows_max: u64, _now: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.state();
        let kept = usize::try_from(rows_max).unwrap_or(usize::MAX);
        let beyond = state.intercepts.len().saturating_sub(kept);
        state.intercepts.drain(..beyond);
        Ok(beyond as u64)
    }
}

#[async_trait]
impl AdminEventStore for MemoryStore {
    async fn append(&self, event: AdminEvent) -> Result<(), StoreError> {
        self.state().events.push(event);
        Ok(())
    }

    async fn newest(&self, limit: u32) -> Result<Vec<AdminEvent>, StoreError> {
        let newest = self
            .state()
            .events
            .iter()
            .rev()
            .take(page_rows(limit) as usize)
            .cloned()
            .collect();
        Ok(newest)
    }
}

#[async_trait]
impl Health for MemoryStore {
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
