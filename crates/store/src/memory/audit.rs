//! The chain of events on the store in memory: made anew for each question.

use async_trait::async_trait;
use sentinel_core::audit::{ChainHash, ChainHead, ChainedEvent};
use sentinel_core::event::AdminEvent;
use sentinel_core::ports::{AuditStore, EventFilter, StoreError, StoredEvent};

use super::MemoryStore;
use super::state::State;
use crate::bounds::page_rows;
use crate::change;

#[async_trait]
impl AuditStore for MemoryStore {
    async fn events(&self, filter: EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
        let chained = self.state().chained().into_iter().rev();
        Ok(chained
            .map(|ChainedEvent { id, event, .. }| StoredEvent { id, event })
            .filter(|stored| filter.before.is_none_or(|before| stored.id < before))
            .filter(|stored| lets_through(&filter, &stored.event))
            .take(page_rows(filter.limit) as usize)
            .collect())
    }

    async fn chain_head(&self) -> Result<ChainHead, StoreError> {
        let chained = self.state().chained();
        let last = chained.last();
        Ok(ChainHead {
            began_after: 0,
            length: chained.len() as u64,
            last_id: last.map_or(0, |last| last.id),
            hash: last
                .and_then(|last| last.hashes)
                .map_or(ChainHash::BEGINNING, |(_, hash)| hash),
        })
    }

    async fn chained(&self, after: i64, limit: u32) -> Result<Vec<ChainedEvent>, StoreError> {
        let chained = self.state().chained().into_iter();
        Ok(chained
            .filter(|chained| chained.id > after)
            .take(page_rows(limit) as usize)
            .collect())
    }
}

impl State {
    fn chained(&self) -> Vec<ChainedEvent> {
        let mut hash = ChainHash::BEGINNING;
        let chain = |(id, event): (i64, &AdminEvent)| {
            let before = hash;
            hash = before.followed_by(event);
            ChainedEvent {
                id,
                event: event.clone(),
                hashes: Some((before, hash)),
            }
        };
        (1..).zip(&self.events).map(chain).collect()
    }
}

fn lets_through(filter: &EventFilter, event: &AdminEvent) -> bool {
    filter.actor.as_ref().is_none_or(|actor| event.actor == *actor)
        && filter
            .action
            .as_ref()
            .is_none_or(|action| event.action == *action)
        && filter
            .binding
            .is_none_or(|id| change::binding_of(event) == Some(id.0))
        && filter.since.is_none_or(|since| event.at >= since)
        && filter.until.is_none_or(|until| event.at < until)
}
