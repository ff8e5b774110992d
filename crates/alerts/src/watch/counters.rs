//! One counter per window: counters know one window at a time, rules have several. Must never grow with what is counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sentinel_core::counting::{COUNT_BATCH_MAX, COUNT_WINDOW_MIN, Count, WindowCounters};
use sentinel_core::ports::StoreError;

/// The most windows that are counted over. There are fewer in use; those of rules that were changed go first.
pub const WINDOWS_MAX: usize = 32;

/// Makes a counter that nobody has asked anything yet.
pub type MakeCounters = Arc<dyn Fn() -> Result<Arc<dyn WindowCounters>, StoreError> + Send + Sync>;

/// The counters that are in use.
pub(super) struct CountersByWindow {
    make: MakeCounters,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    asked: u64,
    by_window: BTreeMap<Duration, (u64, Arc<dyn WindowCounters>)>,
}

impl CountersByWindow {
    pub(super) fn new(make: MakeCounters) -> Self {
        Self {
            make,
            kept: Mutex::default(),
        }
    }

    /// The counts of these names after they were added. Without an answer, each counts for itself.
    pub(super) async fn ask(&self, window: Duration, mut batch: Vec<Count>) -> Vec<u64> {
        let window = window.max(COUNT_WINDOW_MIN);
        let mut answers = Vec::with_capacity(batch.len());
        while !batch.is_empty() {
            let rest = batch.split_off(batch.len().min(COUNT_BATCH_MAX));
            let own: Vec<u64> = batch.iter().map(|count| count.times).collect();
            match self.add(window, batch).await {
                Ok(counted) if counted.len() == own.len() => answers.extend(counted),
                Ok(_) => answers.extend(own),
                Err(error) => {
                    tracing::warn!(%error, "what is refused is not counted: alerts may come late");
                    answers.extend(own);
                }
            }
            batch = rest;
        }
        answers
    }

    /// How many times no counter had room for, since the last call.
    pub(super) fn take_lost(&self) -> u64 {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = kept.by_window.values().map(|(_, counters)| counters);
        counters.fold(0, |sum, counters| sum.saturating_add(counters.take_lost()))
    }

    async fn add(&self, window: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError> {
        let counters = self.of(window)?;
        counters.add(window, batch).await
    }

    fn of(&self, window: Duration) -> Result<Arc<dyn WindowCounters>, StoreError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked += 1;
        let now = kept.asked;
        if let Some((asked, counters)) = kept.by_window.get_mut(&window) {
            *asked = now;
            return Ok(Arc::clone(counters));
        }
        if kept.by_window.len() >= WINDOWS_MAX {
            let longest_unasked = kept.by_window.iter().min_by_key(|(_, (asked, _))| *asked);
            if let Some(window) = longest_unasked.map(|(window, _)| *window) {
                kept.by_window.remove(&window);
            }
        }
        let counters = (self.make)()?;
        kept.by_window.insert(window, (now, Arc::clone(&counters)));
        Ok(counters)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use sentinel_testkit::SettableClock;

    use super::*;
    use crate::testing::ExactCounters;

    #[tokio::test]
    async fn so_many_windows_are_kept_and_the_longest_unasked_goes() {
        let exact = ExactCounters::new(Arc::new(SettableClock::default()));
        let counters = CountersByWindow::new(exact.maker());
        let ask = async |seconds: usize| {
            let window = Duration::from_secs(u64::try_from(seconds).expect("small"));
            let one = Count {
                name: "a".to_owned(),
                times: 1,
            };
            counters.ask(window, vec![one]).await
        };
        for seconds in 1..=WINDOWS_MAX {
            assert_eq!(ask(seconds).await, [1]);
        }
        assert_eq!(exact.made(), WINDOWS_MAX);
        assert_eq!(ask(1).await, [2], "it is asked again");
        assert_eq!(ask(WINDOWS_MAX + 1).await, [1]);
        ask(1).await;
        assert_eq!(exact.made(), WINDOWS_MAX + 1);
        ask(2).await;
        assert_eq!(
            exact.made(),
            WINDOWS_MAX + 2,
            "the second was the longest unasked"
        );
    }

    #[tokio::test]
    async fn without_an_answer_a_batch_counts_for_itself_and_a_large_one_is_cut() {
        let exact = ExactCounters::new(Arc::new(SettableClock::default()));
        let counters = CountersByWindow::new(exact.maker());
        let batch: Vec<Count> = (0..=COUNT_BATCH_MAX)
            .map(|number| Count {
                name: number.to_string(),
                times: 3,
            })
            .collect();
        let window = Duration::from_mins(1);
        let counted = counters.ask(window, batch.clone()).await;
        assert_eq!(counted, vec![3; COUNT_BATCH_MAX + 1]);
        exact.set_away(true);
        assert_eq!(counters.ask(window, batch.clone()).await, counted);
        exact.set_away(false);
        assert_eq!(counters.ask(window, batch).await, vec![6; COUNT_BATCH_MAX + 1]);
    }

    /// Has room for nothing.
    #[derive(Default)]
    struct Full(AtomicU64);

    #[async_trait]
    impl WindowCounters for Full {
        async fn add(&self, _: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError> {
            self.0
                .fetch_add(batch.iter().map(|count| count.times).sum(), Ordering::Relaxed);
            Ok(vec![0; batch.len()])
        }

        fn take_lost(&self) -> u64 {
            self.0.swap(0, Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn what_no_counter_had_room_for_is_told_once() {
        let counters = CountersByWindow::new(Arc::new(|| Ok(Arc::<Full>::default())));
        for minutes in [1, 5] {
            let count = Count {
                name: "a".to_owned(),
                times: minutes,
            };
            counters.ask(Duration::from_mins(minutes), vec![count]).await;
        }
        assert_eq!(counters.take_lost(), 6);
        assert_eq!(counters.take_lost(), 0);
    }
}
