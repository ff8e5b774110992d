//! Whose address a request comes from.
//!
//! A header is believed only when the socket's peer is one of the trusted proxies, and then it must be there and be
//! an address: what cannot be resolved is refused, never guessed. By default nobody is trusted.

mod forwarded;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{FORWARDED, HeaderName};

use crate::header::HeaderLines;
use crate::network::{ClientIp, Network, PeerAddr};

/// The most hops that a list of addresses may name.
pub const HOPS_MAX: usize = 32;

/// The word that stands for the PROXY protocol where a header's name is expected.
const PROXY_PROTOCOL: &str = "proxy-protocol";

/// How a trusted proxy says who its client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientIpSource {
    /// A header with one address, such as `X-Real-IP`.
    Single(HeaderName),
    /// A header to which every hop appends an address, such as `X-Forwarded-For`: read from the right past trusted hops.
    Chain(HeaderName),
    /// `Forwarded` (RFC 7239), read in the same way.
    Forwarded,
    /// The PROXY protocol, in front of everything else on the connection.
    ProxyProtocol,
}

impl ClientIpSource {
    /// The source that a header's name, or `proxy-protocol`, stands for.
    pub fn from_header(name: HeaderName) -> Self {
        match name.as_str() {
            "x-forwarded-for" => Self::Chain(name),
            "forwarded" => Self::Forwarded,
            PROXY_PROTOCOL => Self::ProxyProtocol,
            _ => Self::Single(name),
        }
    }
}

/// Whom to believe about client addresses.
#[derive(Clone, Debug)]
pub struct ClientIpRules {
    trusted: Box<[Network]>,
    source: ClientIpSource,
}

/// A trusted proxy did not say who its client is, or not in one clear way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolvable {
    /// The header is missing.
    #[error("the trusted proxy sent no client address")]
    Missing,
    /// The header is repeated with different values.
    #[error("the trusted proxy sent several client addresses")]
    Repeated,
    /// The header holds something that is no address.
    #[error("the trusted proxy sent a client address that is none")]
    Malformed,
    /// The list names more than [`HOPS_MAX`] hops.
    #[error("the trusted proxy sent a list of more than {HOPS_MAX} hops")]
    TooManyHops,
}

impl ClientIpRules {
    /// Believes `source` from peers in `trusted`; from nobody when that is empty.
    pub fn new(trusted: impl Into<Box<[Network]>>, source: ClientIpSource) -> Self {
        Self {
            trusted: trusted.into(),
            source,
        }
    }

    /// The header that is believed; none for the PROXY protocol.
    pub fn header(&self) -> Option<&HeaderName> {
        match &self.source {
            ClientIpSource::Single(name) | ClientIpSource::Chain(name) => Some(name),
            ClientIpSource::Forwarded => Some(&FORWARDED),
            ClientIpSource::ProxyProtocol => None,
        }
    }

    /// Whether the address is a trusted proxy's. Such an address is never bound: it is not a client's.
    pub fn is_trusted(&self, address: ClientIp) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// The client's address.
    pub fn resolve(&self, peer: PeerAddr, headers: HeaderLines<'_>) -> Result<ClientIp, Unresolvable> {
        let peer = peer.ip();
        if !self.is_trusted(peer) {
            return Ok(peer);
        }
        match &self.source {
            ClientIpSource::Single(name) => single(headers, name),
            ClientIpSource::Chain(name) => self.chain(headers, name, chain_hops),
            ClientIpSource::Forwarded => self.chain(headers, &FORWARDED, forwarded::hops),
            // Said before the first request; a connection on which it was not has no client.
            ClientIpSource::ProxyProtocol => Err(Unresolvable::Missing),
        }
    }

    /// The addresses that the believed header names, from the right, whether they count or not: for people who look why an address counts. What
    /// is no address is none; at most [`HOPS_MAX`].
    pub fn named(&self, headers: HeaderLines<'_>) -> Vec<Option<ClientIp>> {
        let hops_of = |line: &str| match &self.source {
            ClientIpSource::Single(_) => vec![parse_address(line)],
            ClientIpSource::Chain(_) => chain_hops(line),
            ClientIpSource::Forwarded => forwarded::hops(line),
            ClientIpSource::ProxyProtocol => Vec::new(),
        };
        let lines = self.header().map(|name| headers.all(name).rev());
        let hops = lines.into_iter().flatten().flat_map(|line| match line.text() {
            Some(line) => hops_of(line),
            None => vec![None],
        });
        hops.take(HOPS_MAX).collect()
    }

    /// Whether a connection from this peer has to begin with a header of the PROXY protocol.
    pub fn expects_proxy_header(&self, peer: PeerAddr) -> bool {
        self.source == ClientIpSource::ProxyProtocol && self.is_trusted(peer.ip())
    }

    /// The rightmost hop that is not trusted; the leftmost one when all are. `hops` takes one line apart, from the right; a hop
    /// that is no address is none.
    fn chain(
        &self,
        headers: HeaderLines<'_>,
        name: &HeaderName,
        hops: impl Fn(&str) -> Vec<Option<ClientIp>>,
    ) -> Result<ClientIp, Unresolvable> {
        let mut nearest_client = None;
        let mut count = 0;
        for line in headers.all(name).rev() {
            let line = line.text().ok_or(Unresolvable::Malformed)?;
            for hop in hops(line) {
                count += 1;
                if count > HOPS_MAX {
                    return Err(Unresolvable::TooManyHops);
                }
                let address = hop.ok_or(Unresolvable::Malformed)?;
                if !self.is_trusted(address) {
                    return Ok(address);
                }
                nearest_client = Some(address);
            }
        }
        nearest_client.ok_or(Unresolvable::Missing)
    }
}

/// The addresses in one line of a list, from the right.
fn chain_hops(line: &str) -> Vec<Option<ClientIp>> {
    line.rsplit(',').map(parse_address).collect()
}

fn single(headers: HeaderLines<'_>, name: &HeaderName) -> Result<ClientIp, Unresolvable> {
    let mut lines = headers.all(name);
    let first = lines.next().ok_or(Unresolvable::Missing)?;
    if lines.any(|line| line.value != first.value) {
        return Err(Unresolvable::Repeated);
    }
    let text = first.text().ok_or(Unresolvable::Malformed)?;
    parse_address(text).ok_or(Unresolvable::Malformed)
}

/// An address as proxies write it: bare, with a port, or in brackets. No zones, no names, no shortened IPv4.
pub fn parse_address(text: &str) -> Option<ClientIp> {
    let text = text.trim_matches([' ', '\t']);
    let address = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
            return None;
        }
        IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)
    } else if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else {
        let (address, port) = text.split_once(':')?;
        if !is_port(port) {
            return None;
        }
        IpAddr::V4(address.parse::<Ipv4Addr>().ok()?)
    };
    Some(ClientIp::new(address))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests;
