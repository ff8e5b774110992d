//! Alerts as the console sees them. Who raises them, and how they are sent, is known elsewhere.

use async_trait::async_trait;
use sentinel_core::alert::ChannelId;
use sentinel_core::alert::ports::{AlertFilter, Delivery, DeliveryFilter, DeliveryId, StoredAlert};
use sentinel_core::ports::StoreError;

/// Why a channel that was tried did not take the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelTestFailed {
    /// No channel has this name.
    Unknown,
    /// The attempt failed; why, without a secret.
    Failed(String),
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
}
