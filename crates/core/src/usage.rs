//! Uses of a key, counted where the request runs and written elsewhere, later, in batches.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::binding::BindingId;
use crate::time::Timestamp;

/// Counts the uses of one binding between two batches: of one copy of it, when several are in use.
#[derive(Debug, Default)]
pub struct UseCounter {
    last_used_ms: AtomicI64,
    /// The count, in steps of [`UseCounter::ONE`], over the two flags.
    state: AtomicU64,
}

impl UseCounter {
    const QUEUED: u64 = 1;
    const CONFIRMED: u64 = 2;
    const ONE: u64 = 4;

    /// Counts one use. True when this is the first one since the last batch: then the caller hands the counter to the next batch.
    pub fn count(&self, now: Timestamp) -> bool {
        self.last_used_ms.fetch_max(now.unix_ms(), Ordering::Relaxed);
        let before = self.state.fetch_add(Self::ONE, Ordering::AcqRel);
        before & Self::QUEUED == 0 && self.state.fetch_or(Self::QUEUED, Ordering::AcqRel) & Self::QUEUED == 0
    }

    /// Notes that the upstream accepted the key at least once under this binding. Whoever relies on it hears nothing
    /// else from here, so no order is needed; only the first call writes.
    pub fn confirm(&self) {
        if !self.is_confirmed() {
            self.state.fetch_or(Self::CONFIRMED, Ordering::Relaxed);
        }
    }

    /// Whether the upstream accepted the key at least once under this copy of the binding, as far as this replica saw. Such a
    /// binding is in use, so no late refusal by the upstream may release it.
    pub fn is_confirmed(&self) -> bool {
        self.state.load(Ordering::Relaxed) & Self::CONFIRMED != 0
    }

    /// Says that the counter could not be handed over, so that the next use tries again.
    pub fn not_queued(&self) {
        self.state.fetch_and(!Self::QUEUED, Ordering::AcqRel);
    }

    /// Takes what was counted. A use that arrives meanwhile is in this batch or queues the counter for the next one.
    pub fn take(&self, binding: BindingId) -> Option<Uses> {
        let count = self.state.fetch_and(Self::CONFIRMED, Ordering::AcqRel) / Self::ONE;
        let last_used_at = Timestamp::from_unix_ms(self.last_used_ms.load(Ordering::Relaxed));
        (count > 0).then_some(Uses {
            binding,
            count,
            last_used_at,
        })
    }

    /// Puts back what a failed batch did not write.
    pub fn give_back(&self, uses: &Uses) {
        self.state
            .fetch_add(uses.count.saturating_mul(Self::ONE), Ordering::AcqRel);
    }
}

/// The uses of one binding in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses {
    /// Of which binding.
    pub binding: BindingId,
    /// How many.
    pub count: u64,
    /// The last one.
    pub last_used_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_queued_once_per_batch_and_loses_nothing() {
        let counter = UseCounter::default();
        assert!(counter.count(Timestamp::from_unix_ms(5)));
        assert!(!counter.count(Timestamp::from_unix_ms(4)));
        let uses = counter.take(BindingId(1)).expect("two uses");
        assert_eq!((uses.count, uses.last_used_at.unix_ms()), (2, 5));
        assert_eq!(counter.take(BindingId(1)), None);
        counter.give_back(&uses);
        assert!(counter.count(Timestamp::from_unix_ms(9)));
        assert_eq!(counter.take(BindingId(1)).map(|uses| uses.count), Some(3));
    }

    #[test]
    fn what_is_confirmed_stays_confirmed() {
        let counter = UseCounter::default();
        assert!(!counter.is_confirmed());
        assert!(counter.count(Timestamp::from_unix_ms(5)));
        assert!(!counter.is_confirmed(), "a use alone confirms nothing");
        counter.confirm();
        counter.confirm();
        let _ = counter.take(BindingId(1));
        assert!(counter.is_confirmed());
    }
}
