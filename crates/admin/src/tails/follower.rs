//! Following the audit log look by look, from its end on: each row once, also one that appears after a row with a greater id.

use std::sync::Arc;

use sentinel_core::ports::{InterceptFilter, InterceptStore, StoreError, StoredIntercept};

use super::LOOK_ROWS_MAX;
use super::position::Position;

/// How many of the last rows are looked at to find out what is still on its way at the start: as many as one batch of a replica has.
const START_ROWS: u32 = 1_000;

/// What one look found.
#[derive(Debug)]
pub struct Looked {
    /// The rows that appeared, the smallest id first; at most 500.
    pub rows: Vec<StoredIntercept>,
    /// Whether there is more already.
    pub has_more: bool,
    /// So many older rows may appear that are not looked for any more.
    pub given_up: u64,
}

/// Where somebody is who follows the log.
pub struct LogFollower {
    store: Arc<dyn InterceptStore>,
    position: Position,
}

impl LogFollower {
    /// Begins at the end of the log.
    pub async fn at_end(store: Arc<dyn InterceptStore>) -> Result<Self, StoreError> {
        let last = InterceptFilter {
            limit: START_ROWS,
            ..InterceptFilter::default()
        };
        let mut ids: Vec<i64> = store.list(last).await?.iter().map(|row| row.id).collect();
        ids.reverse();
        Ok(Self {
            store,
            position: Position::at_end_of(&ids),
        })
    }

    /// What appeared since the last look.
    pub async fn look(&mut self) -> Result<Looked, StoreError> {
        let rows = self.store.by_ids(self.position.wanted(), LOOK_ROWS_MAX).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let has_more = rows.len() >= LOOK_ROWS_MAX as usize;
        let given_up = self.position.take(&ids, has_more);
        Ok(Looked {
            rows,
            has_more,
            given_up,
        })
    }

    pub(super) fn position(&self) -> &Position {
        &self.position
    }
}
