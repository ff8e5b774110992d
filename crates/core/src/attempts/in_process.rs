//! Failed attempts as one process remembers them, within bounds.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Attempt, AttemptLimiter, AttemptOutcome, CountedBy, FORGET_AFTER, FREE_FAILURES_PER_ACCOUNT_MAX,
    FREE_FAILURES_PER_ADDRESS_MAX, caller, delay_after,
};
use crate::network::{ClientIp, Network};
use crate::time::Timestamp;

/// So many addresses, and pairs of account and address, are remembered. Beyond that the longest-quiet one is forgotten.
pub const REMEMBERED_MAX: usize = 8192;

/// Whose failures are counted.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Suspect {
    Address(Network),
    Account(String, Network),
}

impl Suspect {
    /// The address, and the pair.
    fn of(attempt: &Attempt) -> [Self; 2] {
        [
            Self::Address(attempt.network),
            Self::Account(attempt.account.clone(), attempt.network),
        ]
    }

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

/// [`AttemptLimiter`] for one process.
#[derive(Default)]
pub struct InProcessAttempts(Mutex<HashMap<Suspect, Failures>>);

impl InProcessAttempts {
    /// As [`AttemptLimiter::begin`].
    pub fn begin_here(
        &self,
        account: &str,
        client_ip: ClientIp,
        now: Timestamp,
    ) -> Result<Attempt, Duration> {
        let attempt = Attempt {
            account: account.to_owned(),
            network: caller(client_ip),
            counted_by: CountedBy::Process,
        };
        let suspects = Suspect::of(&attempt);
        let mut remembered = self.remembered();
        let wait = suspects
            .iter()
            .map(|suspect| remaining_delay(&mut remembered, suspect, now))
            .max()
            .unwrap_or_default();
        if wait > Duration::ZERO {
            return Err(wait);
        }
        for suspect in &suspects {
            count_failure(&mut remembered, suspect, now);
        }
        Ok(attempt)
    }

    /// As [`AttemptLimiter::settle`], whoever counted the attempt.
    pub fn settle_here(&self, attempt: &Attempt, outcome: AttemptOutcome) {
        let [address, account] = Suspect::of(attempt);
        let mut remembered = self.remembered();
        match outcome {
            AttemptOutcome::Failed => {}
            AttemptOutcome::Succeeded => {
                remembered.remove(&account);
                take_back(&mut remembered, &address);
            }
            AttemptOutcome::NotChecked => {
                take_back(&mut remembered, &account);
                take_back(&mut remembered, &address);
            }
        }
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<Suspect, Failures>> {
        // Every change under the lock is whole, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AttemptLimiter for InProcessAttempts {
    async fn begin(&self, account: &str, client_ip: ClientIp, now: Timestamp) -> Result<Attempt, Duration> {
        self.begin_here(account, client_ip, now)
    }

    async fn settle(&self, attempt: Attempt, outcome: AttemptOutcome) {
        self.settle_here(&attempt, outcome);
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
