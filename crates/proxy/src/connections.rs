//! The open client connections of one worker, so that a drain can reach those that are waiting for their client.

use std::task::Waker;

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
        assert_eq!(connections.phase(), Phase::Draining);
        assert_eq!(connections.slots.iter().flatten().count(), 1);
    }
}
