//! Makes one row of many equal records of the same second, so that an attack costs a bounded number of rows, and a bounded number of bytes
//! until they are written.
//!
//! Records are equal when reason, outcome, binding and client network agree; whichever unknown keys a client tries, and whichever of its
//! IPv6 addresses it uses, it stays in one group. The first records of a group are whole, so that their references are found. The next one
//! opens a row, which stands for itself and for all that follow, until its second is over; it names a key only if all of them brought the
//! same one. When too many groups are open, records go to wider ones: those of one binding whatever their address, and in the end those of
//! one reason.
//!
//! No request goes uncounted: what is put in comes out as an entry, or within the number of one.

use std::collections::HashMap;

use sentinel_core::binding::{BindingId, Networks};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, SEVERAL_CLIENTS};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::time::Timestamp;

use super::entry::{Added, Entry};
use super::is_of_known_key;

/// The most records of one group and second that are whole; one more row stands for all others.
pub const FOLD_WHOLE_MAX: u32 = 10;
/// The most records of one second that are whole: of those that name a key that somebody holds, and as many of all others.
pub const SECOND_WHOLE_MAX: u32 = 2_000;
/// The most groups of one second; one more for each reason takes what has no place in them.
pub const GROUPS_MAX: usize = 4_096;
/// So many of them may be of one address: the rest is for bindings as a whole.
pub const ADDRESS_GROUPS_MAX: usize = GROUPS_MAX / 4 * 3;
/// So many may be of records that anybody can bring about.
pub const CHEAP_GROUPS_MAX: usize = GROUPS_MAX / 2;
/// The most groups of one binding in a second; all further addresses go to one more.
pub const BINDING_GROUPS_MAX: u32 = 32;
/// Equal clients have so many bits of their address in common: what one host can choose freely does not count.
const IPV4_PREFIX: u8 = 32;
const IPV6_PREFIX: u8 = 64;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Group {
    reason: RefusalReason,
    outcome: InterceptOutcome,
    binding: Option<BindingId>,
    /// Any when none.
    network: Option<Network>,
}

impl Group {
    fn of(intercept: &Intercept) -> Self {
        Self {
            reason: intercept.reason,
            outcome: intercept.outcome,
            binding: intercept.binding,
            network: Some(Network::widen(intercept.client_ip, IPV4_PREFIX, IPV6_PREFIX)),
        }
    }
}

/// What one group had in the current second.
#[derive(Default)]
struct Members {
    whole: u32,
    open: Option<Open>,
}

/// A group's open row.
struct Open {
    slot: u32,
    /// How many requests it stands for.
    count: u32,
    fingerprint: Option<KeyFingerprint>,
    /// The entry that adds to it, if there is one in this batch.
    adds: Option<(u64, usize)>,
}

/// An entry, and the requests that are not counted anywhere if it cannot be written.
pub(super) struct Kept {
    pub(super) entry: Entry,
    pub(super) reason: RefusalReason,
    pub(super) outcome: InterceptOutcome,
    pub(super) count: u64,
    pub(super) at: Timestamp,
}

/// The groups of the current second.
#[derive(Default)]
pub(super) struct Fold {
    second: i64,
    /// The whole records of this second: those of known keys, and the others.
    whole: [u32; 2],
    groups: HashMap<Group, Members>,
    /// How many groups with an address each binding has.
    of_binding: HashMap<BindingId, u32>,
    slots: u32,
    batch: u64,
}

impl Fold {
    /// Begins a batch: what was added to a row before is on its way.
    pub(super) fn begin_batch(&mut self) {
        self.batch += 1;
    }

    /// Takes a record; the entries that it makes are added to `entries`, which begins empty with each batch.
    pub(super) fn take(&mut self, mut intercept: Intercept, entries: &mut Vec<Kept>) {
        self.pass_to(intercept.at, entries);
        let group = self.group_of(&intercept);
        if group.network.is_none() {
            // It names what all of its members have in common.
            intercept.client_ip = SEVERAL_CLIENTS;
            if group.binding.is_none() {
                intercept.binding = None;
                intercept.networks = Networks::default();
                (intercept.fingerprint, intercept.hint) = (None, None);
            }
        }
        let whole = &mut self.whole[usize::from(is_of_known_key(intercept.reason))];
        let may_be_whole = group.network.is_some() && *whole < SECOND_WHOLE_MAX;
        let members = self.groups.entry(group).or_default();
        if may_be_whole && members.whole < FOLD_WHOLE_MAX {
            members.whole += 1;
            *whole += 1;
            entries.push(Kept::of(intercept, Entry::Whole));
            return;
        }
        if let Some(open) = &mut members.open
            && let Some(count) = open.count.checked_add(intercept.count)
        {
            open.count = count;
            open.add(&intercept, self.batch, entries);
            return;
        }
        let slot = self.slots;
        self.slots += 1;
        members.open = Some(Open {
            slot,
            count: intercept.count,
            fingerprint: intercept.fingerprint,
            adds: None,
        });
        entries.push(Kept::of(intercept, |intercept| Entry::Opens(slot, intercept)));
    }

    /// Ends the current second if `now` lies in another one. Cores do not record in perfect order, so the second
    /// before the current one still counts as current; a clock that was set back further begins anew.
    pub(super) fn pass_to(&mut self, now: Timestamp, entries: &mut Vec<Kept>) {
        let second = now.unix_ms().div_euclid(1_000);
        if second != self.second && second != self.second - 1 {
            self.end(entries);
            self.second = second;
        }
    }

    /// Ends the current second: all open rows are complete.
    pub(super) fn end(&mut self, entries: &mut Vec<Kept>) {
        if self.slots > 0 {
            entries.push(Kept::ends());
        }
        self.groups.clear();
        self.of_binding.clear();
        self.whole = [0; 2];
        self.slots = 0;
    }

    /// All open rows are complete, by themselves.
    pub(super) fn close_rows(&mut self) {
        for members in self.groups.values_mut() {
            members.open = None;
        }
        self.slots = 0;
    }

    /// A row could not be opened: nothing may be added to it.
    pub(super) fn forget(&mut self, slot: u32) {
        let is_it = |members: &&mut Members| members.open.as_ref().is_some_and(|open| open.slot == slot);
        if let Some(members) = self.groups.values_mut().find(is_it) {
            members.open = None;
        }
    }

    /// The narrowest group that has room.
    fn group_of(&mut self, intercept: &Intercept) -> Group {
        let group = Group::of(intercept);
        if self.groups.contains_key(&group) {
            return group;
        }
        let groups_max = if is_of_known_key(group.reason) {
            ADDRESS_GROUPS_MAX
        } else {
            CHEAP_GROUPS_MAX
        };
        let of_binding = group.binding.map(|id| self.of_binding.entry(id).or_default());
        let has_room = of_binding
            .as_ref()
            .is_none_or(|count| **count < BINDING_GROUPS_MAX);
        if self.groups.len() < groups_max && has_room {
            if let Some(count) = of_binding {
                *count += 1;
            }
            return group;
        }
        let of_binding = Group {
            network: None,
            ..group
        };
        if of_binding.binding.is_some()
            && (self.groups.contains_key(&of_binding) || self.groups.len() < GROUPS_MAX)
        {
            return of_binding;
        }
        Group {
            binding: None,
            ..of_binding
        }
    }
}

impl Open {
    /// Adds to the entry of this batch, or begins one.
    fn add(&mut self, intercept: &Intercept, batch: u64, entries: &mut Vec<Kept>) {
        let is_mixed = self.fingerprint != intercept.fingerprint;
        if let Some((of, index)) = self.adds
            && of == batch
            && let Entry::Adds(added) = &mut entries[index].entry
        {
            added.count += intercept.count;
            added.last_at = added.last_at.max(intercept.last_at);
            added.is_mixed |= is_mixed;
            entries[index].count += u64::from(intercept.count);
            return;
        }
        let added = Added {
            slot: self.slot,
            count: intercept.count,
            last_at: intercept.last_at,
            is_mixed,
        };
        self.adds = Some((batch, entries.len()));
        entries.push(Kept {
            entry: Entry::Adds(added),
            reason: intercept.reason,
            outcome: intercept.outcome,
            count: intercept.count.into(),
            at: intercept.at,
        });
    }
}

impl Kept {
    /// A record as an entry.
    pub(super) fn of(intercept: Intercept, entry: impl FnOnce(Intercept) -> Entry) -> Self {
        Self {
            reason: intercept.reason,
            outcome: intercept.outcome,
            count: intercept.count.into(),
            at: intercept.at,
            entry: entry(intercept),
        }
    }

    /// The end of all open rows; no request is in it.
    pub(super) fn ends() -> Self {
        Self {
            entry: Entry::Ends,
            reason: RefusalReason::KeyIpMismatch,
            outcome: InterceptOutcome::Refused,
            count: 0,
            at: Timestamp::default(),
        }
    }
}

#[cfg(test)]
mod tests;
