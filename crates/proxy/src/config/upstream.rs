//! The gateway as the operator names it: one or more origins of one scheme, whom to believe about their certificates, and how their
//! names are looked up. Must never hold credentials: an origin has none.

use std::fmt;
use std::sync::Arc;

use http::Uri;
use rustls::pki_types::ServerName;

use crate::upstream::{Resolver, SystemResolver, UpstreamTrust};

/// The most origins that one upstream has.
pub const UPSTREAM_ORIGINS_MAX: usize = 16;
/// The longest path that is asked for to learn whether an address is healthy.
pub const HEALTH_PATH_BYTES_MAX: usize = 1024;

/// The gateway, and how it is reached.
#[derive(Clone)]
pub struct Upstream {
    /// Where it is.
    pub target: UpstreamTarget,
    /// Whom to believe about its certificates; of no use to an `http` upstream.
    pub trust: UpstreamTrust,
    /// What is asked for to learn whether an address is healthy; only connecting is tried when none.
    pub health_path: Option<HealthPath>,
    /// Looks its names up.
    pub resolver: Arc<dyn Resolver>,
}

impl Upstream {
    /// With the public certificate authorities, the system's resolver and no health path.
    pub fn new(target: UpstreamTarget) -> Self {
        Self {
            target,
            trust: UpstreamTrust::public(),
            health_path: None,
            resolver: Arc::new(SystemResolver),
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Upstream")
            .field("target", &self.target)
            .field("health_path", &self.health_path)
            .finish_non_exhaustive()
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

/// The gateway's origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTarget {
    origins: Vec<UpstreamOrigin>,
    is_tls: bool,
}

/// One of them: a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamOrigin {
    host: String,
    port: u16,
    authority: String,
    server_name: Option<ServerName<'static>>,
}

/// Why a text is no upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamTargetError {
    /// No URL at all.
    #[error("is not a URL like http://127.0.0.1:3000")]
    Malformed,
    /// Some other scheme.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// A path, a query or credentials.
    #[error("must be scheme, host and port only: no path, query or credentials")]
    NotAnOrigin,
    /// Both schemes.
    #[error("must have one scheme for all")]
    MixedSchemes,
    /// The same origin twice.
    #[error("names one origin twice")]
    Repeated,
    /// Too many origins.
    #[error("must be at most {UPSTREAM_ORIGINS_MAX} URLs")]
    TooMany,
}

impl UpstreamTarget {
    /// From URLs such as `http://127.0.0.1:3000`, separated by commas. The port is 80, or 443 with `https`, when none is given.
    pub fn parse(urls: &str) -> Result<Self, UpstreamTargetError> {
        let mut origins: Vec<UpstreamOrigin> = Vec::new();
        for url in urls.split(',') {
            let origin = UpstreamOrigin::parse(url.trim())?;
            if origins
                .iter()
                .any(|other| (&other.host, other.port) == (&origin.host, origin.port))
            {
                return Err(UpstreamTargetError::Repeated);
            }
            origins.push(origin);
        }
        let is_tls = origins.iter().any(UpstreamOrigin::is_tls);
        if !origins.iter().all(|origin| origin.is_tls() == is_tls) {
            return Err(UpstreamTargetError::MixedSchemes);
        }
        if origins.len() > UPSTREAM_ORIGINS_MAX {
            return Err(UpstreamTargetError::TooMany);
        }
        Ok(Self { origins, is_tls })
    }

    /// The origins, at least one, in the order in which they were written.
    pub fn origins(&self) -> &[UpstreamOrigin] {
        &self.origins
    }

    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl fmt::Display for UpstreamTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, origin) in self.origins.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{origin}")?;
        }
        Ok(())
    }
}

impl UpstreamOrigin {
    fn parse(url: &str) -> Result<Self, UpstreamTargetError> {
        let uri: Uri = url.parse().map_err(|_| UpstreamTargetError::Malformed)?;
        let authority = uri.authority().ok_or(UpstreamTargetError::Malformed)?;
        let (is_tls, default_port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(UpstreamTargetError::Scheme),
        };
        if authority.as_str().contains('@') || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(UpstreamTargetError::NotAnOrigin);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let has_odd_port =
            authority.as_str().len() > authority.host().len() && authority.port_u16().is_none();
        if host.is_empty() || has_odd_port {
            return Err(UpstreamTargetError::Malformed);
        }
        let server_name =
            || ServerName::try_from(host.to_owned()).map_err(|_| UpstreamTargetError::Malformed);
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(default_port),
            authority: authority.as_str().to_owned(),
            server_name: is_tls.then(server_name).transpose()?,
        })
    }

    /// The host's name or address, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn is_tls(&self) -> bool {
        self.server_name.is_some()
    }

    /// What the `Host` header says of it.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Whose certificate it must show; none without TLS.
    pub(crate) fn server_name(&self) -> Option<&ServerName<'static>> {
        self.server_name.as_ref()
    }
}

impl fmt::Display for UpstreamOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls() { "https" } else { "http" };
        write!(formatter, "{scheme}://{}", self.authority)
    }
}

/// The path that is asked for to learn whether an address is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthPath(String);

impl HealthPath {
    /// From a path such as `/api/status`, with or without a query; none when it could not stand in a request's first line.
    pub fn parse(path: &str) -> Option<Self> {
        let is_path =
            path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        (is_path && path.len() <= HEALTH_PATH_BYTES_MAX).then(|| Self(path.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_one_origin_or_several_of_one_scheme() {
        for (url, host, port) in [
            ("http://127.0.0.1:3000", "127.0.0.1", 3000),
            ("http://new-api:3000/", "new-api", 3000),
            ("http://Gateway.example", "gateway.example", 80),
            ("https://gateway.example", "gateway.example", 443),
            ("https://gateway.example:8443", "gateway.example", 8443),
            ("https://192.0.2.1", "192.0.2.1", 443),
            ("http://[::1]:3000", "::1", 3000),
        ] {
            let target = UpstreamTarget::parse(url).expect(url);
            let [origin] = target.origins() else {
                panic!("{url}: one origin")
            };
            assert_eq!((origin.host(), origin.port()), (host, port), "{url}");
            assert_eq!(target.is_tls(), url.starts_with("https"));
        }
        let several = UpstreamTarget::parse("http://a:1, http://a:2,http://b").expect("three origins");
        assert_eq!(several.to_string(), "http://a:1, http://a:2, http://b");
        for (url, error) in [
            ("", UpstreamTargetError::Malformed),
            ("127.0.0.1:3000", UpstreamTargetError::Scheme),
            ("ftp://gateway.example", UpstreamTargetError::Scheme),
            ("http://u:p@host", UpstreamTargetError::NotAnOrigin),
            ("http://host/v1", UpstreamTargetError::NotAnOrigin),
            ("http://host?x=1", UpstreamTargetError::NotAnOrigin),
            ("http://host:99999", UpstreamTargetError::Malformed),
            ("/v1", UpstreamTargetError::Malformed),
            ("http://a,", UpstreamTargetError::Malformed),
            ("http://a,https://b", UpstreamTargetError::MixedSchemes),
            ("http://a,http://A:80", UpstreamTargetError::Repeated),
        ] {
            assert_eq!(UpstreamTarget::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn origins_are_bounded() {
        let urls = |count: usize| {
            (0..count)
                .map(|n| format!("http://h{n}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        assert!(UpstreamTarget::parse(&urls(UPSTREAM_ORIGINS_MAX)).is_ok());
        assert_eq!(
            UpstreamTarget::parse(&urls(UPSTREAM_ORIGINS_MAX + 1)),
            Err(UpstreamTargetError::TooMany)
        );
    }

    #[test]
    fn a_health_path_fits_into_a_request_line() {
        for path in ["/", "/api/status?probe=1"] {
            assert_eq!(
                HealthPath::parse(path).as_ref().map(HealthPath::as_str),
                Some(path)
            );
        }
        let long = format!("/{}", "x".repeat(HEALTH_PATH_BYTES_MAX));
        for path in ["", "api", "/a b", "/a\r\nx: y", "/a#b", "/ä", &long] {
            assert_eq!(HealthPath::parse(path), None, "{path:?}");
        }
        assert!(HealthPath::parse(&long[..HEALTH_PATH_BYTES_MAX]).is_some());
    }
}
