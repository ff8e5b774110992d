//! What `/metrics` and the dashboard say of the data plane. Read when asked for; no label names a key or an address.

mod channels;
mod live;
mod traffic;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use sentinel_admin::{Figures, Propagation, TrafficFigures};
use sentinel_core::decision::RefusalReason;
use sentinel_store::shared::SharedStore;
use sentinel_store::{CachedLookup, Spool};

use crate::alerts::AlertMetrics;

pub(crate) use channels::ChannelMetrics;
pub(crate) use live::LiveOnWorkers;
pub(crate) use traffic::TrafficMetrics;

/// Where the figures are read.
#[derive(Clone)]
struct Readings {
    proxy: Arc<sentinel_proxy::Figures>,
    lookup: Arc<CachedLookup>,
    spool: Arc<Spool>,
    shared: Option<Arc<SharedStore>>,
}

impl fmt::Debug for Readings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Readings")
    }
}

/// The figures of this process.
pub(crate) struct Metrics {
    readings: Readings,
    channels: ChannelMetrics,
    registry: Registry,
}

impl Metrics {
    pub(crate) fn new(
        proxy: Arc<sentinel_proxy::Figures>,
        lookup: Arc<CachedLookup>,
        spool: Arc<Spool>,
        (channels, alerts, traffic): (&ChannelMetrics, &AlertMetrics, &TrafficMetrics),
        shared: Option<Arc<SharedStore>>,
    ) -> Self {
        let readings = Readings {
            proxy,
            lookup,
            spool,
            shared,
        };
        let mut registry = Registry::with_prefix("sentinel");
        registry.register(
            "build",
            "The running version",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        channels.register(&mut registry);
        alerts.register(&mut registry);
        traffic.register(&mut registry);
        registry.register_collector(Box::new(readings.clone()));
        Self {
            readings,
            channels: channels.clone(),
            registry,
        }
    }
}

impl Figures for Metrics {
    fn traffic(&self) -> TrafficFigures {
        let proxy = self.readings.proxy.snapshot();
        let of_upstream = RefusalReason::is_of_upstream;
        TrafficFigures {
            requests: proxy.requests,
            allowed: proxy.allowed + proxy.observed,
            observed: proxy.observed,
            refused: proxy
                .refused
                .iter()
                .copied()
                .filter(|(reason, _)| !of_upstream(*reason))
                .collect(),
            claims: proxy.claimed,
            upstream_errors: proxy
                .refused
                .iter()
                .filter(|(reason, _)| of_upstream(*reason))
                .map(|(_, count)| count)
                .sum(),
            live_connections: proxy.connections_open,
            live_streams: proxy.tunnels_open,
            cache_entries: self.readings.lookup.entries() as u64,
            lost_records: self.readings.spool.figures().overflowed,
        }
    }

    fn propagation(&self) -> Option<Propagation> {
        self.channels.propagation()
    }

    fn metrics_text(&self) -> String {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            tracing::error!("the metrics could not be written");
        }
        text
    }
}

impl Readings {
    /// How records of refusals fare on their way.
    fn encode_records(
        &self,
        proxy: &sentinel_proxy::FiguresSnapshot,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        let spool = self.spool.figures();
        for (name, help, value) in [
            (
                "refusals_unrecorded",
                "Refusals answered before their record was kept, because that took too long",
                proxy.records_unsettled,
            ),
            (
                "intercepts_lost",
                "Refused or observed requests that were only counted: there was no room for their records",
                spool.overflowed,
            ),
            (
                "spool_damaged_bytes",
                "Bytes of audit records on disk that could not be read",
                spool.damaged_bytes,
            ),
            (
                "spool_failures",
                "Writes of audit records to disk that failed",
                spool.failures,
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }

    /// What can go up and down.
    fn encode_gauges(
        &self,
        proxy: &sentinel_proxy::FiguresSnapshot,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        for (name, help, value) in [
            (
                "connections_open",
                "Client connections open now",
                proxy.connections_open,
            ),
            ("tunnels_open", "Tunnels open now", proxy.tunnels_open),
            (
                "upstream_addresses",
                "Addresses of the upstream that are known",
                proxy.upstream_addresses as u64,
            ),
            (
                "upstream_addresses_healthy",
                "Addresses of the upstream that work",
                proxy.upstream_addresses_up as u64,
            ),
            (
                "cache_entries",
                "Bindings in the in-process cache",
                self.lookup.entries() as u64,
            ),
            (
                "intercepts_waiting",
                "Audit records that wait to be written",
                self.spool.figures().waiting,
            ),
            (
                "spool_bytes",
                "Bytes of audit records on disk, most of which wait for the store",
                self.spool.figures().bytes,
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

impl Readings {
    /// What goes through the cache that replicas share, when there is one.
    fn encode_shared(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let counts = shared.counts();
        for (name, help, value) in [
            (
                "shared_hits",
                "Lookups that the shared cache answered",
                counts.hits,
            ),
            (
                "shared_misses",
                "Lookups that went on to the store",
                counts.misses,
            ),
            (
                "shared_failures",
                "Calls of the shared cache that failed",
                counts.cache_failures,
            ),
            (
                "shared_given_past_life",
                "Bindings of the shared cache used past their life because the store was away",
                counts.given_past_life,
            ),
            (
                "announcements_failed",
                "Changes that other replicas could not be told of at once",
                counts.announcements_failed,
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

/// What Sentinel answered by itself, by code.
fn encode_refused(
    proxy: &sentinel_proxy::FiguresSnapshot,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let refused = proxy.refused.map(|(reason, count)| (reason.code(), count));
    let malformed = proxy.malformed.map(|(kind, count)| (kind.code(), count));
    for (name, help, counts) in [
        (
            "refused",
            "Requests without an answer of the upstream",
            &refused[..],
        ),
        (
            "malformed",
            "Requests that could not be read, and so were neither judged nor recorded",
            &malformed[..],
        ),
    ] {
        let counter_type = ConstCounter::new(0_u64).metric_type();
        let mut family = encoder.encode_descriptor(name, help, None, counter_type)?;
        for (code, count) in counts {
            ConstCounter::new(*count).encode(family.encode_family(&[("reason", *code)])?)?;
        }
    }
    Ok(())
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let proxy = self.proxy.snapshot();
        let lookup = self.lookup.counts();
        for (name, help, value) in [
            ("requests", "Requests whose head was read", proxy.requests),
            (
                "forward_auth_requests",
                "Questions of other proxies whether a request may go on, which are among the requests, too",
                proxy.auth_requests,
            ),
            (
                "forward_auth_permitted",
                "Questions that were answered with yes",
                proxy.auth_permitted,
            ),
            (
                "allowed",
                "Requests let on because nothing spoke against them",
                proxy.allowed,
            ),
            (
                "observed",
                "Requests let on although a rule was broken",
                proxy.observed,
            ),
            ("claims", "Keys bound at first use", proxy.claimed),
            (
                "claims_released",
                "Claims taken back because the upstream did not know the key",
                proxy.released,
            ),
            ("networks_learned", "Networks that keys learned", proxy.learned),
            (
                "connections_refused",
                "Client connections closed at once because their address had too many",
                proxy.connections_refused,
            ),
            (
                "streams_refused",
                "HTTP/2 requests refused, to be sent again, because their address or all clients together had too many",
                proxy.streams_refused,
            ),
            (
                "proxy_headers_missing",
                "Connections of trusted proxies closed because they did not begin with a PROXY protocol header",
                proxy.proxy_headers_missing,
            ),
            (
                "requests_ended",
                "Requests under way that were ended because their key's binding changed",
                proxy.requests_ended,
            ),
            (
                "connections_accepted",
                "Client connections accepted",
                proxy.connections_accepted,
            ),
            (
                "upstream_connects",
                "Connections made to the upstream",
                proxy.upstream_connected,
            ),
            (
                "upstream_reuses",
                "Requests sent on a used upstream connection",
                proxy.upstream_reused,
            ),
            (
                "upstream_retries",
                "Requests sent again because their connection closed unused",
                proxy.upstream_retried,
            ),
            (
                "bindings_given_past_life",
                "Bindings used past their life because the store was away",
                lookup.given_past_life,
            ),
            (
                "secret_outdated",
                "Keys that were not found here and not taken for unknown, because the HMAC secret is not the current one any more",
                lookup.secret_outdated,
            ),
            (
                "uses_queue_full",
                "Times that a binding with new uses found the queue full",
                lookup.uses_queue_full,
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        self.encode_records(&proxy, &mut encoder)?;
        self.encode_shared(&mut encoder)?;
        self.encode_gauges(&proxy, &mut encoder)?;
        encode_refused(&proxy, &mut encoder)
    }
}
