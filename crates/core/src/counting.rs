//! How often something happened lately: counts in windows that move along with time, for alerts.
//!
//! A window moves in steps: it is cut into [`SLICES`], and what happened in a slice leaves it together. So a count never includes what is
//! older than the window, and always what is younger than the window less one slice.

use std::time::Duration;

use async_trait::async_trait;

use crate::ports::StoreError;

/// Into so many slices a window is cut.
pub const SLICES: u32 = 60;
/// The most bytes of a name.
pub const COUNT_NAME_BYTES_MAX: usize = 128;
/// The most names in one batch.
pub const COUNT_BATCH_MAX: usize = 1_000;
/// The shortest window: shorter, and its slices would be no time at all.
pub const COUNT_WINDOW_MIN: Duration = Duration::from_secs(1);

/// So many times more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Of what: 1 to [`COUNT_NAME_BYTES_MAX`] bytes. Never a key.
    pub name: String,
    /// How many times; none, to be told how often it was.
    pub times: u64,
}

/// Counts, shared by replicas where there are several.
#[async_trait]
pub trait WindowCounters: Send + Sync {
    /// Adds a batch of at most [`COUNT_BATCH_MAX`] names, no name twice, and gives how often each of them happened in the window that ends
    /// now, in their order. Counts of one window know nothing of another window's. While what replicas share is away, this replica's own
    /// counts are given, and merged when it is back.
    async fn add(&self, window: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError>;

    /// How many times had no room to wait for what replicas share, since the last call.
    fn take_lost(&self) -> u64 {
        0
    }
}
