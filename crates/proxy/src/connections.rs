//! The open client connections of one worker: so that a drain reaches those that wait for their client, a changed binding those
//! that carry its key's requests, and one address cannot take all of them.

use std::collections::{BTreeSet, HashMap};
use std::task::Waker;

use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::{ClientIp, Network};

use crate::throttle::source;

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

/// Whose request a connection carries: what a changed binding is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    /// The key.
    pub(crate) fingerprint: KeyFingerprint,
    /// Where from.
    pub(crate) client_ip: ClientIp,
    /// Whether it had a binding when it was let on.
    pub(crate) was_bound: bool,
}

/// An open connection.
#[derive(Debug)]
struct Slot {
    waker: Waker,
    live: Option<Live>,
    is_cut: bool,
}

/// The open connections. Their number is bounded by the permits that the listener gives out.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    phase: Phase,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
}

impl Connections {
    /// What open connections should do now.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Enters a connection; the waker of its task calls it when the phase changes, or its key's binding.
    pub(crate) fn enter(&mut self, waker: Waker) -> usize {
        let slot = Slot {
            waker,
            live: None,
            is_cut: false,
        };
        if let Some(index) = self.free.pop() {
            self.slots[index] = Some(slot);
            return index;
        }
        self.slots.push(Some(slot));
        self.slots.len() - 1
    }

    /// Takes a connection out.
    pub(crate) fn leave(&mut self, index: usize) {
        self.slots[index] = None;
        self.free.push(index);
    }

    /// Says whose request the connection carries now; nobody's between requests.
    pub(crate) fn set_live(&mut self, index: usize, live: Option<Live>) {
        if let Some(slot) = &mut self.slots[index] {
            slot.live = live;
        }
    }

    /// Whether the connection has to end at once.
    pub(crate) fn is_over(&self, index: usize) -> bool {
        self.phase == Phase::Closing || self.slots[index].as_ref().is_some_and(|slot| slot.is_cut)
    }

    /// Tells all of them to finish or to close.
    pub(crate) fn change_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.slots
            .iter()
            .flatten()
            .for_each(|slot| slot.waker.wake_by_ref());
    }

    /// The keys whose requests are under way.
    pub(crate) fn live_keys(&self) -> BTreeSet<KeyFingerprint> {
        self.slots
            .iter()
            .flatten()
            .filter_map(|slot| slot.live)
            .map(|live| live.fingerprint)
            .collect()
    }

    /// Ends the connections that carry a request of this key, unless it `may` go on. Says how many.
    pub(crate) fn judge(&mut self, fingerprint: &KeyFingerprint, may: impl Fn(Live) -> bool) -> usize {
        let mut ended = 0;
        for slot in self.slots.iter_mut().flatten().filter(|slot| !slot.is_cut) {
            if slot
                .live
                .is_some_and(|live| live.fingerprint == *fingerprint && !may(live))
            {
                slot.is_cut = true;
                slot.waker.wake_by_ref();
                ended += 1;
            }
        }
        ended
    }
}

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
        assert_eq!(
            (connections.phase(), connections.is_over(first)),
            (Phase::Draining, false)
        );
        connections.change_phase(Phase::Closing);
        assert!(connections.is_over(first));
        assert_eq!(connections.slots.iter().flatten().count(), 1);
    }

    #[test]
    fn a_changed_binding_ends_its_own_keys_requests_only() {
        let ip = |last| ClientIp::new([192, 0, 2, last].into());
        let key = |byte| KeyFingerprint::from_bytes([byte; 32]);
        let mut connections = Connections::default();
        let lives = [(1, 1), (1, 2), (2, 1)];
        for (byte, last) in lives {
            let index = connections.enter(Waker::noop().clone());
            connections.set_live(
                index,
                Some(Live {
                    fingerprint: key(byte),
                    client_ip: ip(last),
                    was_bound: true,
                }),
            );
        }
        let between_requests = connections.enter(Waker::noop().clone());
        assert_eq!(connections.live_keys().len(), 2);
        assert_eq!(connections.judge(&key(1), |live| live.client_ip == ip(1)), 1);
        assert_eq!(
            [0, 1, 2, between_requests].map(|index| connections.is_over(index)),
            [false, true, false, false]
        );
        assert_eq!(connections.judge(&key(1), |_| false), 1, "each is ended once");
    }
}
