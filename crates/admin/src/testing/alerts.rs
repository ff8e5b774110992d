//! Alerts for tests: what the test puts in comes out, filtered as a store would.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::alert::ports::{
    AlertFilter, Delivery, DeliveryFilter, DeliveryId, DeliveryState, StoredAlert,
};
use sentinel_core::alert::{AlertId, ChannelId, LinkAction};
use sentinel_core::binding::BindingId;
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use super::START;
use crate::alerts::{Alerts, ChannelTestFailed, LinkRefused, LinkedAction};

/// The one channel that works.
pub(crate) const WORKING: &str = "ops";
/// The token of the one link that there is.
pub(crate) const LINK: &str = "payload.signature";
/// The one that does not.
pub(crate) const FAILING: &str = "broken";

#[derive(Default)]
pub(crate) struct FakeAlerts(Mutex<Content>);

#[derive(Default)]
pub(crate) struct Content {
    pub(crate) alerts: Vec<StoredAlert>,
    pub(crate) deliveries: Vec<Delivery>,
    /// Those who followed the one link that there is.
    pub(crate) followers: Vec<Actor>,
}

impl FakeAlerts {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Alerts for FakeAlerts {
    async fn list(&self, filter: AlertFilter) -> Result<Vec<StoredAlert>, StoreError> {
        let content = self.lock();
        let rows = content.alerts.iter().rev();
        let rows = rows.filter(|row| filter.before.is_none_or(|before| row.number < before));
        let rows = rows.filter(|row| {
            let alert = &row.alert;
            filter
                .is_open
                .is_none_or(|is_open| alert.state.is_open() == is_open)
                && filter.rule.is_none_or(|rule| alert.rule == rule)
                && filter.severity.is_none_or(|severity| alert.severity == severity)
        });
        Ok(rows.take(filter.limit as usize).cloned().collect())
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let content = self.lock();
        let rows = content.deliveries.iter().rev();
        let rows = rows.filter(|row| filter.before.is_none_or(|before| row.id < before));
        let rows = rows.filter(|row| filter.state.is_none_or(|state| row.state == state));
        Ok(rows.take(filter.limit as usize).cloned().collect())
    }

    async fn retry(&self, id: DeliveryId) -> Result<bool, StoreError> {
        let mut content = self.lock();
        let dead = |row: &&mut Delivery| row.id == id && row.state == DeliveryState::Dead;
        let found = content.deliveries.iter_mut().find(dead);
        Ok(found.map(|row| row.state = DeliveryState::Pending).is_some())
    }

    fn channels(&self) -> Vec<ChannelId> {
        [WORKING, FAILING]
            .map(|name| ChannelId::new(name).expect("a name"))
            .to_vec()
    }

    async fn test(&self, channel: &str) -> Result<(), ChannelTestFailed> {
        match channel {
            WORKING => Ok(()),
            FAILING => Err(ChannelTestFailed::Failed("the receiver is away".to_owned())),
            _ => Err(ChannelTestFailed::Unknown),
        }
    }

    async fn linked_action(&self, token: &str, now: Timestamp) -> Result<LinkedAction, LinkRefused> {
        let expires_at = START.plus(Duration::from_hours(24));
        if token != LINK {
            return Err(LinkRefused::Forged);
        }
        if now >= expires_at {
            return Err(LinkRefused::Expired);
        }
        Ok(LinkedAction {
            action: LinkAction::Ban,
            alert: AlertId::from_stored("al_1".to_owned()),
            key: Some((BindingId(42), KeyHint::from_stored("sk-<b>…wxyz".to_owned()))),
            network: None,
            expires_at,
        })
    }

    async fn follow_link(&self, token: &str, actor: Actor) -> Result<LinkedAction, LinkRefused> {
        let action = self.linked_action(token, actor.at).await?;
        let mut content = self.lock();
        if !content.followers.is_empty() {
            return Err(LinkRefused::Used);
        }
        content.followers.push(actor);
        Ok(action)
    }
}
