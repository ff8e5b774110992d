//! Alerts on PostgreSQL: the port, each call one piece of work on one session, and nothing else.

mod deliveries;
mod links;
mod transitions;

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::alert::ports::{
    AlertFilter, AlertStore, Delivery, DeliveryFilter, DeliveryId, StoredAlert, Transition, Transitioned,
};
use sentinel_core::alert::{Alert, AlertId, ChannelId, Seen};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::failure::Failure;
use super::ports::run;
use super::rows::column;
use super::sessions::Scope;
use crate::alert_records::{self, Wanted};

/// The alert in the column `record`.
fn alert(row: &Row) -> Result<Alert, Failure> {
    alert_records::read(column(row, "record")?).ok_or_else(|| Failure::damaged("alerts.record"))
}

#[async_trait]
impl AlertStore for PostgresStore {
    async fn transition(
        &self,
        wanted: Transition,
        channels: &[ChannelId],
    ) -> Result<Transitioned, StoreError> {
        let (wanted, channels) = (Wanted::from(wanted), channels.to_vec());
        run!(self, Scope::Change, |session| async {
            match &wanted {
                Wanted::Raise(alert) => transitions::raise(session, alert, &channels).await,
                Wanted::Advance(advance) => transitions::advance(session, advance, &channels).await,
            }
        })
    }

    async fn observe(&self, id: &AlertId, seen: &Seen) -> Result<bool, StoreError> {
        let (id, seen) = (id.clone(), seen.clone());
        run!(self, Scope::Change, |session| transitions::observe(
            session, &id, &seen
        ))
    }

    async fn open(&self) -> Result<Vec<Alert>, StoreError> {
        run!(self, Scope::Report, |session| transitions::open(session))
    }

    async fn alerts(&self, filter: AlertFilter) -> Result<Vec<StoredAlert>, StoreError> {
        run!(self, Scope::Report, |session| transitions::list(session, &filter))
    }

    async fn history(&self, id: &AlertId) -> Result<Vec<Alert>, StoreError> {
        let id = id.clone();
        run!(self, Scope::Report, |session| transitions::history(session, &id))
    }

    async fn take_due(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let channel = channel.clone();
        run!(self, Scope::Change, |session| deliveries::take_due(
            session, &channel, now, lease, limit
        ))
    }

    async fn delivered(&self, id: DeliveryId, at: Timestamp) -> Result<bool, StoreError> {
        run!(self, Scope::Change, |session| deliveries::delivered(
            session, id, at
        ))
    }

    async fn failed(
        &self,
        id: DeliveryId,
        attempt: u32,
        next_attempt_at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        let error = error.to_owned();
        run!(self, Scope::Change, |session| deliveries::failed(
            session,
            id,
            attempt,
            next_attempt_at,
            &error
        ))
    }

    async fn dead(
        &self,
        id: DeliveryId,
        attempt: u32,
        at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError> {
        let error = error.to_owned();
        run!(self, Scope::Change, |session| deliveries::dead(
            session, id, attempt, at, &error
        ))
    }

    async fn bury_strays(
        &self,
        channels: &[ChannelId],
        since_before: Timestamp,
        at: Timestamp,
        error: &str,
    ) -> Result<u64, StoreError> {
        let (channels, error) = (channels.to_vec(), error.to_owned());
        run!(self, Scope::Job, |session| deliveries::bury_strays(
            session,
            &channels,
            since_before,
            at,
            &error
        ))
    }

    async fn retry(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        run!(self, Scope::Change, |session| deliveries::retry(session, id, now))
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        run!(self, Scope::Report, |session| deliveries::list(session, &filter))
    }

    async fn forget(&self, calmed_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        run!(self, Scope::Job, |session| transitions::forget(
            session,
            calmed_before,
            limit
        ))
    }
}
