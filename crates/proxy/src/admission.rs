//! How much of the server clients may hold: connections and streams of HTTP/2 alike, all together and of one address. What is counted here
//! is given back by being dropped, however it ends.

use std::collections::HashMap;
use std::rc::Rc;

use sentinel_core::network::{ClientIp, Network};
use tokio::sync::OwnedSemaphorePermit;

use crate::throttle::source;
use crate::worker::Worker;

/// The part of an IPv6 address that one site, with many /64s of its own, usually has.
const IPV6_SITE_PREFIX: u8 = 48;
/// How many times as much as one address a whole IPv6 site may hold: whoever has a /48 has 65536 /64s.
pub(crate) const SHARES_PER_SITE_MAX: usize = 4;

/// How many connections and streams each address has open on one worker. Bounded by those that are open.
#[derive(Debug, Default)]
pub(crate) struct PerAddress {
    open: HashMap<Network, usize>,
}

impl PerAddress {
    /// Enters one; false, and nothing entered, when the address has `most` of them already, or its site several times as many.
    pub(crate) fn enter(&mut self, address: ClientIp, most: usize) -> bool {
        let (source, site) = (source(address), site(address));
        let has_room =
            |network: &Network, most: usize| self.open.get(network).is_none_or(|open| *open < most);
        let may = has_room(&source, most)
            && site.is_none_or(|site| has_room(&site, most.saturating_mul(SHARES_PER_SITE_MAX)));
        if may {
            for network in std::iter::once(source).chain(site) {
                *self.open.entry(network).or_insert(0) += 1;
            }
        }
        may
    }

    /// Takes one out.
    pub(crate) fn leave(&mut self, address: ClientIp) {
        for network in std::iter::once(source(address)).chain(site(address)) {
            if let Some(open) = self.open.get_mut(&network) {
                *open -= 1;
                if *open == 0 {
                    self.open.remove(&network);
                }
            }
        }
    }
}

fn site(address: ClientIp) -> Option<Network> {
    let site = Network::widen(address, 32, IPV6_SITE_PREFIX);
    (site != source(address)).then_some(site)
}

/// An accepted connection: the worker does not end before it does.
pub(crate) struct Open {
    worker: Rc<Worker>,
    _permit: OwnedSemaphorePermit,
}

impl Open {
    pub(crate) fn new(worker: &Rc<Worker>, permit: OwnedSemaphorePermit) -> Self {
        worker.open.set(worker.open.get() + 1);
        worker.figures().connections_open.increment();
        Self {
            worker: Rc::clone(worker),
            _permit: permit,
        }
    }
}

impl Drop for Open {
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
        let most = worker.connections_per_address_max();
        let counted = counted.filter(|_| most > 0);
        if let Some(address) = counted
            && !worker.per_address.borrow_mut().enter(address, most)
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
            self.worker.per_address.borrow_mut().leave(address);
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
        let mut open = PerAddress::default();
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
        assert!(open.open.is_empty());
    }

    /// Whoever has a /48 must not have 65536 addresses.
    #[test]
    fn an_ipv6_site_has_some_times_as_many() {
        let mut open = PerAddress::default();
        for number in 0..2 * SHARES_PER_SITE_MAX {
            assert!(open.enter(ip(&format!("2001:db8:1:{number}::1")), 2), "{number}");
        }
        assert!(!open.enter(ip("2001:db8:1:ffff::1"), 2));
        assert!(open.enter(ip("2001:db8:2::1"), 2), "another site");
        open.leave(ip("2001:db8:1:3::1"));
        assert!(open.enter(ip("2001:db8:1:ffff::1"), 2));
    }
}
