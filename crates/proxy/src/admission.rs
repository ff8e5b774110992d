//! How much of the server clients may hold: connections and streams of HTTP/2 alike, all together and of one address. Counted for all workers
//! in one place, since the kernel spreads connections as it likes and all streams of a connection have one worker. What is counted here is given back by
//! being dropped, however it ends.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_utils::CachePadded;
use sentinel_core::network::{ClientIp, Network};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::throttle::source;
use crate::worker::Worker;

/// The part of an IPv6 address that one site, with many /64s of its own, usually has.
const IPV6_SITE_PREFIX: u8 = 48;
/// How many times as much as one address a whole IPv6 site may hold: whoever has a /48 has 65536 /64s.
pub(crate) const SHARES_PER_SITE_MAX: usize = 4;
/// In how many parts addresses are counted, so that workers rarely wait for each other.
const SHARDS: usize = 64;

/// The places that all clients together may take.
#[derive(Debug)]
pub(crate) struct Places(Arc<Semaphore>);

impl Places {
    pub(crate) fn new(connections_max: usize) -> Self {
        let places = connections_max.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(places)))
    }

    /// One for a connection, when it is its turn.
    pub(crate) async fn wait(&self) -> OwnedSemaphorePermit {
        let place = Arc::clone(&self.0).acquire_owned().await;
        place.expect("the semaphore is never closed")
    }

    /// One for a further stream. The last free one is kept for the next connection, so that streams cannot take all of them.
    pub(crate) fn take_for_stream(&self) -> Option<OwnedSemaphorePermit> {
        let mut both = Arc::clone(&self.0).try_acquire_many_owned(2).ok()?;
        both.split(1)
    }
}

/// How many connections and streams each address has open. Bounded by those that are open.
#[derive(Debug)]
pub(crate) struct PerAddress {
    shards: Box<[CachePadded<Mutex<Open>>]>,
    hasher: RandomState,
}

type Open = HashMap<Network, usize>;

impl Default for PerAddress {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| CachePadded::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl PerAddress {
    /// Enters one; false, and nothing entered, when the address has `most` of them already, or its site several times as many.
    pub(crate) fn enter(&self, address: ClientIp, most: usize) -> bool {
        let (source, site) = (source(address), site(address));
        let mut open = self.shard(site.unwrap_or(source));
        let has_room = |network: &Network, most: usize| open.get(network).is_none_or(|open| *open < most);
        let may = has_room(&source, most)
            && site.is_none_or(|site| has_room(&site, most.saturating_mul(SHARES_PER_SITE_MAX)));
        if may {
            for network in std::iter::once(source).chain(site) {
                *open.entry(network).or_insert(0) += 1;
            }
        }
        may
    }

    /// Takes one out.
    pub(crate) fn leave(&self, address: ClientIp) {
        let (source, site) = (source(address), site(address));
        let mut open = self.shard(site.unwrap_or(source));
        for network in std::iter::once(source).chain(site) {
            if let Some(count) = open.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    open.remove(&network);
                }
            }
        }
    }

    /// Where an address is counted: by its site, if it has one, so that both are under one lock.
    fn shard(&self, network: Network) -> MutexGuard<'_, Open> {
        let shards = self.shards.len() as u64;
        let index = usize::try_from(self.hasher.hash_one(network) % shards).unwrap_or(0);
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn site(address: ClientIp) -> Option<Network> {
    let site = Network::widen(address, 32, IPV6_SITE_PREFIX);
    (site != source(address)).then_some(site)
}

/// An accepted connection: the worker does not end before it does.
pub(crate) struct Accepted {
    worker: Rc<Worker>,
    _permit: OwnedSemaphorePermit,
}

impl Accepted {
    pub(crate) fn new(worker: &Rc<Worker>, permit: OwnedSemaphorePermit) -> Self {
        worker.open.set(worker.open.get() + 1);
        worker.figures().connections_open.increment();
        Self {
            worker: Rc::clone(worker),
            _permit: permit,
        }
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.worker.figures().connections_open.decrement();
        self.worker.open.set(self.worker.open.get() - 1);
        if self.worker.open.get() == 0 {
            self.worker.all_closed.notify_one();
        }
    }
}

/// One of the connections or streams that an address may have.
pub(crate) struct Share {
    worker: Rc<Worker>,
    counted: Option<ClientIp>,
}

impl Share {
    /// None when the address has too many already. `counted` is none for a trusted proxy, which stands for many clients.
    pub(crate) fn take(worker: &Rc<Worker>, counted: Option<ClientIp>) -> Option<Self> {
        let most = worker.shared.bounds.connections_per_address_max;
        let counted = counted.filter(|_| most > 0);
        if let Some(address) = counted
            && !worker.shared.per_address.enter(address, most)
        {
            return None;
        }
        Some(Self {
            worker: Rc::clone(worker),
            counted,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(address) = self.counted {
            self.worker.shared.per_address.leave(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> ClientIp {
        ClientIp::new(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_has_so_many_connections_and_no_trace_without_any() {
        let open = PerAddress::default();
        assert!(open.enter(ip("2001:db8::1"), 2) && open.enter(ip("2001:db8::2"), 2));
        assert!(!open.enter(ip("2001:db8::3"), 2), "one /64 is one source");
        assert!(open.enter(ip("192.0.2.1"), 2));
        assert!(open.enter(ip("::ffff:192.0.2.1"), 2));
        assert!(!open.enter(ip("192.0.2.1"), 2), "one address in two spellings");
        open.leave(ip("2001:db8::1"));
        assert!(open.enter(ip("2001:db8::3"), 2));
        for address in ["2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.1"] {
            open.leave(ip(address));
        }
        let is_empty =
            |shard: &CachePadded<Mutex<Open>>| shard.lock().expect("no panic while locked").is_empty();
        assert!(open.shards.iter().all(is_empty));
    }

    /// Whoever has a /48 must not have 65536 addresses.
    #[test]
    fn an_ipv6_site_has_some_times_as_many() {
        let open = PerAddress::default();
        for number in 0..2 * SHARES_PER_SITE_MAX {
            assert!(open.enter(ip(&format!("2001:db8:1:{number}::1")), 2), "{number}");
        }
        assert!(!open.enter(ip("2001:db8:1:ffff::1"), 2));
        assert!(open.enter(ip("2001:db8:2::1"), 2), "another site");
        open.leave(ip("2001:db8:1:3::1"));
        assert!(open.enter(ip("2001:db8:1:ffff::1"), 2));
    }

    #[test]
    fn workers_count_together() {
        let open = PerAddress::default();
        let entered: usize = std::thread::scope(|scope| {
            let enter = || (0..100).filter(|_| open.enter(ip("2001:db8::1"), 100)).count();
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(enter)).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().expect("no panic"))
                .sum()
        });
        assert_eq!(entered, 100);
    }

    #[tokio::test]
    async fn streams_leave_a_place_for_the_next_connection() {
        let places = Places::new(3);
        let connection = places.wait().await;
        let stream = places.take_for_stream().expect("two are free");
        assert!(places.take_for_stream().is_none(), "the last one is kept");
        let next = places.wait().await;
        drop((connection, next));
        assert!(places.take_for_stream().is_some());
        drop(stream);
        assert_eq!(places.0.available_permits(), 3);
    }
}
