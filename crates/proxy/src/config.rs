//! What the data plane is given: where to listen, what to protect, by which rules, within which bounds.

mod forward_auth;
mod upstream;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::client_ip::ClientIpRules;
use sentinel_core::fingerprint::FingerprintHasher;
use sentinel_core::policy::LiveRules;
use sentinel_core::ports::{BindingLookup, InterceptSink};
use sentinel_core::profile::Profile;
use sentinel_core::time::Clock;

use crate::tls::TlsConfig;

pub use forward_auth::{AuthConvention, ForwardAuth};
pub use upstream::{
    HEALTH_PATH_BYTES_MAX, HealthPath, HostHeader, UPSTREAM_ORIGINS_MAX, Upstream, UpstreamOrigin,
    UpstreamTarget, UpstreamTargetError,
};

/// Everything that an operator chooses about the data plane.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The certificate, when clients connect over TLS.
    pub tls: Option<TlsConfig>,
    /// The listener that other proxies ask, if there is to be one.
    pub forward_auth: Option<ForwardAuth>,
    /// How many threads serve them, each with its own listener; at least one.
    pub cores: usize,
    /// The gateway.
    pub upstream: Upstream,
    /// Which `Host` the gateway sees.
    pub host_header: HostHeader,
    /// The gateway's ways.
    pub profile: Profile,
    /// Whom to believe about client addresses.
    pub client_ip: ClientIpRules,
    /// The general rules, which may change while it serves.
    pub rules: LiveRules,
    /// How much of everything.
    pub bounds: Bounds,
}

/// What the data plane works with.
#[derive(Clone)]
pub struct Dependencies {
    /// Makes fingerprints.
    pub hasher: FingerprintHasher,
    /// Knows bindings.
    pub lookup: Arc<dyn BindingLookup>,
    /// Takes the records.
    pub intercepts: Arc<dyn InterceptSink>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Dependencies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Dependencies")
    }
}

/// The bounds of the data plane. Durations that bound silence begin anew with every byte.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Open client connections, all cores together; more wait in the kernel's queue. Each stream of HTTP/2 beside the first one of its
    /// connection counts as one more; it is refused, to be sent again.
    pub connections_max: usize,
    /// Open client connections, and streams beside their first ones, of one address (IPv6: of one /64, and four times as many of one
    /// /48), all cores together; more are closed or refused at once. Whom the PROXY protocol names is counted; other trusted proxies
    /// are exempt. Zero for no bound.
    pub connections_per_address_max: usize,
    /// Bytes of a request's head; above: 431.
    pub header_bytes_max: usize,
    /// Header lines of a request; above: 431.
    pub headers_max: usize,
    /// From the end of one request (or the connection's beginning) to the end of the next one's head.
    pub header_timeout: Duration,
    /// Silence on a stream, in both directions, while a request is under way; also for how long one side of a tunnel may take nothing.
    pub stream_idle: Duration,
    /// Silence of a tunnel, in both directions.
    pub tunnel_idle: Duration,
    /// For how long the answer that decides about a claim is still awaited when nobody else waits for it any more.
    pub claim_answer_wait: Duration,
    /// Connecting to the upstream.
    pub connect_timeout: Duration,
    /// Life of an idle upstream connection: shorter than the upstream's own, which a new request would otherwise run into.
    pub upstream_idle: Duration,
    /// Idle upstream connections kept per core.
    pub upstream_idle_connections_max: usize,
    /// Open upstream connections, all cores together, idle ones included; further requests wait, within the time for connecting.
    pub upstream_connections_max: usize,
    /// Connections to the upstream that one core makes at once; further ones wait, within the time for connecting.
    pub upstream_connects_max: usize,
    /// How often the upstream's names are looked up again.
    pub upstream_resolve_interval: Duration,
    /// How often its addresses are tried, when there are several, one is down, or there is a health path.
    pub upstream_health_interval: Duration,
    /// For how long an address is avoided after it failed for the first time; twice as long after each further time.
    pub upstream_down_min: Duration,
    /// For how long at most.
    pub upstream_down_max: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_address_max: 1_000,
            header_bytes_max: 32 * 1024,
            headers_max: 100,
            header_timeout: Duration::from_secs(75),
            stream_idle: Duration::from_mins(15),
            tunnel_idle: Duration::from_hours(1),
            claim_answer_wait: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            upstream_idle: Duration::from_secs(4),
            upstream_idle_connections_max: 512,
            upstream_connections_max: 20_000,
            upstream_connects_max: 256,
            upstream_resolve_interval: Duration::from_secs(30),
            upstream_health_interval: Duration::from_secs(5),
            upstream_down_min: Duration::from_secs(1),
            upstream_down_max: Duration::from_secs(30),
        }
    }
}
