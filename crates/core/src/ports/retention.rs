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
}
