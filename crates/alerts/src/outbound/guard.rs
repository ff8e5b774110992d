//! From a destination to the addresses that may be connected to. Must never give an address that was not judged just now.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use sentinel_core::network::{ClientIp, Network};
use url::Host;

use super::special::is_special;
use super::{Destination, OutboundError};

/// The most addresses of a name that are looked at.
pub const RESOLVED_MAX: usize = 32;

/// Resolves names.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of a name.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.take(RESOLVED_MAX).map(|address| address.ip()).collect())
    }
}

/// Says which addresses may be connected to.
#[derive(Clone)]
pub struct Guard {
    resolver: Arc<dyn Resolve>,
    allowed: Arc<[Network]>,
}

impl Guard {
    /// Public addresses, and those in `allowed`: for receivers inside the installation.
    pub fn new(resolver: Arc<dyn Resolve>, allowed: impl Into<Arc<[Network]>>) -> Self {
        Self {
            resolver,
            allowed: allowed.into(),
        }
    }

    /// The addresses of the destination that may be connected to: at least one. The others are left out.
    pub async fn addresses(&self, destination: &Destination) -> Result<Vec<SocketAddr>, OutboundError> {
        let found = match &destination.host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => self
                .resolver
                .resolve(name)
                .await
                .map_err(|_| OutboundError::Unresolved(name.clone()))?,
        };
        let host = destination.host.to_string();
        let Some(first) = found.first().copied() else {
            return Err(OutboundError::Unresolved(host));
        };
        let judged: Vec<SocketAddr> = found
            .into_iter()
            .take(RESOLVED_MAX)
            .filter_map(|address| judge(address, &self.allowed))
            .map(|address| SocketAddr::new(address, destination.port))
            .collect();
        if judged.is_empty() {
            return Err(OutboundError::Forbidden { host, address: first });
        }
        Ok(judged)
    }
}

/// The address to connect to, when that is allowed. An IPv4 address that is mapped into IPv6 is never public; where its network is allowed,
/// it is connected to as what it is.
pub(super) fn judge(address: IpAddr, allowed: &[Network]) -> Option<IpAddr> {
    let canonical = ClientIp::new(address);
    if allowed.iter().any(|network| network.contains(canonical)) {
        return Some(canonical.addr());
    }
    (!is_special(address)).then_some(address)
}
