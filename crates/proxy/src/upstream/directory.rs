//! Which addresses the upstream has now. Written by whoever looks names up, read by every worker; an address keeps its record for as
//! long as it is in here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::watch;

use super::UpstreamError;
use super::connector::Connector;
use super::endpoint::Endpoint;
use super::health::DownTime;
use super::resolver::Resolver;
use crate::config::{Bounds, HealthPath, Upstream, UpstreamOrigin};

/// The most addresses of one name that are used; more are left out.
pub(crate) const ADDRESSES_PER_ORIGIN_MAX: usize = 32;

/// What is known of the addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// The addresses.
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// Those whose first lookup has not ended.
    unresolved: Vec<Arc<UpstreamOrigin>>,
    /// Why a name could not be looked up, the last time that one could not.
    failure: Option<String>,
}

impl Listing {
    /// Whether waiting brings no first address.
    pub(crate) fn is_settled(&self) -> bool {
        !self.endpoints.is_empty() || self.unresolved.is_empty()
    }

    /// The lookup of a name has ended; whether it was its first one.
    fn settle(&mut self, origin: &Arc<UpstreamOrigin>) -> bool {
        let before = self.unresolved.len();
        self.unresolved.retain(|other| !Arc::ptr_eq(other, origin));
        self.unresolved.len() < before
    }

    /// Why there is no address.
    pub(crate) fn error(&self) -> UpstreamError {
        let failure = self.failure.as_deref().unwrap_or("no address is known");
        UpstreamError::Unresolved(failure.to_owned())
    }
}

/// The upstream's addresses, and what it takes to find and reach them.
pub(crate) struct Directory {
    pub(crate) connector: Connector,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) health_path: Option<HealthPath>,
    origins: Vec<Arc<UpstreamOrigin>>,
    down_time: DownTime,
    listing: watch::Sender<Listing>,
}

impl Directory {
    /// Origins that are addresses already are in it at once.
    pub(crate) fn new(upstream: &Upstream, bounds: &Bounds) -> Self {
        let origins: Vec<_> = upstream.target.origins().iter().cloned().map(Arc::new).collect();
        let directory = Self {
            connector: Connector::new(upstream),
            resolver: Arc::clone(&upstream.resolver),
            health_path: upstream.health_path.clone(),
            down_time: DownTime {
                min: bounds.upstream_down_min,
                max: bounds.upstream_down_max,
            },
            listing: watch::Sender::new(Listing {
                unresolved: origins.clone(),
                ..Listing::default()
            }),
            origins,
        };
        for origin in &directory.origins {
            if let Some(address) = literal(origin) {
                directory.found(origin, vec![address]);
            }
        }
        directory
    }

    /// The origins whose names have to be looked up.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<UpstreamOrigin>> {
        self.origins.iter().filter(|origin| literal(origin).is_none())
    }

    /// Follows what is known.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Listing> {
        self.listing.subscribe()
    }

    /// The addresses now.
    pub(crate) fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.listing.borrow().endpoints.clone()
    }

    /// How many addresses there are, and how many of them work.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let listing = self.listing.borrow();
        let up = listing
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.is_up())
            .count();
        (listing.endpoints.len(), up)
    }

    /// A name was looked up: these are its addresses now.
    pub(crate) fn found(&self, origin: &Arc<UpstreamOrigin>, mut addresses: Vec<SocketAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.len() > ADDRESSES_PER_ORIGIN_MAX {
            tracing::warn!(%origin, addresses = addresses.len(), "only the first {ADDRESSES_PER_ORIGIN_MAX} addresses of a name are used");
            addresses.truncate(ADDRESSES_PER_ORIGIN_MAX);
        }
        self.listing.send_if_modified(|listing| {
            let is_first = listing.settle(origin);
            let before = listing.endpoints.len();
            listing
                .endpoints
                .retain(|endpoint| !is_of(endpoint, origin) || addresses.contains(&endpoint.address));
            let gone = before - listing.endpoints.len();
            addresses.retain(|address| {
                !listing
                    .endpoints
                    .iter()
                    .any(|endpoint| is_of(endpoint, origin) && endpoint.address == *address)
            });
            let new = addresses.len();
            listing.endpoints.extend(
                addresses
                    .drain(..)
                    .map(|address| Arc::new(Endpoint::new(Arc::clone(origin), address, self.down_time))),
            );
            if gone + new > 0 && !is_first {
                tracing::info!(%origin, gone, new, "an upstream's name has other addresses now");
            }
            is_first || gone + new > 0
        });
    }

    /// A name could not be looked up: what was known of it stays.
    pub(crate) fn not_found(&self, origin: &Arc<UpstreamOrigin>, failure: String) {
        self.listing.send_if_modified(|listing| {
            listing.failure = Some(failure);
            listing.settle(origin)
        });
    }
}

fn is_of(endpoint: &Endpoint, origin: &Arc<UpstreamOrigin>) -> bool {
    Arc::ptr_eq(&endpoint.origin, origin)
}

impl fmt::Debug for Directory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Directory")
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// The address of an origin that is written as one.
fn literal(origin: &UpstreamOrigin) -> Option<SocketAddr> {
    let ip: IpAddr = origin.host().parse().ok()?;
    Some(SocketAddr::new(ip, origin.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UpstreamTarget;

    fn directory(urls: &str) -> Directory {
        let target = UpstreamTarget::parse(urls).expect("origins");
        Directory::new(&Upstream::new(target), &Bounds::default())
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 80))
    }

    #[test]
    fn addresses_are_known_at_once_and_names_when_they_were_looked_up() {
        let directory = directory("http://192.0.2.9,http://gateway");
        assert_eq!(directory.counts(), (1, 1));
        let origin = Arc::clone(directory.names().next().expect("one name"));
        let mut listing = directory.subscribe();
        directory.found(&origin, vec![address(1), address(2), address(1)]);
        assert_eq!(directory.counts(), (3, 3));
        assert!(listing.has_changed().expect("open"));
        listing.borrow_and_update();
        directory.found(&origin, vec![address(2), address(1)]);
        assert!(!listing.has_changed().expect("open"), "the same in another order");
        let stays = directory.endpoints().pop().expect("three");
        directory.found(&origin, vec![address(3), stays.address]);
        let endpoints = directory.endpoints();
        assert_eq!(endpoints.len(), 3);
        assert!(endpoints.iter().any(|endpoint| Arc::ptr_eq(endpoint, &stays)));
        directory.not_found(&origin, "no answer".to_owned());
        assert_eq!(directory.counts(), (3, 3), "what was known stays");
    }

    #[test]
    fn without_an_address_the_first_lookups_are_awaited_and_no_longer() {
        let directory = directory("http://one,http://two");
        let listing = directory.subscribe();
        assert!(!listing.borrow().is_settled());
        for origin in directory.names() {
            assert!(!listing.borrow().is_settled(), "this one may be found");
            directory.not_found(origin, "no such host".to_owned());
        }
        assert!(listing.borrow().is_settled());
        assert!(listing.borrow().error().to_string().contains("no such host"));
    }

    #[test]
    fn the_addresses_of_a_name_are_bounded() {
        let directory = directory("http://gateway");
        let origin = Arc::clone(directory.names().next().expect("one name"));
        let many = |count: usize| {
            (0..count)
                .map(|last| address(u8::try_from(last).expect("few")))
                .collect()
        };
        directory.found(&origin, many(ADDRESSES_PER_ORIGIN_MAX));
        assert_eq!(directory.counts().0, ADDRESSES_PER_ORIGIN_MAX);
        directory.found(&origin, many(ADDRESSES_PER_ORIGIN_MAX + 1));
        assert_eq!(directory.counts().0, ADDRESSES_PER_ORIGIN_MAX);
    }
}
