//! How many bindings there are. Where counting is quick, it is done for whoever asks; where there are millions, an earlier count is given
//! at once, with its moment, and a new one is made beside it when that is old.
//!
//! Must never let a question wait for a long count but the first one, nor make two at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sentinel_core::binding::BindingCounts;
use sentinel_core::ports::{BindingAdmin, StoreError};
use sentinel_core::time::{Clock, Timestamp};
use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

/// What takes no longer than this is counted each time.
pub(crate) const QUICK_COUNT_MAX: Duration = Duration::from_millis(20);
/// So old a count may be that took longer.
pub(crate) const COUNT_AGE_MAX: Duration = Duration::from_mins(1);

/// A count and when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) counts: BindingCounts,
    pub(crate) at: Timestamp,
    took: Duration,
}

/// The last count.
pub(crate) struct CountedBindings {
    bindings: Arc<dyn BindingAdmin>,
    clock: Arc<dyn Clock>,
    last: Mutex<Option<Counted>>,
    /// Held by whoever counts.
    turn: Turn<()>,
}

impl CountedBindings {
    pub(crate) fn new(bindings: Arc<dyn BindingAdmin>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            bindings,
            clock,
            last: Mutex::default(),
            turn: Turn::default(),
        })
    }

    /// How many there are, as of some moment lately.
    pub(crate) async fn counts(self: &Arc<Self>) -> Result<Counted, StoreError> {
        let Some(last) = self.last() else {
            let _turn = self.turn.lock().await;
            // Whoever had the turn before has counted.
            return match self.last() {
                Some(last) => Ok(last),
                None => self.count().await,
            };
        };
        if last.took <= QUICK_COUNT_MAX {
            return self.count().await;
        }
        if self.is_old(last) {
            let counting = Arc::clone(self);
            tokio::spawn(async move { counting.count_beside().await });
        }
        Ok(last)
    }

    async fn count_beside(&self) {
        let Ok(_turn) = self.turn.try_lock() else {
            return;
        };
        // Whoever had the turn before may have counted.
        if self.last().is_some_and(|last| !self.is_old(last)) {
            return;
        }
        if let Err(error) = self.count().await {
            tracing::debug!(%error, "the bindings could not be counted");
        }
    }

    async fn count(&self) -> Result<Counted, StoreError> {
        let (at, begun) = (self.clock.now(), Instant::now());
        let counts = self.bindings.counts().await?;
        let counted = Counted {
            counts,
            at,
            took: begun.elapsed(),
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(counted);
        Ok(counted)
    }

    /// After the clock was set back nobody knows how old it is.
    fn is_old(&self, counted: Counted) -> bool {
        let now = self.clock.now();
        now < counted.at || now.since(counted.at) >= COUNT_AGE_MAX
    }

    fn last(&self) -> Option<Counted> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::ports::StoreError;

    use super::*;
    use crate::testing::{FakeStore, TestClock};

    async fn until_counted(counted: &Arc<CountedBindings>, at: Timestamp) -> Counted {
        loop {
            let last = counted.counts().await.expect("known");
            if last.at == at {
                return last;
            }
            tokio::task::yield_now().await;
            tokio::time::advance(QUICK_COUNT_MAX).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_quick_is_counted_each_time() {
        let (store, clock) = (Arc::<FakeStore>::default(), TestClock::start());
        let counted = CountedBindings::new(store.clone(), clock.clone());
        for asked in 1..=3 {
            assert_eq!(counted.counts().await.expect("known").counts.active, 7);
            assert_eq!(store.lock().counts_asked, asked);
        }
        store.lock().failure = Some(StoreError::Busy);
        assert!(counted.counts().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_longer_than_quick_count_max_is_counted_beside_after_count_age_max() {
        let (store, clock) = (Arc::<FakeStore>::default(), TestClock::start());
        store.lock().count_takes = Duration::from_secs(2);
        let counted = CountedBindings::new(store.clone(), clock.clone());
        // Many that ask first wait for one count.
        let asked: Vec<_> = (0..5)
            .map(|_| {
                let counted = Arc::clone(&counted);
                tokio::spawn(async move { counted.counts().await })
            })
            .collect();
        for asked in asked {
            asked.await.expect("ran").expect("known");
        }
        assert_eq!(store.lock().counts_asked, 1);
        let first_at = clock.now();
        let moment = Duration::from_millis(1);
        clock.advance(COUNT_AGE_MAX.saturating_sub(moment));
        counted.counts().await.expect("known");
        clock.advance(moment);
        let begun = Instant::now();
        for _ in 0..3 {
            assert_eq!(counted.counts().await.expect("known").at, first_at);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits");
        until_counted(&counted, clock.now()).await;
        assert_eq!(store.lock().counts_asked, 2);
    }
}
