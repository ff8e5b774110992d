//! What the data plane is given: where to listen, what to protect, by which rules, within which bounds.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::header::HeaderValue;
use sentinel_core::client_ip::ClientIpRules;
use sentinel_core::fingerprint::FingerprintHasher;
use sentinel_core::policy::Rules;
use sentinel_core::ports::{BindingLookup, InterceptSink};
use sentinel_core::profile::Profile;
use sentinel_core::time::Clock;

/// Everything that an operator chooses about the data plane.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// How many threads serve them, each with its own listener; at least one.
    pub cores: usize,
    /// The gateway.
    pub upstream: UpstreamTarget,
    /// Which `Host` the gateway sees.
    pub host_header: HostHeader,
    /// The gateway's ways.
    pub profile: Profile,
    /// Whom to believe about client addresses.
    pub client_ip: ClientIpRules,
    /// The general rules.
    pub rules: Rules,
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

/// Which `Host` header the upstream sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's own.
    #[default]
    Preserve,
    /// The upstream's name; the client's goes on as `X-Forwarded-Host`.
    Upstream,
}

/// The gateway's address: a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTarget {
    host: String,
    port: u16,
    authority: HeaderValue,
}

/// Why a text is no upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamTargetError {
    /// No URL at all.
    #[error("is not a URL like http://127.0.0.1:3000")]
    Malformed,
    /// Some other scheme than `http`.
    #[error("must begin with http:// (TLS to the upstream is not supported yet)")]
    Scheme,
    /// A path, a query or credentials.
    #[error("must be scheme, host and port only: no path, query or credentials")]
    NotAnOrigin,
}

impl UpstreamTarget {
    /// From a URL such as `http://127.0.0.1:3000`. The port is 80 when none is given.
    pub fn parse(url: &str) -> Result<Self, UpstreamTargetError> {
        let uri: Uri = url.parse().map_err(|_| UpstreamTargetError::Malformed)?;
        let authority = uri.authority().ok_or(UpstreamTargetError::Malformed)?;
        if uri.scheme_str() != Some("http") {
            return Err(UpstreamTargetError::Scheme);
        }
        if authority.as_str().contains('@') || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(UpstreamTargetError::NotAnOrigin);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let has_odd_port =
            authority.as_str().len() > authority.host().len() && authority.port_u16().is_none();
        if host.is_empty() || has_odd_port {
            return Err(UpstreamTargetError::Malformed);
        }
        Ok(Self {
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_| UpstreamTargetError::Malformed)?,
        })
    }

    /// The host's name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the `Host` header says of it.
    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.authority
    }
}

/// The bounds of the data plane. Durations that bound silence begin anew with every byte.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Open client connections, all cores together; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Open client connections of one address (IPv6: of one /64), spread over the workers; more are closed at once. Trusted
    /// proxies are exempt. Zero for no bound.
    pub connections_per_address_max: usize,
    /// Bytes of a request's head; above: 431.
    pub header_bytes_max: usize,
    /// Header lines of a request; above: 431.
    pub headers_max: usize,
    /// From the end of one request (or the connection's beginning) to the end of the next one's head.
    pub header_timeout: Duration,
    /// Silence on a stream, in both directions, while a request is under way.
    pub stream_idle: Duration,
    /// Connecting to the upstream.
    pub connect_timeout: Duration,
    /// Life of an idle upstream connection: shorter than the upstream's own, which a new request would otherwise run into.
    pub upstream_idle: Duration,
    /// Idle upstream connections kept per core.
    pub upstream_idle_connections_max: usize,
    /// Fresh claims per address and minute; above: 429. Zero for no bound.
    pub claims_per_minute: u32,
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
            connect_timeout: Duration::from_secs(10),
            upstream_idle: Duration::from_secs(4),
            upstream_idle_connections_max: 512,
            claims_per_minute: 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_an_origin() {
        for (url, host, port) in [
            ("http://127.0.0.1:3000", "127.0.0.1", 3000),
            ("http://new-api:3000/", "new-api", 3000),
            ("http://gateway.example", "gateway.example", 80),
            ("http://[::1]:3000", "::1", 3000),
        ] {
            let target = UpstreamTarget::parse(url).expect(url);
            assert_eq!((target.host(), target.port()), (host, port), "{url}");
        }
        for (url, error) in [
            ("", UpstreamTargetError::Malformed),
            ("127.0.0.1:3000", UpstreamTargetError::Scheme),
            ("https://gateway.example", UpstreamTargetError::Scheme),
            ("http://u:p@host", UpstreamTargetError::NotAnOrigin),
            ("http://host/v1", UpstreamTargetError::NotAnOrigin),
            ("http://host?x=1", UpstreamTargetError::NotAnOrigin),
            ("http://host:99999", UpstreamTargetError::Malformed),
            ("/v1", UpstreamTargetError::Malformed),
        ] {
            assert_eq!(UpstreamTarget::parse(url), Err(error), "{url}");
        }
    }
}
