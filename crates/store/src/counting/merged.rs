//! One replica's part in counts that all replicas share: it hands its batches to what keeps them, and goes on by itself while that is away.
//!
//! Every batch has a number, and what keeps the counts remembers the last one of each replica: so a batch whose answer was lost is sent
//! again and counts once. Meanwhile this replica's own counts are given, and what it counted waits to be merged, each part with its age.
//! Nothing is lost as long as at most [`UNMERGED_MAX`] parts wait and the window has not passed them by; nothing is doubled unless the
//! number is forgotten and the counts are not, which lie side by side.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::counting::{COUNT_BATCH_MAX, COUNT_WINDOW_MIN, Count, WindowCounters};
use sentinel_core::ports::StoreError;
use tokio::sync::Mutex;

use super::{SlidingCounts, check};

/// The most parts, each a name's times in one slice, that wait to be merged; what comes beyond them is lost, and counted.
pub(crate) const UNMERGED_MAX: usize = 65_536;

/// What keeps the counts of all replicas.
#[async_trait]
pub(crate) trait CountKeeper: fmt::Debug + Send + Sync {
    /// Adds the batch, once however often it is sent, and then gives how often each of these names happened in the window that ends now.
    /// Batches that come at once are added one after the other, and each is told of those before it and of no later one.
    async fn add(&self, batch: Batch, asked: Vec<String>) -> Result<Vec<u64>, StoreError>;
}

/// What one replica counted in one window since its last batch.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// Tells this replica's batches from all others'.
    pub(crate) replica: u64,
    /// Greater than that of its last one, unless it is the same batch again.
    pub(crate) number: u64,
    pub(crate) window_ms: u64,
    /// At most [`COUNT_BATCH_MAX`].
    pub(crate) parts: Vec<AgedCount>,
}

/// So many times more, so long ago.
#[derive(Clone, Debug)]
pub(crate) struct AgedCount {
    pub(crate) name: String,
    pub(crate) age_ms: u64,
    pub(crate) times: u64,
}

/// [`WindowCounters`] on what keeps the counts of all replicas. Knows one window at a time: a call with another one begins anew, and what
/// waited for the old one is let go.
#[derive(Debug)]
pub(crate) struct MergedCounters<K> {
    keeper: K,
    replica: u64,
    state: Mutex<Option<State>>,
    lost: AtomicU64,
}

/// A name's times in one slice.
#[derive(Debug)]
struct Part {
    name: String,
    slice: u64,
    times: u64,
}

#[derive(Debug)]
struct State {
    own: SlidingCounts,
    waiting: HashMap<(String, u64), u64>,
    /// The batch that was sent last, until its answer has come: sent again as it was, under the same number.
    sent: Vec<Part>,
    number: u64,
}

impl<K: CountKeeper> MergedCounters<K> {
    /// Fails when the system has no random numbers.
    pub(crate) fn new(keeper: K) -> Result<Self, StoreError> {
        let mut replica = [0; 8];
        getrandom::fill(&mut replica)
            .map_err(|error| StoreError::Unavailable(format!("no random numbers: {error}")))?;
        Ok(Self {
            keeper,
            replica: u64::from_le_bytes(replica),
            state: Mutex::default(),
            lost: AtomicU64::new(0),
        })
    }

    async fn send(&self, state: &State, asked: &[Count]) -> Result<Vec<u64>, StoreError> {
        let slices = &state.own.slices;
        let aged = |part: &Part| AgedCount {
            name: part.name.clone(),
            age_ms: milliseconds(slices.age(part.slice)),
            times: part.times,
        };
        let batch = Batch {
            replica: self.replica,
            number: state.number,
            window_ms: milliseconds(slices.window()),
            parts: state.sent.iter().map(aged).collect(),
        };
        let names = asked.iter().map(|count| count.name.clone());
        self.keeper.add(batch, names.collect()).await
    }
}

impl State {
    /// Batches go on after this number: what keeps the counts may remember it.
    fn new(window: Duration, number: u64) -> Self {
        Self {
            own: SlidingCounts::new(window),
            waiting: HashMap::new(),
            sent: Vec::new(),
            number,
        }
    }

    /// Lets a count wait to be merged; gives how many times found no room.
    fn wait(&mut self, count: &Count) -> u64 {
        // More than any batch holds, and few enough to be added up anywhere.
        let times = count.times.min(u64::from(u32::MAX));
        if times == 0 {
            return 0;
        }
        if self.waiting.len() >= UNMERGED_MAX {
            self.let_go_of_the_past();
        }
        let place = (count.name.clone(), self.own.slices.current());
        if self.waiting.len() >= UNMERGED_MAX && !self.waiting.contains_key(&place) {
            return count.times;
        }
        let waiting = self.waiting.entry(place).or_default();
        *waiting = waiting.saturating_add(times).min(u64::from(u32::MAX));
        0
    }

    fn let_go_of_the_past(&mut self) {
        let first = self.own.slices.first();
        self.waiting.retain(|(_, slice), _| *slice >= first);
    }

    /// Makes sure that a batch is ready to be sent, if anything waits.
    fn next_batch(&mut self) {
        if !self.sent.is_empty() || self.waiting.is_empty() {
            return;
        }
        self.let_go_of_the_past();
        let places: Vec<_> = self.waiting.keys().take(COUNT_BATCH_MAX).cloned().collect();
        for place in places {
            if let Some(times) = self.waiting.remove(&place) {
                let (name, slice) = place;
                self.sent.push(Part { name, slice, times });
            }
        }
        self.number += 1;
    }
}

#[async_trait]
impl<K: CountKeeper> WindowCounters for MergedCounters<K> {
    async fn add(&self, window: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError> {
        check(&batch)?;
        let window = window.max(COUNT_WINDOW_MIN);
        let mut state = self.state.lock().await;
        let number = state.as_ref().map_or(0, |state| state.number);
        let state = match &mut *state {
            Some(state) if state.own.slices.window() == window => state,
            other => other.insert(State::new(window, number)),
        };
        let own = state.own.add(&batch);
        for count in &batch {
            let lost = state.wait(count);
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
        loop {
            state.next_batch();
            let is_last = state.waiting.is_empty();
            let asked = if is_last { batch.as_slice() } else { &[] };
            match self.send(state, asked).await {
                Ok(counts) => {
                    state.sent.clear();
                    if is_last {
                        return Ok(counts);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "counts are this replica's own until all of them can be reached");
                    return Ok(own);
                }
            }
        }
    }

    fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counting::conformance::count;

    /// Remembers the numbers of batches, and counts nothing.
    #[derive(Debug, Default)]
    struct Numbers(std::sync::Mutex<Vec<u64>>);

    #[async_trait]
    impl CountKeeper for Numbers {
        async fn add(&self, batch: Batch, asked: Vec<String>) -> Result<Vec<u64>, StoreError> {
            self.0.lock().expect("not poisoned").push(batch.number);
            Ok(vec![0; asked.len()])
        }
    }

    #[tokio::test]
    async fn a_window_that_comes_again_does_not_begin_with_numbers_that_are_remembered() {
        let counters = MergedCounters::new(Numbers::default()).expect("random numbers");
        for minutes in [1, 2, 1] {
            let window = Duration::from_mins(minutes);
            counters
                .add(window, vec![count("a", 1)])
                .await
                .expect("an answer");
        }
        assert_eq!(*counters.keeper.0.lock().expect("not poisoned"), [1, 2, 3]);
    }
}
