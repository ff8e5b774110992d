//! What is under way of one key, as the admin listener asks for it.

use async_trait::async_trait;
use sentinel_admin::LiveStreams;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_proxy::LiveRequests;

/// What this replica's workers have under way.
pub(crate) struct LiveOnWorkers(pub(crate) LiveRequests);

#[async_trait]
impl LiveStreams for LiveOnWorkers {
    async fn of(&self, fingerprint: &KeyFingerprint) -> Option<u64> {
        self.0.of(fingerprint).await
    }
}
