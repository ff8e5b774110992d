//! Counts over several windows at once, each with counters of its own: those of the store know one window at a time. Must never hold
//! counters that no rule asks for any more.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::alert::ports::{Count, WindowCounters};
use sentinel_core::ports::StoreError;
use sentinel_store::counting::MemoryCounters;
use sentinel_store::redis::{RedisCounters, RedisLink};

/// The most windows at once: more than the rules have. The one that was asked for least lately makes room.
pub(crate) const WINDOWS_MAX: usize = 32;

type Make = Box<dyn Fn() -> Result<Arc<dyn WindowCounters>, StoreError> + Send + Sync>;

/// Counters for any window.
pub(crate) struct PerWindow {
    make: Make,
    known: std::sync::Mutex<Known>,
}

#[derive(Default)]
struct Known {
    asked: u64,
    counters: BTreeMap<Duration, (u64, Arc<dyn WindowCounters>)>,
}

impl PerWindow {
    /// In process: for one replica.
    pub(crate) fn in_process() -> Self {
        Self::new(Box::new(|| Ok(Arc::new(MemoryCounters::new()))))
    }

    /// Shared by all replicas.
    pub(crate) fn on_redis(link: RedisLink) -> Self {
        Self::new(Box::new(move || Ok(Arc::new(RedisCounters::new(link.clone())?))))
    }

    fn new(make: Make) -> Self {
        Self {
            make,
            known: std::sync::Mutex::default(),
        }
    }

    fn of(&self, window: Duration) -> Result<Arc<dyn WindowCounters>, StoreError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.asked += 1;
        let asked = known.asked;
        if let Some((last, counters)) = known.counters.get_mut(&window) {
            *last = asked;
            return Ok(Arc::clone(counters));
        }
        let counters = (self.make)()?;
        if known.counters.len() >= WINDOWS_MAX {
            let oldest = known.counters.iter().min_by_key(|(_, (last, _))| *last);
            if let Some(window) = oldest.map(|(window, _)| *window) {
                known.counters.remove(&window);
            }
        }
        known.counters.insert(window, (asked, Arc::clone(&counters)));
        Ok(counters)
    }
}

#[async_trait]
impl WindowCounters for PerWindow {
    async fn add(&self, window: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError> {
        self.of(window)?.add(window, batch).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn add(counters: &PerWindow, seconds: usize, times: u64) -> u64 {
        let window = Duration::from_secs(u64::try_from(seconds).expect("small"));
        let name = "x".to_owned();
        let answers = counters.add(window, vec![Count { name, times }]).await;
        answers.expect("memory answers")[0]
    }

    #[tokio::test(start_paused = true)]
    async fn windows_know_nothing_of_each_other_and_the_one_asked_for_least_lately_makes_room() {
        let counters = PerWindow::in_process();
        for window in 1..=WINDOWS_MAX {
            assert_eq!(add(&counters, window * 1_000, 2).await, 2);
        }
        assert_eq!(add(&counters, 1_000, 1).await, 3);
        assert_eq!(add(&counters, (WINDOWS_MAX + 1) * 1_000, 1).await, 1);
        assert_eq!(add(&counters, 1_000, 1).await, 4, "it was asked for lately");
        assert_eq!(add(&counters, 2_000, 1).await, 1, "it made room");
    }
}
