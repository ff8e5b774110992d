//! Alerts as operators see them, and what operators do: bring a delivery back, try a channel. A try is one attempt with an alert that is none,
//! past the outbox; it must never look like a real refusal, so its address is one that only documentation uses.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_admin::{Alerts, ChannelTestFailed, LinkRefused, LinkedAction};
use sentinel_alerts::channel::Channel;
use sentinel_core::alert::ports::{
    AlertFilter, AlertStore, Delivery, DeliveryFilter, DeliveryId, StoredAlert,
};
use sentinel_core::alert::{
    Alert, AlertId, AlertState, ChannelId, Example, RuleKind, Seen, Severity, Subject,
};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Actor, Reference};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::StoreError;
use sentinel_core::time::{Clock, Timestamp};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::links::Links;

/// How long the attempt may take: shorter than a request to the admin listener.
pub(crate) const TEST_MAX: Duration = Duration::from_secs(8);
/// An address of documentation (RFC 5737).
const EXAMPLE_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// What operators see and do.
pub(super) struct Desk {
    pub(super) channels: Vec<Arc<dyn Channel>>,
    pub(super) store: Arc<dyn AlertStore>,
    pub(super) bell: Arc<Notify>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) replica: String,
    pub(super) links: Links,
}

#[async_trait]
impl Alerts for Desk {
    async fn list(&self, filter: AlertFilter) -> Result<Vec<StoredAlert>, StoreError> {
        self.store.alerts(filter).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.store.deliveries(filter).await
    }

    async fn retry(&self, id: DeliveryId) -> Result<bool, StoreError> {
        let is_back = self.store.retry(id, self.clock.now()).await?;
        self.bell.notify_waiters();
        Ok(is_back)
    }

    fn channels(&self) -> Vec<ChannelId> {
        self.channels.iter().map(|channel| channel.id().clone()).collect()
    }

    async fn test(&self, channel: &str) -> Result<(), ChannelTestFailed> {
        let found = self.channels.iter().find(|known| known.id().as_str() == channel);
        let channel = found.ok_or(ChannelTestFailed::Unknown)?;
        let now = self.clock.now();
        match timeout(TEST_MAX, channel.send(&example(now, &self.replica), now)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(ChannelTestFailed::Failed(failure.text)),
            Err(_) => Err(ChannelTestFailed::Failed("it took too long".to_owned())),
        }
    }

    async fn linked_action(&self, token: &str, now: Timestamp) -> Result<LinkedAction, LinkRefused> {
        self.links.show(token, now).await
    }

    async fn follow_link(&self, token: &str, actor: Actor) -> Result<LinkedAction, LinkRefused> {
        self.links.follow(token, actor).await
    }
}

fn example(now: Timestamp, replica: &str) -> Alert {
    let client_ip = ClientIp::new(EXAMPLE_ADDRESS.into());
    let network = Network::widen(client_ip, 32, 64);
    let mut seen = Seen {
        count: 1,
        peak: 1,
        example: Some(Example {
            reference: Reference::random(),
            reason: RefusalReason::KeyIpMismatch,
            client_ip,
            method: "GET".to_owned(),
            path: "/this-is-a-test".to_owned(),
            user_agent: "a test of this channel".to_owned(),
        }),
        ..Seen::nothing(now)
    };
    seen.add_network(network);
    Alert {
        id: AlertId::random(),
        sequence: 0,
        state: AlertState::Firing,
        rule: RuleKind::RefusalsPerAddress,
        severity: Severity::Info,
        subject: Subject::Address(network),
        binding: None,
        hint: None,
        told: seen.count,
        seen,
        threshold: 1,
        window: Duration::from_secs(1),
        raised_at: now,
        at: now,
        replica: replica.to_owned(),
    }
}
