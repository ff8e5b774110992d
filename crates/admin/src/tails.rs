//! Who follows the audit log as it is written: one reader of the store for all of them, and none while nobody does.
//!
//! It reads by id, so that rows of all replicas come; each follower has a bounded share of what was read last and goes on from the store
//! when that was not enough. Must never hold more rows than its bounds say, nor ask the store for each follower apart.

mod position;

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};
use std::time::Duration;

use sentinel_core::ports::{InterceptFilter, InterceptStore, StoreError, StoredIntercept};
use tokio::sync::{Mutex, broadcast};

#[cfg(test)]
pub(crate) use position::MISSING_RUNS_MAX;
pub(crate) use position::{Position, Run};

/// So many follow at once.
pub(crate) const TAILS_MAX: usize = 32;
/// So many of one account.
pub(crate) const TAILS_OF_ACCOUNT_MAX: usize = 4;
/// The pause between two looks into the store.
pub(crate) const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// The most rows that are read, and shown, at once.
pub(crate) const LOOK_ROWS_MAX: u32 = 500;
/// The most questions of one look: with the pause, what is shown of a flood in a second.
const LOOK_PAGES_MAX: u32 = 2;
/// How many of the last answers are kept for those who read slowly.
const ANSWERS_KEPT_MAX: usize = 16;
/// How many of the last rows are looked at to find out what is still on its way at the start: as many as one batch of a replica has.
const START_ROWS: u32 = 1_000;

/// Rows that appeared together, and how far the log was followed with them.
#[derive(Debug)]
pub(crate) struct Appeared {
    pub(crate) rows: Vec<StoredIntercept>,
    pub(crate) position: Position,
    /// So many older rows may appear that are not looked for any more.
    pub(crate) given_up: u64,
}

/// What one follower gets.
pub(crate) struct Following {
    pub(crate) appeared: broadcast::Receiver<Arc<Appeared>>,
    /// Where the reader is: what it reads from now on comes.
    pub(crate) position: Position,
}

/// The reader while somebody follows.
struct Reader {
    sender: broadcast::Sender<Arc<Appeared>>,
    position: Position,
}

/// The followers of the audit log, and their reader.
pub(crate) struct Tails {
    store: Arc<dyn InterceptStore>,
    reader: Mutex<Option<Reader>>,
    places: Lock<HashMap<String, usize>>,
}

impl Tails {
    pub(crate) fn new(store: Arc<dyn InterceptStore>) -> Arc<Self> {
        Arc::new(Self {
            store,
            reader: Mutex::default(),
            places: Lock::default(),
        })
    }

    /// A place for one more follower of this account; none when there are as many as there may be.
    pub(crate) fn place(self: &Arc<Self>, account: &str) -> Option<Place> {
        let mut places = self.places();
        let own = places.get(account).copied().unwrap_or_default();
        if own >= TAILS_OF_ACCOUNT_MAX || places.values().sum::<usize>() >= TAILS_MAX {
            return None;
        }
        places.insert(account.to_owned(), own + 1);
        Some(Place {
            tails: Arc::clone(self),
            account: account.to_owned(),
        })
    }

    /// Follows the log from where it is now. Starts the reader when there is none.
    pub(crate) async fn follow(self: &Arc<Self>) -> Result<Following, StoreError> {
        let mut reader = self.reader.lock().await;
        let reader = match &mut *reader {
            Some(reader) => reader,
            none => {
                let position = self.end_of_log().await?;
                let (sender, _) = broadcast::channel(ANSWERS_KEPT_MAX);
                tokio::spawn(Arc::clone(self).read());
                none.insert(Reader { sender, position })
            }
        };
        Ok(Following {
            appeared: reader.sender.subscribe(),
            position: reader.position.clone(),
        })
    }

    async fn end_of_log(&self) -> Result<Position, StoreError> {
        let last = InterceptFilter {
            limit: START_ROWS,
            ..InterceptFilter::default()
        };
        let mut ids: Vec<i64> = self.store.list(last).await?.iter().map(|row| row.id).collect();
        ids.reverse();
        Ok(Position::at_end_of(&ids))
    }

    /// Reads until nobody follows any more.
    async fn read(self: Arc<Self>) {
        let mut has_failed = false;
        loop {
            tokio::time::sleep(LOOK_PAUSE).await;
            let mut place = self.reader.lock().await;
            let Some(reader) = place.as_mut() else {
                return;
            };
            if reader.sender.receiver_count() == 0 {
                *place = None;
                return;
            }
            let outcome = self.look(reader).await;
            if let (Err(error), false) = (&outcome, has_failed) {
                tracing::warn!(%error, "the audit log cannot be followed just now");
            }
            has_failed = outcome.is_err();
        }
    }

    async fn look(&self, reader: &mut Reader) -> Result<(), StoreError> {
        for _ in 0..LOOK_PAGES_MAX {
            let rows = self.store.by_ids(reader.position.wanted(), LOOK_ROWS_MAX).await?;
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            let has_more = rows.len() >= LOOK_ROWS_MAX as usize;
            let given_up = reader.position.take(&ids, has_more);
            if !rows.is_empty() {
                let appeared = Appeared {
                    rows,
                    position: reader.position.clone(),
                    given_up,
                };
                // Nobody may be there to hear it any more.
                let _ = reader.sender.send(Arc::new(appeared));
            }
            if !has_more {
                break;
            }
        }
        Ok(())
    }

    fn places(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Every change under the lock is whole.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one follower, until it is dropped.
pub(crate) struct Place {
    tails: Arc<Tails>,
    account: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.tails.places();
        if let Some(count) = places.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                places.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests;
