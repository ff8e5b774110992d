//! Slows guessing of passwords down, by the caller's address and by account and address together.
//!
//! An account alone is never locked: a stranger elsewhere could otherwise keep its owner out. An attempt is counted before
//! its password is checked, so that many at once cannot slip past, and taken back when the password was never checked.
//! Attempts during a lock are neither counted nor do they prolong it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sentinel_core::network::{ClientIp, Network};
use sentinel_core::time::Timestamp;

/// So many wrong passwords for one account from one address are free of delay.
pub(crate) const FREE_FAILURES_PER_ACCOUNT_MAX: u32 = 5;
/// So many wrong passwords from one address, for whatever accounts, are free of delay.
pub(crate) const FREE_FAILURES_PER_ADDRESS_MAX: u32 = 20;
/// The first delay; each further failure doubles it.
const DELAY_FIRST: Duration = Duration::from_secs(1);
/// The longest delay.
pub(crate) const DELAY_MAX: Duration = Duration::from_mins(5);
/// After so long without a failure all is forgotten.
const FORGET_AFTER: Duration = Duration::from_hours(1);
/// So many addresses, and pairs of account and address, are remembered. Beyond that the longest-quiet one is forgotten.
pub(crate) const REMEMBERED_MAX: usize = 8192;

/// Whose failures are counted. IPv6 addresses count by their /64, which is one customer's.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Suspect {
    Address(Network),
    Account(String, Network),
}

impl Suspect {
    fn free_failures_max(&self) -> u32 {
        match self {
            Self::Address(_) => FREE_FAILURES_PER_ADDRESS_MAX,
            Self::Account(..) => FREE_FAILURES_PER_ACCOUNT_MAX,
        }
    }
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// Remembers failures, within bounds.
#[derive(Default)]
pub(crate) struct Lockout(Mutex<HashMap<Suspect, Failures>>);

/// An attempt that was counted as a failure until its outcome is known.
pub(crate) struct Attempt {
    address: Suspect,
    account: Suspect,
}

impl Lockout {
    /// Counts an attempt at signing in, or says how long the caller must wait.
    pub(crate) fn begin(
        &self,
        account: &str,
        client_ip: ClientIp,
        now: Timestamp,
    ) -> Result<Attempt, Duration> {
        let network = Network::widen(client_ip, 32, 64);
        let attempt = Attempt {
            address: Suspect::Address(network),
            account: Suspect::Account(account.to_owned(), network),
        };
        let mut remembered = self.remembered();
        let wait = [&attempt.address, &attempt.account]
            .into_iter()
            .map(|suspect| remaining_delay(&mut remembered, suspect, now))
            .max()
            .unwrap_or_default();
        if wait > Duration::ZERO {
            return Err(wait);
        }
        for suspect in [&attempt.address, &attempt.account] {
            count_failure(&mut remembered, suspect, now);
        }
        Ok(attempt)
    }

    /// The password was right: the pair is forgiven; of the address only this attempt, since others may share it.
    pub(crate) fn succeeded(&self, attempt: &Attempt) {
        let mut remembered = self.remembered();
        remembered.remove(&attempt.account);
        take_back(&mut remembered, &attempt.address);
    }

    /// The password was never checked.
    pub(crate) fn not_checked(&self, attempt: &Attempt) {
        let mut remembered = self.remembered();
        take_back(&mut remembered, &attempt.account);
        take_back(&mut remembered, &attempt.address);
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<Suspect, Failures>> {
        // Every change under the lock is whole, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remaining_delay(
    remembered: &mut HashMap<Suspect, Failures>,
    suspect: &Suspect,
    now: Timestamp,
) -> Duration {
    let Some(failures) = remembered.get_mut(suspect) else {
        return Duration::ZERO;
    };
    // After the clock was set back a lock must not last until the clock has caught up.
    failures.last = failures.last.min(now);
    delay_after(failures.count, suspect.free_failures_max()).saturating_sub(now.since(failures.last))
}

fn delay_after(failures: u32, free_max: u32) -> Duration {
    match failures.checked_sub(free_max) {
        None => Duration::ZERO,
        Some(doublings) => DELAY_FIRST
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(DELAY_MAX),
    }
}

fn count_failure(remembered: &mut HashMap<Suspect, Failures>, suspect: &Suspect, now: Timestamp) {
    if remembered.len() >= REMEMBERED_MAX && !remembered.contains_key(suspect) {
        make_room(remembered, now);
    }
    let failures = remembered
        .entry(suspect.clone())
        .or_insert(Failures { count: 0, last: now });
    if now.since(failures.last) >= FORGET_AFTER {
        failures.count = 0;
    }
    failures.count = failures.count.saturating_add(1);
    failures.last = now;
}

fn take_back(remembered: &mut HashMap<Suspect, Failures>, suspect: &Suspect) {
    if let Entry::Occupied(mut entry) = remembered.entry(suspect.clone()) {
        entry.get_mut().count = entry.get().count.saturating_sub(1);
        if entry.get().count == 0 {
            entry.remove();
        }
    }
}

fn make_room(remembered: &mut HashMap<Suspect, Failures>, now: Timestamp) {
    remembered.retain(|_, failures| now.since(failures.last) < FORGET_AFTER);
    if remembered.len() < REMEMBERED_MAX {
        return;
    }
    let quietest = remembered
        .iter()
        .min_by_key(|(_, failures)| failures.last)
        .map(|(suspect, _)| suspect.clone());
    if let Some(quietest) = quietest {
        remembered.remove(&quietest);
    }
}

#[cfg(test)]
mod tests;
