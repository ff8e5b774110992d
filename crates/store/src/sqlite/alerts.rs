//! Alerts in the embedded store: the port, each call one question to a reader or one command to the writer, and nothing else.

mod deliveries;
mod links;
mod transitions;

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Row;
use sentinel_core::alert::ports::{
    AlertFilter, AlertStore, Delivery, DeliveryFilter, DeliveryId, StoredAlert, Transition, Transitioned,
};
use sentinel_core::alert::{Alert, AlertId, ChannelId, Seen};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use super::SqliteStore;
use super::failure::Failure;
use crate::alert_records::{self, Wanted};

/// The alert in the column `record`.
fn alert(row: &Row<'_>) -> Result<Alert, Failure> {
    let record: String = row.get("record")?;
    alert_records::read(&record).ok_or_else(|| Failure::damaged("alerts.record"))
}

#[async_trait]
impl AlertStore for SqliteStore {
    async fn transition(
        &self,
        wanted: Transition,
        channels: &[ChannelId],
    ) -> Result<Transitioned, StoreError> {
        let (wanted, channels) = (Wanted::from(wanted), channels.to_vec());
        self.write(move |connection| match &wanted {
            Wanted::Raise(alert) => transitions::raise(connection, alert, &channels),
            Wanted::Advance(advance) => transitions::advance(connection, advance, &channels),
        })
        .await
    }

    async fn observe(&self, id: &AlertId, seen: &Seen) -> Result<bool, StoreError> {
        let (id, seen) = (id.clone(), seen.clone());
        self.write(move |connection| transitions::observe(connection, &id, &seen))
            .await
    }

    async fn open(&self) -> Result<Vec<Alert>, StoreError> {
        self.read(transitions::open).await
    }

    async fn alerts(&self, filter: AlertFilter) -> Result<Vec<StoredAlert>, StoreError> {
        self.read(move |connection| transitions::list(connection, &filter))
            .await
    }

    async fn history(&self, id: &AlertId) -> Result<Vec<Alert>, StoreError> {
        let id = id.clone();
        self.read(move |connection| transitions::history(connection, &id))
            .await
    }

    async fn take_due(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let due = channel.clone();
        // Most of the time nothing is due, and then the writer is left alone.
        if !self
            .read(move |connection| deliveries::is_due(connection, &due, now))
            .await?
        {
            return Ok(Vec::new());
        }
        let channel = channel.clone();
        self.write(move |connection| deliveries::take_due(connection, &channel, now, lease, limit))
            .await
    }

    async fn delivered(&self, id: DeliveryId, at: Timestamp) -> Result<bool, StoreError> {
        self.write(move |connection| deliveries::delivered(connection, id, at))
            .await
    }

    async fn failed(
        &self,
        id: DeliveryId,
        attempt: u32,
        next_attempt_at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        let error = error.to_owned();
        self.write(move |connection| deliveries::failed(connection, id, attempt, next_attempt_at, &error))
            .await
    }

    async fn dead(
        &self,
        id: DeliveryId,
        attempt: u32,
        at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        let error = error.to_owned();
        self.write(move |connection| deliveries::dead(connection, id, attempt, at, &error))
            .await
    }

    async fn bury_strays(
        &self,
        channels: &[ChannelId],
        since_before: Timestamp,
        at: Timestamp,
        error: &str,
    ) -> Result<u64, StoreError> {
        let (channels, error) = (channels.to_vec(), error.to_owned());
        self.write(move |connection| deliveries::bury_strays(connection, &channels, since_before, at, &error))
            .await
    }

    async fn retry(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |connection| deliveries::retry(connection, id, now))
            .await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.read(move |connection| deliveries::list(connection, &filter))
            .await
    }

    async fn forget(&self, calmed_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |connection| transitions::forget(connection, calmed_before, limit))
            .await
    }
}
