//! A key reader and a set of figures that are the same in every test; they hold no state.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::decision::RefusalReason;
use sentinel_core::fingerprint::{ApiKey, KeyFingerprint, KeyHint};
use sentinel_core::path::RequestPath;

use super::FINGERPRINT;
use crate::{Figures, Keys, LiveStreams, Propagation, TrafficFigures};

pub(crate) const METRICS_TEXT: &str = "# TYPE sentinel_requests counter\nsentinel_requests_total 12\n# EOF\n";

/// Takes what begins with `sk-` for a key.
pub(super) struct FakeKeys;

impl Keys for FakeKeys {
    fn identify(&self, key: &ApiKey<'_>) -> Option<(KeyFingerprint, KeyHint)> {
        let is_key = key.expose().starts_with("sk-");
        is_key.then(|| (KeyFingerprint::from_bytes([0xcd; 32]), key.hint()))
    }

    fn identify_previous(&self, _: &ApiKey<'_>) -> Option<KeyFingerprint> {
        None
    }

    fn profile(&self) -> &'static str {
        "new-api"
    }

    fn is_claim_path(&self, path: &RequestPath<'_>) -> bool {
        path.readings().any(|reading| reading.starts_with(b"/v1/"))
    }
}

/// The same figures at every call.
pub(super) struct FakeFigures;

impl Figures for FakeFigures {
    fn traffic(&self) -> TrafficFigures {
        TrafficFigures {
            requests: 12,
            allowed: 9,
            refused: vec![(RefusalReason::KeyIpMismatch, 2), (RefusalReason::KeyBanned, 1)],
            cache_entries: 4,
            live_connections: 5,
            live_streams: 2,
            ..TrafficFigures::default()
        }
    }

    fn propagation(&self) -> Option<Propagation> {
        Some(Propagation {
            p50: Duration::from_micros(1_500),
            p99: Duration::from_millis(20),
        })
    }

    fn metrics_text(&self) -> String {
        METRICS_TEXT.to_owned()
    }
}

#[async_trait]
impl LiveStreams for FakeFigures {
    async fn of(&self, fingerprint: &KeyFingerprint) -> Option<u64> {
        (*fingerprint == FINGERPRINT).then_some(3)
    }
}
