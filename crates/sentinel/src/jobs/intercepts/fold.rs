//! Makes one row of many equal records of the same second, so that a flood costs a bounded number of rows.
//!
//! Records are equal when reason, outcome, binding and client network agree; whichever unknown keys a client tries, and
//! whichever of its IPv6 addresses it uses, it stays in one group. The first records of a group are written whole, so
//! that their references are found. The next one is held back until its second is over and stands, with its count, for
//! itself and all that follow; it names a key only if all of them brought the same one.
//!
//! No request goes uncounted: what is put in comes out as a row, within a row's count, or is given back as lost.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome};
use sentinel_core::network::Network;
use sentinel_core::time::Timestamp;

use super::may_use_reserve;

/// The most records of one group and second that are written whole; one more row stands for all others.
pub(super) const FOLD_WHOLE_MAX: u32 = 10;
/// The most records of one second that are written whole, those that name a key aside.
pub(super) const SECOND_WHOLE_MAX: u32 = 2_000;
/// The most groups that are kept in one second: some 4 MB. Records of further groups are lost.
pub(super) const GROUPS_MAX: usize = 4_096;
/// So many of them only records that name a key may open.
pub(super) const GROUPS_RESERVE: usize = GROUPS_MAX / 4;
/// Equal clients have so many bits of their address in common: what one host can choose freely does not count.
const IPV4_PREFIX: u8 = 32;
const IPV6_PREFIX: u8 = 64;

#[derive(PartialEq, Eq, Hash)]
struct Group {
    reason: RefusalReason,
    outcome: InterceptOutcome,
    binding: Option<BindingId>,
    network: Network,
}

impl Group {
    fn of(intercept: &Intercept) -> Self {
        Self {
            reason: intercept.reason,
            outcome: intercept.outcome,
            binding: intercept.binding,
            network: Network::widen(intercept.client_ip, IPV4_PREFIX, IPV6_PREFIX),
        }
    }
}

/// What one group had in the current second.
#[derive(Default)]
struct Members {
    whole: u32,
    held: Option<Intercept>,
}

/// The groups of the current second.
#[derive(Default)]
pub(super) struct Fold {
    second: i64,
    /// Records that were written whole in this second, those that name a key aside.
    whole: u32,
    groups: HashMap<Group, Members>,
}

impl Fold {
    /// Takes a record; rows that are complete are added to `rows`. Gives the record back when there is no room for its
    /// group: it is lost.
    pub(super) fn take(&mut self, intercept: Intercept, rows: &mut Vec<Intercept>) -> Option<Intercept> {
        self.pass_to(intercept.at, rows);
        let is_reserved = may_use_reserve(intercept.reason);
        let groups_max = GROUPS_MAX - if is_reserved { 0 } else { GROUPS_RESERVE };
        let has_room = self.groups.len() < groups_max;
        let members = match self.groups.entry(Group::of(&intercept)) {
            Entry::Occupied(members) => members.into_mut(),
            Entry::Vacant(place) if has_room => place.insert(Members::default()),
            Entry::Vacant(_) => return Some(intercept),
        };
        if members.whole < FOLD_WHOLE_MAX && (is_reserved || self.whole < SECOND_WHOLE_MAX) {
            members.whole += 1;
            self.whole += u32::from(!is_reserved);
            rows.push(intercept);
        } else {
            members.hold(intercept, rows);
        }
        None
    }

    /// Ends the current second if `now` lies in another one. Cores do not record in perfect order, so the second
    /// before the current one still counts as current; a clock that was set back further begins anew.
    pub(super) fn pass_to(&mut self, now: Timestamp, rows: &mut Vec<Intercept>) {
        let second = now.unix_ms().div_euclid(1_000);
        if second != self.second && second != self.second - 1 {
            self.end(rows);
            self.second = second;
        }
    }

    /// Ends the current second: all that is held becomes rows.
    pub(super) fn end(&mut self, rows: &mut Vec<Intercept>) {
        rows.extend(self.groups.drain().filter_map(|(_, members)| members.held));
        self.whole = 0;
    }
}

impl Members {
    fn hold(&mut self, intercept: Intercept, rows: &mut Vec<Intercept>) {
        let Some(held) = &mut self.held else {
            self.held = Some(intercept);
            return;
        };
        if let Some(count) = held.count.checked_add(intercept.count) {
            held.count = count;
            if held.fingerprint != intercept.fingerprint {
                held.fingerprint = None;
                held.hint = None;
            }
        } else {
            rows.extend(self.held.replace(intercept));
        }
    }
}

#[cfg(test)]
mod tests;
