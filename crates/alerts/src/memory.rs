//! Alerts in memory: the model that the conformance suite holds the stores against, and where a replica keeps the alert that says the
//! store itself is away. Bounded, and gone with the process: it must never be the only store of an installation.

mod state;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::alert::ports::{
    ALERT_PAGE_MAX, AlertFilter, AlertStore, Delivery, DeliveryFilter, DeliveryId, DeliveryState,
    StoredAlert, Transition, Transitioned, UsedLinks, delivery_error_kept,
};
use sentinel_core::alert::{Alert, AlertId, ChannelId, Seen};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use state::State;

/// The most alerts that are kept, with all that belongs to them. The oldest that is over makes room; where none is, no more are raised.
pub const MEMORY_ALERTS_MAX: usize = 4_096;
/// The most used links that are remembered. Beyond it no link works: one that worked twice would be worse.
pub const MEMORY_LINKS_MAX: usize = 4_096;

/// A store of alerts without a file. Clones share their content.
#[derive(Clone, Debug, Default)]
pub struct MemoryAlertStore {
    state: Arc<Mutex<State>>,
    links: Arc<Mutex<HashMap<String, Timestamp>>>,
}

impl MemoryAlertStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn page(limit: u32) -> usize {
    limit.min(ALERT_PAGE_MAX) as usize
}

#[async_trait]
impl AlertStore for MemoryAlertStore {
    async fn transition(
        &self,
        wanted: Transition,
        channels: &[ChannelId],
    ) -> Result<Transitioned, StoreError> {
        self.state().transition(wanted, channels)
    }

    async fn observe(&self, id: &AlertId, seen: &Seen) -> Result<bool, StoreError> {
        Ok(self.state().observe(id, seen))
    }

    async fn open(&self) -> Result<Vec<Alert>, StoreError> {
        let state = self.state();
        let open = state.alerts.values().filter(|kept| kept.now.state.is_open());
        let mut open: Vec<Alert> = open.map(|kept| kept.now.clone()).collect();
        open.sort_by_key(|alert| alert.raised_at);
        open.truncate(page(u32::MAX));
        Ok(open)
    }

    async fn alerts(&self, filter: AlertFilter) -> Result<Vec<StoredAlert>, StoreError> {
        let state = self.state();
        let wanted = |alert: &Alert| {
            filter
                .is_open
                .is_none_or(|is_open| alert.state.is_open() == is_open)
                && filter.rule.is_none_or(|rule| alert.rule == rule)
                && filter.severity.is_none_or(|severity| alert.severity == severity)
        };
        let rows = state
            .alerts
            .iter()
            .rev()
            .filter(|(number, _)| filter.before.is_none_or(|before| **number < before))
            .filter(|(_, kept)| wanted(&kept.now))
            .take(page(filter.limit))
            .map(|(number, kept)| StoredAlert {
                number: *number,
                alert: kept.now.clone(),
            });
        Ok(rows.collect())
    }

    async fn history(&self, id: &AlertId) -> Result<Vec<Alert>, StoreError> {
        let state = self.state();
        let kept = state.alerts.values().find(|kept| kept.now.id == *id);
        Ok(kept.map_or_else(Vec::new, |kept| kept.history.clone()))
    }

    async fn take_due(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.state().take_due(channel, now, lease, page(limit)))
    }

    async fn delivered(&self, id: DeliveryId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.state().end(id, None, |delivery| {
            delivery.state = DeliveryState::Delivered;
            delivery.ended_at = Some(at);
        }))
    }

    async fn failed(
        &self,
        id: DeliveryId,
        attempt: u32,
        next_attempt_at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        Ok(self.state().end(id, Some(attempt), |delivery| {
            delivery.next_attempt_at = next_attempt_at;
            delivery.last_error = Some(delivery_error_kept(error));
        }))
    }

    async fn dead(
        &self,
        id: DeliveryId,
        attempt: u32,
        at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        Ok(self
            .state()
            .end(id, Some(attempt), |delivery| state::bury(delivery, at, error)))
    }

    async fn bury_strays(
        &self,
        channels: &[ChannelId],
        since_before: Timestamp,
        at: Timestamp,
        error: &str,
    ) -> Result<u64, StoreError> {
        let mut buried = 0;
        for delivery in self.state().deliveries.values_mut() {
            let is_stray = delivery.state == DeliveryState::Pending
                && delivery.since < since_before
                && !channels.contains(&delivery.channel);
            if is_stray {
                state::bury(delivery, at, error);
                buried += 1;
            }
        }
        Ok(buried)
    }

    async fn retry(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.state();
        let dead = state
            .deliveries
            .get_mut(&id)
            .filter(|delivery| delivery.state == DeliveryState::Dead);
        let Some(delivery) = dead else {
            return Ok(false);
        };
        delivery.state = DeliveryState::Pending;
        delivery.attempts = 0;
        delivery.since = now;
        delivery.next_attempt_at = now;
        delivery.ended_at = None;
        Ok(true)
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let state = self.state();
        let rows = state
            .deliveries
            .values()
            .rev()
            .filter(|delivery| filter.before.is_none_or(|before| delivery.id < before))
            .filter(|delivery| filter.state.is_none_or(|state| delivery.state == state))
            .filter(|delivery| {
                filter
                    .channel
                    .as_ref()
                    .is_none_or(|channel| delivery.channel == *channel)
            })
            .filter(|delivery| filter.alert.as_ref().is_none_or(|id| delivery.alert.id == *id))
            .take(page(filter.limit));
        Ok(rows.cloned().collect())
    }

    async fn forget(&self, calmed_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        let mut state = self.state();
        while forgotten < u64::from(limit) && state.forget_one(Some(calmed_before)) {
            forgotten += 1;
        }
        Ok(forgotten)
    }
}

#[async_trait]
impl UsedLinks for MemoryAlertStore {
    async fn use_once(&self, nonce: &str, expires_at: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, expires_at| *expires_at > now);
        if links.contains_key(nonce) {
            return Ok(false);
        }
        if links.len() >= MEMORY_LINKS_MAX {
            return Err(StoreError::Busy);
        }
        links.insert(nonce.to_owned(), expires_at);
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
