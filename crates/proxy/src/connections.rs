//! The open client connections of one worker: so that a drain can reach those that are waiting for their client, and so that
//! one address cannot take all of them.

use std::collections::HashMap;
use std::task::Waker;

use sentinel_core::network::{ClientIp, Network};

/// What open connections should do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Serve.
    #[default]
    Serving,
    /// Finish what is under way, then close.
    Draining,
    /// Close now.
    Closing,
}

/// The open connections. Their number is bounded by the permits that the listener gives out.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    phase: Phase,
    slots: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Connections {
    /// What open connections should do now.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Enters a connection; the waker of its task calls it when the phase changes.
    pub(crate) fn enter(&mut self, waker: Waker) -> usize {
        if let Some(slot) = self.free.pop() {
            self.slots[slot] = Some(waker);
            return slot;
        }
        self.slots.push(Some(waker));
        self.slots.len() - 1
    }

    /// Takes a connection out.
    pub(crate) fn leave(&mut self, slot: usize) {
        self.slots[slot] = None;
        self.free.push(slot);
    }

    /// Tells all of them to finish or to close.
    pub(crate) fn change_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.slots.iter().flatten().for_each(Waker::wake_by_ref);
    }
}

/// The part of an IPv6 address that one customer of a network usually has.
const IPV6_PREFIX: u8 = 64;

/// How many connections each address has open on one worker. Bounded by the connections that are open.
#[derive(Debug, Default)]
pub(crate) struct PerAddress {
    open: HashMap<Network, usize>,
}

impl PerAddress {
    /// Enters a connection; false, and nothing entered, when the address has `most` of them already.
    pub(crate) fn enter(&mut self, address: ClientIp, most: usize) -> bool {
        let open = self.open.entry(source(address)).or_insert(0);
        if *open >= most {
            return false;
        }
        *open += 1;
        true
    }

    /// Takes a connection out.
    pub(crate) fn leave(&mut self, address: ClientIp) {
        let source = source(address);
        if let Some(open) = self.open.get_mut(&source) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&source);
            }
        }
    }
}

fn source(address: ClientIp) -> Network {
    Network::widen(address, 32, IPV6_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_no_trace_without_any() {
        let ip = |text: &str| ClientIp::new(text.parse().expect("an address"));
        let mut open = PerAddress::default();
        assert!(open.enter(ip("2001:db8::1"), 2) && open.enter(ip("2001:db8::2"), 2));
        assert!(!open.enter(ip("2001:db8::3"), 2), "one /64 is one source");
        assert!(open.enter(ip("192.0.2.1"), 2));
        open.leave(ip("2001:db8::1"));
        assert!(open.enter(ip("2001:db8::3"), 2));
        for address in ["2001:db8::2", "2001:db8::3", "192.0.2.1"] {
            open.leave(ip(address));
        }
        assert!(open.open.is_empty());
    }

    #[test]
    fn slots_are_used_again() {
        let mut connections = Connections::default();
        let first = connections.enter(Waker::noop().clone());
        let second = connections.enter(Waker::noop().clone());
        connections.leave(first);
        assert_eq!(connections.enter(Waker::noop().clone()), first);
        assert_eq!(connections.slots.len(), 2);
        connections.leave(second);
        connections.change_phase(Phase::Draining);
        assert_eq!(connections.phase(), Phase::Draining);
        assert_eq!(connections.slots.iter().flatten().count(), 1);
    }
}
