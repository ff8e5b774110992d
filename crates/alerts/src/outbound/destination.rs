//! Where a call goes, as an operator wrote it. URLs are read as browsers read them, so that `http://0x7f.1/` is seen for the loopback
//! address that it is. Must never print more than the host.

use std::fmt;

use sentinel_core::network::Network;
use url::{Host, Url};

/// What is wrong with a written destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationProblem {
    /// It is no URL with a host.
    #[error("not a URL like https://hooks.example.com/path")]
    Malformed,
    /// Another scheme than `https`, or `http` without leave.
    #[error("only https URLs are called; http only where that is allowed")]
    Scheme,
    /// A name and a password before the host.
    #[error("a URL with a user name or a password in it is not called")]
    Credentials,
    /// Port 0.
    #[error("the port has to be 1 to 65535")]
    Port,
    /// No name and no address.
    #[error("neither a host name nor an address")]
    Host,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub(super) host: Host<String>,
    pub(super) port: u16,
}

impl Destination {
    /// Reads a host: a name or an address, in any form that a URL takes.
    pub fn new(host: &str, port: u16) -> Result<Self, DestinationProblem> {
        let bracketed;
        let text = if host.parse::<std::net::Ipv6Addr>().is_ok() {
            bracketed = format!("[{host}]");
            &bracketed
        } else {
            host
        };
        let host = Host::parse(text).map_err(|_| DestinationProblem::Host)?;
        Self::checked(host, port)
    }

    fn checked(host: Host<String>, port: u16) -> Result<Self, DestinationProblem> {
        if port == 0 {
            return Err(DestinationProblem::Port);
        }
        Ok(Self { host, port })
    }

    /// The address, when it was written as one.
    pub fn literal(&self) -> Option<std::net::IpAddr> {
        match self.host {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// Whether it is an address that would be refused at every attempt: said when it is written, not when an alert is due.
    pub fn is_forbidden(&self, allowed: &[Network]) -> bool {
        self.literal()
            .is_some_and(|address| super::guard::judge(address, allowed).is_none())
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// A URL to call. Its path and query hold secrets and do not print.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    url: Url,
    destination: Destination,
}

impl HttpUrl {
    /// Reads a URL; `http` needs leave.
    pub fn parse(text: &str, is_http_allowed: bool) -> Result<Self, DestinationProblem> {
        let url = Url::parse(text).map_err(|_| DestinationProblem::Malformed)?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_http_allowed) {
            return Err(DestinationProblem::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DestinationProblem::Credentials);
        }
        let host = url.host().ok_or(DestinationProblem::Malformed)?.to_owned();
        let port = url.port_or_known_default().ok_or(DestinationProblem::Port)?;
        let destination = Destination::checked(host, port)?;
        Ok(Self { url, destination })
    }

    /// The same URL with more in its query.
    #[must_use]
    pub fn with_query(&self, pairs: &[(&str, &str)]) -> Self {
        let mut more = self.clone();
        more.url.query_pairs_mut().extend_pairs(pairs);
        more
    }

    /// The same URL with one more segment in its path.
    #[must_use]
    pub fn with_segments(&self, segments: &[&str]) -> Self {
        let mut more = self.clone();
        if let Ok(mut path) = more.url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        more
    }

    /// Where it leads.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// What stands in the request line.
    pub(super) fn target(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// What stands in the `Host` header.
    pub(super) fn authority(&self) -> String {
        match self.url.port() {
            Some(_) => self.destination.to_string(),
            None => self.destination.host.to_string(),
        }
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "HttpUrl({}://{}/…)",
            self.url.scheme(),
            self.destination
        )
    }
}
