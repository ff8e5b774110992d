//! Counts in sliding windows, in process: for one replica, and as what a replica goes on with while the others cannot be reached.
//!
//! Time is the runtime's own, which nobody sets back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::counting::{COUNT_WINDOW_MIN, Count, SLICES, WindowCounters};
use sentinel_core::ports::StoreError;
use tokio::time::Instant;

#[cfg(test)]
pub(crate) mod conformance;
pub(crate) mod merged;

/// The most names that are counted at the same time; beyond, some of those that have been quiet for longest are forgotten.
pub const COUNTED_NAMES_MAX: usize = 16_384;
const FORGOTTEN_AT_ONCE: usize = COUNTED_NAMES_MAX / 8;

/// A window that is cut into slices, numbered from when this replica began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slices {
    began: Instant,
    window: Duration,
}

impl Slices {
    pub(crate) fn of(window: Duration) -> Self {
        Self {
            began: Instant::now(),
            window: window.max(COUNT_WINDOW_MIN),
        }
    }

    pub(crate) fn window(&self) -> Duration {
        self.window
    }

    /// How long one lasts.
    fn length(&self) -> Duration {
        self.window / SLICES
    }

    /// The one that is now. The first ones are never used, so that none is before the beginning.
    pub(crate) fn current(&self) -> u64 {
        let passed = self.began.elapsed().as_nanos() / self.length().as_nanos().max(1);
        u64::try_from(passed)
            .unwrap_or(u64::MAX - u64::from(SLICES))
            .saturating_add(u64::from(SLICES))
    }

    /// How long ago a slice began, at least; what happened in it is no older than that.
    pub(crate) fn age(&self, slice: u64) -> Duration {
        let slices = u32::try_from(self.current().saturating_sub(slice)).unwrap_or(SLICES);
        self.length().saturating_mul(slices)
    }

    /// The first one in the window.
    pub(crate) fn first(&self) -> u64 {
        first_before(self.current())
    }
}

/// The first one in the window that ends with this one.
fn first_before(current: u64) -> u64 {
    current - u64::from(SLICES) + 1
}

/// The counts of one window.
#[derive(Debug)]
pub(crate) struct SlidingCounts {
    pub(crate) slices: Slices,
    /// By name, each slice in which something happened, the newest last.
    names: HashMap<String, Vec<(u64, u64)>>,
}

impl SlidingCounts {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            slices: Slices::of(window),
            names: HashMap::new(),
        }
    }

    /// Adds to each name, and says how often it happened in the window.
    pub(crate) fn add(&mut self, batch: &[Count]) -> Vec<u64> {
        let current = self.slices.current();
        batch.iter().map(|count| self.add_one(count, current)).collect()
    }

    fn add_one(&mut self, count: &Count, current: u64) -> u64 {
        let first = first_before(current);
        if !self.names.contains_key(&count.name) {
            if count.times == 0 {
                return 0;
            }
            self.make_room(first);
            self.names.insert(count.name.clone(), Vec::new());
        }
        let Some(slices) = self.names.get_mut(&count.name) else {
            return 0;
        };
        slices.retain(|(slice, _)| *slice >= first);
        match slices.last_mut() {
            Some((slice, times)) if *slice == current => *times = times.saturating_add(count.times),
            _ if count.times > 0 => slices.push((current, count.times)),
            _ => {}
        }
        slices
            .iter()
            .fold(0_u64, |sum, (_, times)| sum.saturating_add(*times))
    }

    fn make_room(&mut self, first: u64) {
        if self.names.len() < COUNTED_NAMES_MAX {
            return;
        }
        let newest = |slices: &Vec<(u64, u64)>| slices.last().map_or(0, |(slice, _)| *slice);
        self.names.retain(|_, slices| newest(slices) >= first);
        if self.names.len() < COUNTED_NAMES_MAX {
            return;
        }
        // Several at once: a flood of new names must not go through all of them for each.
        let mut by_quiet: Vec<_> = self
            .names
            .iter()
            .map(|(name, slices)| (newest(slices), name))
            .collect();
        by_quiet.select_nth_unstable(FORGOTTEN_AT_ONCE);
        let quietest = by_quiet[..FORGOTTEN_AT_ONCE].iter();
        let quietest: Vec<_> = quietest.map(|(_, name)| (*name).clone()).collect();
        for name in quietest {
            self.names.remove(&name);
        }
    }
}

/// [`WindowCounters`] for one replica. Knows one window at a time: a call with another one begins anew.
#[derive(Debug, Default)]
pub struct MemoryCounters(Mutex<Option<SlidingCounts>>);

impl MemoryCounters {
    /// Nothing was counted yet. Needs a tokio runtime's clock.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl WindowCounters for MemoryCounters {
    async fn add(&self, window: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError> {
        check(&batch)?;
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = of_window(&mut counts, window);
        Ok(counts.add(&batch))
    }
}

/// The counts of this window; those of another one are forgotten.
fn of_window(counts: &mut Option<SlidingCounts>, window: Duration) -> &mut SlidingCounts {
    let window = window.max(COUNT_WINDOW_MIN);
    if counts
        .as_ref()
        .is_some_and(|counts| counts.slices.window() != window)
    {
        *counts = None;
    }
    counts.get_or_insert_with(|| SlidingCounts::new(window))
}

/// Refuses a batch that is too large, or has a name that is too long: the caller's fault, and nobody else's.
pub(crate) fn check(batch: &[Count]) -> Result<(), StoreError> {
    use sentinel_core::counting::{COUNT_BATCH_MAX, COUNT_NAME_BYTES_MAX};
    let is_long = |count: &Count| count.name.is_empty() || count.name.len() > COUNT_NAME_BYTES_MAX;
    if batch.len() > COUNT_BATCH_MAX || batch.iter().any(is_long) {
        return Err(StoreError::Damaged(
            "more names than one batch may have, or a name that is too long".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
