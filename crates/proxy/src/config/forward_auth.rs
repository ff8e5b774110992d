//! What an operator chooses about forward authentication: which proxy asks, from where, and what an unknown key means.

use std::net::SocketAddr;

use http::HeaderName;
use sentinel_core::client_ip::{ClientIpRules, ClientIpSource};
use sentinel_core::network::{ClientIp, Network};

/// The listener that other proxies ask whether a request may go on.
#[derive(Clone, Debug)]
pub struct ForwardAuth {
    /// Where they ask.
    pub listen: SocketAddr,
    /// How they tell what they ask about.
    pub convention: AuthConvention,
    /// Who may ask.
    peers: Box<[Network]>,
    client_ip: ClientIpRules,
    /// Whether an unknown key is bound by being asked about.
    pub claims: bool,
}

impl ForwardAuth {
    /// `peers` may ask; they and `further_proxies` are passed over where a list of addresses names the client.
    pub fn new(
        listen: SocketAddr,
        convention: AuthConvention,
        peers: Vec<Network>,
        further_proxies: &[Network],
        claims: bool,
    ) -> Self {
        let trusted: Vec<Network> = peers.iter().chain(further_proxies).copied().collect();
        Self {
            listen,
            convention,
            client_ip: ClientIpRules::new(trusted, convention.client_ip_source()),
            peers: peers.into(),
            claims,
        }
    }

    /// Whether this address may ask.
    pub(crate) fn may_ask(&self, address: ClientIp) -> bool {
        self.peers.iter().any(|network| network.contains(address))
    }

    /// Whom to believe about client addresses.
    pub(crate) fn client_ip(&self) -> &ClientIpRules {
        &self.client_ip
    }
}

/// How a proxy that asks tells which request it asks about, and whose it is. There is one for each installation: a proxy passes on what it
/// does not write itself, so that another one's words would be the client's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthConvention {
    /// `X-Forwarded-Method`, `X-Forwarded-Uri` and `X-Forwarded-For`, as Traefik and Caddy write them by themselves.
    Forwarded,
    /// `X-Original-Method`, `X-Original-URI` and `X-Real-IP`, as an Nginx is told to write them.
    Original,
    /// The method and the path of the question, behind `/auth`, and `X-Forwarded-For`, as Envoy does it.
    Path,
}

impl AuthConvention {
    fn client_ip_source(self) -> ClientIpSource {
        let header = match self {
            Self::Forwarded | Self::Path => "x-forwarded-for",
            Self::Original => "x-real-ip",
        };
        ClientIpSource::from_header(HeaderName::from_static(header))
    }
}
