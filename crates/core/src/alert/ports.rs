//! The ports of alerts: who keeps alerts and deliveries, and who knows which links were used. Who counts is [`crate::counting`].
//!
//! A store decides every transition: of all replicas that want to raise or advance an alert, one does. It also hands each
//! delivery to one replica at a time. Implementations must pass the `conformance` suite beside this file.

use std::time::Duration;

use async_trait::async_trait;

use super::{Alert, AlertId, AlertState, ChannelId, RuleKind, Seen, Severity};
use crate::ports::StoreError;
use crate::time::Timestamp;

/// The most alerts, and the most deliveries, that one call gives.
pub const ALERT_PAGE_MAX: u32 = 1_000;
/// The most characters of an error that are kept with a delivery.
pub const DELIVERY_ERROR_CHARACTERS_MAX: usize = 512;

/// A step in an alert's life that somebody wants to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Raises an alert, if none of its rule and subject is open.
    Raise(Box<Alert>),
    /// Advances an open alert, if nobody did since.
    Advance {
        /// Which.
        id: AlertId,
        /// The sequence that it was read with.
        sequence: u32,
        /// To what: [`AlertState::Updated`] or [`AlertState::Calmed`].
        to: AlertState,
        /// When.
        at: Timestamp,
        /// By which replica.
        replica: String,
    },
}

/// How a wanted transition ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transitioned {
    /// It was made here: the alert as it is now, and as it is delivered.
    Won(Box<Alert>),
    /// Somebody else was first. The alert that is open now, if one is.
    Lost(Option<Box<Alert>>),
}

/// The name of one delivery; the cursor of the next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub i64);

/// An error as it is kept with a delivery: on one line, at most [`DELIVERY_ERROR_CHARACTERS_MAX`] characters.
pub fn delivery_error_kept(error: &str) -> String {
    error
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(DELIVERY_ERROR_CHARACTERS_MAX)
        .collect()
}

/// Where a delivery is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It waits for its next attempt, or one is under way.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It was given up: only an operator brings it back.
    Dead,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// The word that stores and the API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// The state that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// One transition of an alert on its way to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its name.
    pub id: DeliveryId,
    /// The alert as it was at the transition.
    pub alert: Alert,
    /// Where it goes.
    pub channel: ChannelId,
    /// Where it is in its life.
    pub state: DeliveryState,
    /// How many attempts were begun. The attempt that is under way is known by this number.
    pub attempts: u32,
    /// When it was made, or when an operator brought it back: what its age is counted from.
    pub since: Timestamp,
    /// When it is due; while an attempt is under way, when that attempt counts as lost.
    pub next_attempt_at: Timestamp,
    /// When it was delivered or given up.
    pub ended_at: Option<Timestamp>,
    /// Why the latest attempt failed: never a secret, at most [`DELIVERY_ERROR_CHARACTERS_MAX`] characters.
    pub last_error: Option<String>,
}

/// Which alerts are asked for.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// Only ones that are (not) over.
    pub is_open: Option<bool>,
    /// Only this rule's.
    pub rule: Option<RuleKind>,
    /// Only this urgent.
    pub severity: Option<Severity>,
    /// Only rows with a smaller number: the last one of the page before.
    pub before: Option<i64>,
    /// At most this many, newest first; never more than [`ALERT_PAGE_MAX`].
    pub limit: u32,
}

/// An alert with its place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAlert {
    /// Grows with every alert that is raised; the cursor of the next page.
    pub number: i64,
    /// The alert as it is now.
    pub alert: Alert,
}

/// Which deliveries are asked for.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only to this channel.
    pub channel: Option<ChannelId>,
    /// Only of this alert.
    pub alert: Option<AlertId>,
    /// Only with a smaller id: the last one of the page before.
    pub before: Option<DeliveryId>,
    /// At most this many, newest first; never more than [`ALERT_PAGE_MAX`].
    pub limit: u32,
}

/// Alerts, their history, and their deliveries.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Makes the transition if nobody was first, and in the same transaction one pending delivery per channel, due at once. A raise is
    /// decided by rule and subject, an advance by id and sequence; an alert that is calmed advances no more.
    async fn transition(
        &self,
        wanted: Transition,
        channels: &[ChannelId],
    ) -> Result<Transitioned, StoreError>;

    /// Adds to what was seen of an open alert ([`Seen::merge`]). False when it is over or unknown: nothing was added.
    async fn observe(&self, id: &AlertId, seen: &Seen) -> Result<bool, StoreError>;

    /// The open alerts, oldest first, at most [`ALERT_PAGE_MAX`].
    async fn open(&self) -> Result<Vec<Alert>, StoreError>;

    /// One page of alerts, newest first.
    async fn alerts(&self, filter: AlertFilter) -> Result<Vec<StoredAlert>, StoreError>;

    /// One alert's transitions, oldest first; empty when it is unknown.
    async fn history(&self, id: &AlertId) -> Result<Vec<Alert>, StoreError>;

    /// Takes pending deliveries of a channel that are due, the longest due first: at most `limit`, and at most [`ALERT_PAGE_MAX`]. Each counts
    /// as one more attempt, and is nobody else's until `now` plus `lease`; if it was not ended or put off by then, it is due again.
    async fn take_due(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Ends a pending delivery well, whoever has it: the receiver has taken it. False when it was not pending.
    async fn delivered(&self, id: DeliveryId, at: Timestamp) -> Result<bool, StoreError>;

    /// Puts a delivery off after this attempt failed. False when it is no longer pending, or a later attempt was begun.
    async fn failed(
        &self,
        id: DeliveryId,
        attempt: u32,
        next_attempt_at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError>;

    /// Gives a delivery up after this attempt. False when it is no longer pending, or a later attempt was begun.
    async fn dead(
        &self,
        id: DeliveryId,
        attempt: u32,
        at: Timestamp,
        error: &str,
    ) -> Result<bool, StoreError>;

    /// Gives up what is pending, older than `since_before`, and goes to none of these channels: nobody would ever take it. Says how many.
    async fn bury_strays(
        &self,
        channels: &[ChannelId],
        since_before: Timestamp,
        at: Timestamp,
        error: &str,
    ) -> Result<u64, StoreError>;

    /// Brings a dead delivery back: pending, due now, with no attempts. False when it is not dead.
    async fn retry(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError>;

    /// One page of deliveries, newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError>;

    /// Removes alerts that were calmed before this moment and of which nothing is pending, with their history and deliveries: at most `limit` of
    /// them. Says how many.
    async fn forget(&self, calmed_before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// Remembers which links were used, so that each works once in the whole installation.
#[async_trait]
pub trait UsedLinks: Send + Sync {
    /// Notes that the link with this nonce is used; true for the first one only. It has to be remembered until `expires_at`.
    async fn use_once(&self, nonce: &str, expires_at: Timestamp, now: Timestamp) -> Result<bool, StoreError>;
}
