//! A binding as a replica keeps it in memory: one allocation, small, because there may be millions of them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::binding::Binding;
use crate::time::Timestamp;
use crate::usage::UseCounter;

/// A shared handle of a [`KnownBinding`]. Without weak handles, whose count every binding would have to carry.
pub type Known = triomphe::Arc<KnownBinding>;

/// A binding as the data plane holds it.
#[derive(Debug)]
pub struct KnownBinding {
    /// What decides.
    pub binding: Binding,
    /// Counts its uses, and knows whether the upstream accepted one.
    pub uses: UseCounter,
    /// Until when it may be given without asking anybody. Nothing outside the cache that holds it may read or write it.
    pub life: Life,
}

impl KnownBinding {
    /// A binding without uses and without life.
    pub fn new(binding: Binding) -> Known {
        Known::new(Self {
            binding,
            uses: UseCounter::default(),
            life: Life::default(),
        })
    }
}

/// Until when a cached binding lives, in which epoch of its cache, and whether somebody was already asked to renew it: in one
/// word, so that it is read whole.
#[derive(Debug, Default)]
pub struct Life(AtomicU64);

/// What a [`Life`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LifeSpan {
    /// It ends before this moment.
    pub until: Timestamp,
    /// It counts in this epoch only; of an epoch, [`Life::EPOCH_BITS`] bits are kept.
    pub epoch: u64,
    /// Whether its renewal was asked for.
    pub is_due: bool,
}

impl Life {
    /// How many bits of an epoch are kept.
    pub const EPOCH_BITS: u32 = 20;
    const EPOCH_MASK: u64 = (1 << Self::EPOCH_BITS) - 1;
    const TIME_BITS: u32 = 63 - Self::EPOCH_BITS;

    /// Gives it a new end.
    pub fn renew(&self, until: Timestamp, epoch: u64) {
        // Before 1970 and after 2248 nothing lives.
        let until = u64::try_from(until.unix_ms()).unwrap_or(0);
        let until = if until >> Self::TIME_BITS == 0 { until } else { 0 };
        let word = (until << (Self::EPOCH_BITS + 1)) | ((epoch & Self::EPOCH_MASK) << 1);
        self.0.store(word, Ordering::Release);
    }

    /// What it says.
    pub fn span(&self) -> LifeSpan {
        let word = self.0.load(Ordering::Acquire);
        LifeSpan {
            until: Timestamp::from_unix_ms((word >> (Self::EPOCH_BITS + 1)).cast_signed()),
            epoch: (word >> 1) & Self::EPOCH_MASK,
            is_due: word & 1 == 1,
        }
    }

    /// Whether it counts in this epoch of the cache.
    pub fn is_of(span: LifeSpan, epoch: u64) -> bool {
        span.epoch == epoch & Self::EPOCH_MASK
    }

    /// Notes that its renewal is asked for; true for the one who was first.
    pub fn ask(&self) -> bool {
        self.0.fetch_or(1, Ordering::AcqRel) & 1 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_says_what_it_was_told() {
        let life = Life::default();
        assert_eq!(life.span(), LifeSpan::default());
        let until = Timestamp::from_unix_ms(1_790_000_000_123);
        life.renew(until, (1 << Life::EPOCH_BITS) + 5);
        let told = LifeSpan {
            until,
            epoch: 5,
            is_due: false,
        };
        assert_eq!(life.span(), told);
        assert!(Life::is_of(told, 5) && Life::is_of(told, (1 << Life::EPOCH_BITS) + 5));
        assert!(!Life::is_of(told, 6));
        assert!(life.ask());
        assert!(!life.ask(), "one asks");
        assert_eq!(life.span(), LifeSpan { is_due: true, ..told });
        life.renew(until, 6);
        assert!(!life.span().is_due);
    }

    #[test]
    fn impossible_ends_are_ends_at_once() {
        let life = Life::default();
        for until in [i64::MIN, -1, 0, 1 << 43, i64::MAX] {
            life.renew(Timestamp::from_unix_ms(until), 1);
            assert_eq!(life.span().until.unix_ms(), 0, "{until}");
        }
    }

    #[test]
    fn a_known_binding_fits_128_bytes_with_its_count_of_handles() {
        assert!(size_of::<KnownBinding>() + size_of::<usize>() <= 128);
    }
}
