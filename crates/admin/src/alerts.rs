//! Alerts as the console sees them. Who raises them, and how they are sent, is known elsewhere.

use async_trait::async_trait;
use sentinel_core::alert::ports::{AlertFilter, Delivery, DeliveryFilter, DeliveryId, StoredAlert};
use sentinel_core::alert::{AlertId, ChannelId, LinkAction};
use sentinel_core::binding::BindingId;
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::network::Network;
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

/// Why a channel that was tried did not take the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelTestFailed {
    /// No channel has this name.
    Unknown,
    /// The attempt failed; why, without a secret.
    Failed(String),
}

/// What a link from a message would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedAction {
    /// What it does.
    pub action: LinkAction,
    /// The alert that it was sent for.
    pub alert: AlertId,
    /// The key that it does it to, as it may be shown; none when the action has no key.
    pub key: Option<(BindingId, KeyHint)>,
    /// The network that it allows.
    pub network: Option<Network>,
    /// When it stops to work.
    pub expires_at: Timestamp,
}

/// Why a link is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkRefused {
    /// It is not one that this installation signed.
    Forged,
    /// Its time is over.
    Expired,
    /// It was used already, here or on another channel.
    Used,
    /// The key is bound no more, or has as many networks as it may have: there is nothing to do it to.
    Pointless,
    /// The store did not do it.
    Store(StoreError),
}

/// Where alerts, their deliveries and the channels are.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// One page of alerts, newest first.
    async fn list(&self, filter: AlertFilter) -> Result<Vec<StoredAlert>, StoreError>;

    /// One page of deliveries, newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError>;

    /// Brings a delivery that was given up back, due now. False when it was not given up.
    async fn retry(&self, id: DeliveryId) -> Result<bool, StoreError>;

    /// The names of the channels.
    fn channels(&self) -> Vec<ChannelId>;

    /// Sends one message that says it is a test, and waits for how it ends. Ends by itself, within the time of a request.
    async fn test(&self, channel: &str) -> Result<(), ChannelTestFailed>;

    /// What the link with this token would do. Does nothing: chat platforms open links to preview them.
    async fn linked_action(&self, token: &str, now: Timestamp) -> Result<LinkedAction, LinkRefused>;

    /// Does what the link says, once in the whole installation, and leaves an event of `actor`.
    async fn follow_link(&self, token: &str, actor: Actor) -> Result<LinkedAction, LinkRefused>;
}
