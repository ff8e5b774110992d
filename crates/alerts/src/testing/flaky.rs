//! An outbox that fails when a test says so. Must never be compiled into the product.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::alert::ports::{
    AlertFilter, AlertStore, Delivery, DeliveryFilter, DeliveryId, StoredAlert, Transition, Transitioned,
};
use sentinel_core::alert::{Alert, AlertId, ChannelId, Seen};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use crate::memory::MemoryAlertStore;

/// An outbox that is away when the test says so, or does not take marks.
pub(crate) struct FlakyOutbox {
    inner: MemoryAlertStore,
    is_away: AtomicBool,
    marks_to_fail: AtomicU32,
}

impl FlakyOutbox {
    pub(crate) fn new(inner: MemoryAlertStore) -> Self {
        Self {
            inner,
            is_away: AtomicBool::new(false),
            marks_to_fail: AtomicU32::new(0),
        }
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    pub(crate) fn fail_marks(&self, count: u32) {
        self.marks_to_fail.store(count, Ordering::SeqCst);
    }

    fn answers(&self) -> Result<&MemoryAlertStore, StoreError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("scripted".to_owned()));
        }
        Ok(&self.inner)
    }

    fn takes_marks(&self) -> Result<&MemoryAlertStore, StoreError> {
        let left = &self.marks_to_fail;
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if fails.is_ok() {
            return Err(StoreError::Busy);
        }
        self.answers()
    }
}

#[async_trait]
impl AlertStore for FlakyOutbox {
    async fn transition(
        &self,
        wanted: Transition,
        channels: &[ChannelId],
    ) -> Result<Transitioned, StoreError> {
        self.answers()?.transition(wanted, channels).await
    }

    async fn observe(&self, id: &AlertId, seen: &Seen) -> Result<bool, StoreError> {
        self.answers()?.observe(id, seen).await
    }

    async fn open(&self) -> Result<Vec<Alert>, StoreError> {
        self.answers()?.open().await
    }

    async fn alerts(&self, filter: AlertFilter) -> Result<Vec<StoredAlert>, StoreError> {
        self.answers()?.alerts(filter).await
    }

    async fn history(&self, id: &AlertId) -> Result<Vec<Alert>, StoreError> {
        self.answers()?.history(id).await
    }

    async fn take_due(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.answers()?.take_due(channel, now, lease, limit).await
    }

    async fn delivered(&self, id: DeliveryId, at: Timestamp) -> Result<bool, StoreError> {
        self.takes_marks()?.delivered(id, at).await
    }

    async fn failed(
        &self,
        id: DeliveryId,
        attempt: u32,
        next: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        self.takes_marks()?.failed(id, attempt, next, error).await
    }

    async fn dead(
        &self,
        id: DeliveryId,
        attempt: u32,
        at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        self.takes_marks()?.dead(id, attempt, at, error).await
    }

    async fn bury_strays(
        &self,
        channels: &[ChannelId],
        since_before: Timestamp,
        at: Timestamp,
        error: &str,
    ) -> Result<u64, StoreError> {
        self.answers()?
            .bury_strays(channels, since_before, at, error)
            .await
    }

    async fn retry(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        self.answers()?.retry(id, now).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.answers()?.deliveries(filter).await
    }

    async fn forget(&self, calmed_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.answers()?.forget(calmed_before, limit).await
    }
}
