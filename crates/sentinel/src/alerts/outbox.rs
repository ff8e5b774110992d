//! An outbox that counts what is raised in it. Passes everything on as it is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::alert::ports::{
    AlertFilter, AlertStore, Delivery, DeliveryFilter, DeliveryId, StoredAlert, Transition, Transitioned,
};
use sentinel_core::alert::{Alert, AlertId, ChannelId, Seen};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use super::metrics::AlertMetrics;

/// Counts, and passes on.
pub(super) struct CountedOutbox {
    inner: Arc<dyn AlertStore>,
    metrics: AlertMetrics,
}

impl CountedOutbox {
    pub(super) fn new(inner: Arc<dyn AlertStore>, metrics: AlertMetrics) -> Self {
        Self { inner, metrics }
    }
}

#[async_trait]
impl AlertStore for CountedOutbox {
    async fn transition(
        &self,
        wanted: Transition,
        channels: &[ChannelId],
    ) -> Result<Transitioned, StoreError> {
        let is_raise = matches!(wanted, Transition::Raise(_));
        let made = self.inner.transition(wanted, channels).await;
        if is_raise && let Ok(Transitioned::Won(alert)) = &made {
            self.metrics.raised(alert.rule);
        }
        made
    }

    async fn observe(&self, id: &AlertId, seen: &Seen) -> Result<bool, StoreError> {
        self.inner.observe(id, seen).await
    }

    async fn open(&self) -> Result<Vec<Alert>, StoreError> {
        self.inner.open().await
    }

    async fn alerts(&self, filter: AlertFilter) -> Result<Vec<StoredAlert>, StoreError> {
        self.inner.alerts(filter).await
    }

    async fn history(&self, id: &AlertId) -> Result<Vec<Alert>, StoreError> {
        self.inner.history(id).await
    }

    async fn take_due(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.inner.take_due(channel, now, lease, limit).await
    }

    async fn delivered(&self, id: DeliveryId, at: Timestamp) -> Result<bool, StoreError> {
        self.inner.delivered(id, at).await
    }

    async fn failed(
        &self,
        id: DeliveryId,
        attempt: u32,
        next_attempt_at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        self.inner.failed(id, attempt, next_attempt_at, error).await
    }

    async fn dead(
        &self,
        id: DeliveryId,
        attempt: u32,
        at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        self.inner.dead(id, attempt, at, error).await
    }

    async fn bury_strays(
        &self,
        channels: &[ChannelId],
        since_before: Timestamp,
        at: Timestamp,
        error: &str,
    ) -> Result<u64, StoreError> {
        self.inner.bury_strays(channels, since_before, at, error).await
    }

    async fn retry(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        self.inner.retry(id, now).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.inner.deliveries(filter).await
    }

    async fn forget(&self, calmed_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.forget(calmed_before, limit).await
    }
}
