//! The live figures that the dashboard and `/metrics` show. They are counted elsewhere and only read here.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::decision::RefusalReason;
use sentinel_core::fingerprint::KeyFingerprint;

/// What went through the proxy since it started, and what it holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficFigures {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests that were let through, observed ones included.
    pub allowed: u64,
    /// Requests that were let through although a rule speaks against them.
    pub observed: u64,
    /// Refused requests by reason; a reason without any may be left out.
    pub refused: Vec<(RefusalReason, u64)>,
    /// Bindings made at first use.
    pub claims: u64,
    /// Requests that the upstream did not answer.
    pub upstream_errors: u64,
    /// Clients' connections that are open now.
    pub live_connections: u64,
    /// Tunnels (WebSocket) that are open now.
    pub live_streams: u64,
    /// Bindings in the in-process cache now.
    pub cache_entries: u64,
    /// Audit records and uses that did not fit their queues and were dropped.
    pub lost_records: u64,
}

/// How late this replica hears of changes made elsewhere, lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// Half of the changes came sooner.
    pub p50: Duration,
    /// Of a hundred changes all but one came sooner.
    pub p99: Duration,
}

/// Where the figures come from. All calls return at once.
pub trait Figures: Send + Sync {
    /// The figures for the dashboard.
    fn traffic(&self) -> TrafficFigures;

    /// How late changes made elsewhere are heard of; none when there were none.
    fn propagation(&self) -> Option<Propagation>;

    /// All metrics in the OpenMetrics text format, for `/metrics`.
    fn metrics_text(&self) -> String;
}

/// What is under way on this replica.
#[async_trait]
pub trait LiveStreams: Send + Sync {
    /// How many requests and tunnels of this key there are; none when nobody could say in time.
    async fn of(&self, fingerprint: &KeyFingerprint) -> Option<u64>;
}
