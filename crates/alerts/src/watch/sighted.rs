//! Which different things this replica has said already in the current slot: the counters know them, and need not be asked again. Must never
//! hide one that was not said.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use sentinel_core::alert::{RuleKind, Subject};

use super::different::Slots;
use super::tally::Member;

/// The most things of one rule that are remembered; what comes beyond them is said each time.
pub const SIGHTED_MAX: usize = 65_536;

/// What was said, of each rule in its current slot.
#[derive(Debug, Default)]
pub(super) struct Sighted {
    by_rule: BTreeMap<RuleKind, Said>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Said {
    slot: (Duration, i64),
    /// By hash, under a secret of this process.
    things: HashSet<u64>,
}

impl Sighted {
    /// Whether this is yet to be said in this slot; takes it for said from now on.
    pub(super) fn is_new(
        &mut self,
        rule: RuleKind,
        slots: Slots,
        subject: &Subject,
        member: &Member,
    ) -> bool {
        let said = self.by_rule.entry(rule).or_default();
        if said.slot != slots.slot() {
            said.slot = slots.slot();
            said.things.clear();
        }
        let hash = self.hasher.hash_one((subject, member));
        if said.things.len() >= SIGHTED_MAX {
            return !said.things.contains(&hash);
        }
        said.things.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::binding::BindingId;
    use sentinel_core::time::Timestamp;

    use super::*;

    #[test]
    fn each_is_new_once_in_a_slot_and_so_many_are_remembered() {
        let mut sighted = Sighted::default();
        let minute = |number| {
            let now = Timestamp::from_unix_ms(0).plus(Duration::from_mins(number));
            Slots::new(Duration::from_mins(4), now)
        };
        let member = Member::Network("198.51.100.0/24".parse().expect("a network"));
        let mut is_new = |number: usize, slots| {
            let subject = Subject::Binding(BindingId(i64::try_from(number).expect("small")));
            sighted.is_new(RuleKind::ManyNetworksForKey, slots, &subject, &member)
        };
        for number in 0..SIGHTED_MAX {
            assert!(is_new(number, minute(0)));
        }
        assert!(!is_new(0, minute(0)));
        assert!(is_new(SIGHTED_MAX, minute(0)) && is_new(SIGHTED_MAX, minute(0)));
        assert!(is_new(0, minute(1)));
        assert!(!is_new(0, minute(1)));
        assert!(is_new(SIGHTED_MAX, minute(1)) && !is_new(SIGHTED_MAX, minute(1)));
    }
}
