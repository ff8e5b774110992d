//! The open client connections of one worker: so that a drain reaches those that wait for their client, and a changed binding those
//! that carry its key's requests.

use std::collections::BTreeSet;
use std::task::Waker;

use sentinel_core::binding::BindingId;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::ClientIp;

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
    /// Under which binding it goes on; none when it was let on without one.
    pub(crate) binding: Option<BindingId>,
}

/// When somebody began to look a binding up: what was let on later was judged by what is newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Look(u64);

/// An open connection.
#[derive(Debug)]
struct Slot {
    waker: Waker,
    live: Option<Live>,
    /// After how many looks at bindings that was said.
    live_since: Look,
    is_cut: bool,
}

/// The open connections. Their number is bounded by the permits that the listener gives out.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    phase: Phase,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    looks: Look,
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
            live_since: self.looks,
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
            slot.live_since = self.looks;
        }
    }

    /// Begins to look a binding up.
    pub(crate) fn begin_look(&mut self) -> Look {
        self.looks.0 += 1;
        self.looks
    }

    /// The requests under these bindings, which were claims and are taken back, go on without one.
    pub(crate) fn let_go(&mut self, is_released: impl Fn(BindingId) -> bool) {
        for live in self
            .slots
            .iter_mut()
            .flatten()
            .filter_map(|slot| slot.live.as_mut())
        {
            live.binding = live.binding.filter(|id| !is_released(*id));
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

    /// Ends the connections that carry a request of this key since before the look, unless it `may` go on. Says how many.
    pub(crate) fn judge(
        &mut self,
        fingerprint: &KeyFingerprint,
        look: Look,
        may: impl Fn(Live) -> bool,
    ) -> usize {
        let mut ended = 0;
        let slots = self.slots.iter_mut().flatten();
        for slot in slots.filter(|slot| !slot.is_cut && slot.live_since < look) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
                    binding: Some(BindingId(1)),
                }),
            );
        }
        let between_requests = connections.enter(Waker::noop().clone());
        assert_eq!(connections.live_keys().len(), 2);
        let look = connections.begin_look();
        assert_eq!(
            connections.judge(&key(1), look, |live| live.client_ip == ip(1)),
            1
        );
        assert_eq!(
            [0, 1, 2, between_requests].map(|index| connections.is_over(index)),
            [false, true, false, false]
        );
        assert_eq!(
            connections.judge(&key(1), look, |_| false),
            1,
            "each is ended once"
        );
    }

    #[test]
    fn what_was_let_on_during_a_look_is_not_judged_by_it() {
        let key = KeyFingerprint::from_bytes([1; 32]);
        let mut connections = Connections::default();
        let live = Live {
            fingerprint: key,
            client_ip: ClientIp::new([192, 0, 2, 1].into()),
            binding: None,
        };
        let before = connections.enter(Waker::noop().clone());
        connections.set_live(before, Some(live));
        let look = connections.begin_look();
        let during = connections.enter(Waker::noop().clone());
        connections.set_live(during, Some(live));
        assert_eq!(connections.judge(&key, look, |_| false), 1);
        assert_eq!(
            [before, during].map(|index| connections.is_over(index)),
            [true, false]
        );
        let look = connections.begin_look();
        assert_eq!(connections.judge(&key, look, |_| false), 1, "the next one does");
    }
}
