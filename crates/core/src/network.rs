//! Addresses and networks in one canonical form, made once, at the edge.
//!
//! An IPv4 address that arrives mapped into IPv6 (`::ffff:192.0.2.1`) is folded to IPv4 before anything compares it, and
//! a mapped network is refused where it is written: two spellings of one network would otherwise not match each other.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

/// The other end of the socket, as the kernel told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

impl PeerAddr {
    /// The peer's address, canonical.
    pub fn ip(self) -> ClientIp {
        ClientIp::new(self.0.ip())
    }
}

/// A client's address: canonical, so never IPv4 mapped into IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientIp(IpAddr);

impl ClientIp {
    /// The unspecified address, which no client has.
    pub const UNSPECIFIED: Self = Self(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED));

    /// Folds the address to its canonical form.
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The canonical address.
    pub fn addr(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for ClientIp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A network in CIDR form without host bits; a single address is a network of its full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpNet);

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor a CIDR.
    #[error("'{0}' is neither an IP address nor a network like 203.0.113.0/24")]
    Malformed(String),
    /// IPv4 written as IPv6.
    #[error("'{0}' is an IPv4 network mapped into IPv6: write the IPv4 network")]
    MappedIpv4(String),
}

impl Network {
    /// `address` widened to the first `ipv4_prefix` or `ipv6_prefix` bits. Prefixes longer than the address are capped.
    pub fn widen(address: ClientIp, ipv4_prefix: u8, ipv6_prefix: u8) -> Self {
        let prefix = match address.0 {
            IpAddr::V4(_) => ipv4_prefix.min(32),
            IpAddr::V6(_) => ipv6_prefix.min(128),
        };
        Self(IpNet::new_assert(address.0, prefix).trunc())
    }

    /// The first address.
    pub fn first(&self) -> ClientIp {
        ClientIp::new(self.0.network())
    }

    /// The last address. As every [`ClientIp`] it is canonical: the last one of `::/80` is IPv4's last one.
    pub fn last(&self) -> ClientIp {
        ClientIp::new(self.0.broadcast())
    }

    /// How many bits all its addresses share: at most 32 in IPv4, 128 in IPv6.
    pub fn prefix_length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether all of this network lies in the other one.
    pub fn is_within(&self, other: &Self) -> bool {
        other.0.contains(&self.0)
    }

    /// Whether some address lies in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.is_within(other) || other.is_within(self)
    }

    /// Whether the address lies in this network.
    pub fn contains(&self, address: ClientIp) -> bool {
        self.0.contains(&address.0)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let malformed = || NetworkError::Malformed(text.to_owned());
        let network = if text.contains('/') {
            text.parse::<IpNet>().map_err(|_| malformed())?
        } else {
            IpNet::from(text.parse::<IpAddr>().map_err(|_| malformed())?)
        };
        match network.addr() {
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
                Err(NetworkError::MappedIpv4(text.to_owned()))
            }
            _ => Ok(Self(network.trunc())),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests;
