//! Reading what operators did, and looking through its chain.

use async_trait::async_trait;

use super::StoreError;
use crate::audit::{ChainHead, ChainedEvent, Verdict, Verifier};
use crate::binding::BindingId;
use crate::event::AdminEvent;
use crate::time::Timestamp;

/// How many events [`verify`] reads at once.
const VERIFIED_AT_ONCE: u32 = 500;

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only what was done to this binding.
    pub binding: Option<BindingId>,
    /// Only at or after this moment.
    pub since: Option<Timestamp>,
    /// Only before this moment.
    pub until: Option<Timestamp>,
    /// Only events with a smaller id: the last one of the page before.
    pub before: Option<i64>,
    /// At most this many, newest first.
    pub limit: u32,
}

/// An event with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Grows with every event.
    pub id: i64,
    /// What happened.
    pub event: AdminEvent,
}

/// The log of what operators did, for reading. Every event that is written is put at the end of one chain, which never forks: however many
/// replicas write.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// One page, newest first.
    async fn events(&self, filter: EventFilter) -> Result<Vec<StoredEvent>, StoreError>;

    /// Where the chain ends.
    async fn chain_head(&self) -> Result<ChainHead, StoreError>;

    /// Events after this one, oldest first, with their hashes.
    async fn chained(&self, after: i64, limit: u32) -> Result<Vec<ChainedEvent>, StoreError>;
}

/// Looks through the whole chain, page by page.
pub async fn verify(store: &dyn AuditStore) -> Result<Verdict, StoreError> {
    let mut verifier = Verifier::new(store.chain_head().await?);
    loop {
        let page = store.chained(verifier.last_id(), VERIFIED_AT_ONCE).await?;
        if page.is_empty() {
            return Ok(verifier.finish());
        }
        for chained in page {
            if let Some(verdict) = verifier.look(&chained) {
                return Ok(verdict);
            }
        }
    }
}
