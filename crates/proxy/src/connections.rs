//! The open client connections of one worker: so that a drain reaches those that wait for their client, and a changed binding those
//! that carry its key's requests.
//!
//! Connections are listed by key, so that a changed binding costs what its own key's connections cost, however many others there are. One stays
//! listed between its requests, which mostly have the same key: those cost a comparison.

use std::collections::HashMap;
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
    listed: Option<Listed>,
}

/// A connection's place in the list of its key.
#[derive(Clone, Copy, Debug)]
struct Listed {
    fingerprint: KeyFingerprint,
    previous: Option<usize>,
    next: Option<usize>,
}

/// The open connections. Their number is bounded by the permits that the listener gives out.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    phase: Phase,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// The first one of each key that an open connection carries or carried last.
    by_key: HashMap<KeyFingerprint, usize>,
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
            listed: None,
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
        self.unlist(index);
        self.slots[index] = None;
        self.free.push(index);
    }

    /// Says whose request the connection carries now; nobody's between requests.
    pub(crate) fn set_live(&mut self, index: usize, live: Option<Live>) {
        let Some(slot) = &mut self.slots[index] else {
            return;
        };
        slot.live = live;
        slot.live_since = self.looks;
        let listed = slot.listed.map(|listed| listed.fingerprint);
        if let Some(live) = live.filter(|live| listed != Some(live.fingerprint)) {
            self.unlist(index);
            self.list(index, live.fingerprint);
        }
    }

    /// Puts a connection in front of its key's list.
    fn list(&mut self, index: usize, fingerprint: KeyFingerprint) {
        let next = self.by_key.insert(fingerprint, index);
        if let Some(listed) = next.and_then(|next| self.listed(next)) {
            listed.previous = Some(index);
        }
        if let Some(slot) = &mut self.slots[index] {
            slot.listed = Some(Listed {
                fingerprint,
                previous: None,
                next,
            });
        }
    }

    /// Takes it out of the list that it is in.
    fn unlist(&mut self, index: usize) {
        let Some(gone) = self.slots[index].as_mut().and_then(|slot| slot.listed.take()) else {
            return;
        };
        if let Some(next) = gone.next.and_then(|next| self.listed(next)) {
            next.previous = gone.previous;
        }
        match (gone.previous, gone.next) {
            (Some(previous), next) => {
                if let Some(previous) = self.listed(previous) {
                    previous.next = next;
                }
            }
            (None, Some(next)) => {
                self.by_key.insert(gone.fingerprint, next);
            }
            (None, None) => {
                self.by_key.remove(&gone.fingerprint);
            }
        }
    }

    fn listed(&mut self, index: usize) -> Option<&mut Listed> {
        self.slots[index].as_mut()?.listed.as_mut()
    }

    /// Calls `visit` with each connection of this key, and no other.
    fn visit(&mut self, fingerprint: &KeyFingerprint, mut visit: impl FnMut(&mut Slot)) {
        let mut next = self.by_key.get(fingerprint).copied();
        while let Some(slot) = next.and_then(|index| self.slots[index].as_mut()) {
            next = slot.listed.and_then(|listed| listed.next);
            visit(slot);
        }
    }

    /// Begins to look a binding up.
    pub(crate) fn begin_look(&mut self) -> Look {
        self.looks.0 += 1;
        self.looks
    }

    /// This key's requests under these bindings, which were claims and are taken back, go on without one.
    pub(crate) fn let_go(&mut self, fingerprint: &KeyFingerprint, is_released: impl Fn(BindingId) -> bool) {
        self.visit(fingerprint, |slot| {
            if let Some(live) = &mut slot.live {
                live.binding = live.binding.filter(|id| !is_released(*id));
            }
        });
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
    pub(crate) fn live_keys(&self) -> Vec<KeyFingerprint> {
        let is_live = |first: usize| {
            let mut next = Some(first);
            while let Some(slot) = next.and_then(|index| self.slots[index].as_ref()) {
                if slot.live.is_some() {
                    return true;
                }
                next = slot.listed.and_then(|listed| listed.next);
            }
            false
        };
        let keys = self.by_key.iter().filter(|(_, first)| is_live(**first));
        keys.map(|(fingerprint, _)| *fingerprint).collect()
    }

    /// How many requests of this key are under way.
    pub(crate) fn count_live(&self, fingerprint: &KeyFingerprint) -> u64 {
        let mut count = 0;
        let mut next = self.by_key.get(fingerprint).copied();
        while let Some(slot) = next.and_then(|index| self.slots[index].as_ref()) {
            count += u64::from(slot.live.is_some());
            next = slot.listed.and_then(|listed| listed.next);
        }
        count
    }

    /// Ends the connections that carry a request of this key since before the look, unless it `may` go on. Says how many.
    pub(crate) fn judge(
        &mut self,
        fingerprint: &KeyFingerprint,
        look: Look,
        may: impl Fn(Live) -> bool,
    ) -> usize {
        let mut ended = 0;
        self.visit(fingerprint, |slot| {
            let is_judged = !slot.is_cut && slot.live_since < look;
            if is_judged && slot.live.is_some_and(|live| !may(live)) {
                slot.is_cut = true;
                slot.waker.wake_by_ref();
                ended += 1;
            }
        });
        ended
    }
}

#[cfg(test)]
mod tests;
