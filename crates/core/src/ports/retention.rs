//! How long the audit log is kept.

use async_trait::async_trait;

use super::StoreError;
use crate::time::Timestamp;

/// Keeps the audit log from growing without end.
#[async_trait]
pub trait InterceptRetention: Send + Sync {
    /// Removes the intercepts from before `oldest`, in as many small steps as it takes, and prepares the log for those that come
    /// after `now`. Gives how many were removed; a store that drops many at once may give fewer. May be called at any time, by
    /// several replicas at once.
    async fn keep_from(&self, oldest: Timestamp, now: Timestamp) -> Result<u64, StoreError>;

    /// Removes the oldest intercepts until at most `rows_max` are left, in as many small steps as it takes, or a little more where that goes
    /// faster: a store may drop whole days that ended before `now`. Gives how many were removed; a store that drops many at once may give
    /// fewer. Cheap when nothing is to be done. May be called at any time, by several replicas at once.
    async fn keep_newest(&self, rows_max: u64, now: Timestamp) -> Result<u64, StoreError>;
}
