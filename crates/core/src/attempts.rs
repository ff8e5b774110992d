//! Slows guessing of passwords down, by the caller's address and by account and address together: the rules, and the port to whatever
//! remembers the failures.
//!
//! An account alone is never locked: a stranger elsewhere could otherwise keep its owner out. An attempt is counted before
//! its password is checked, so that many at once cannot slip past, and taken back when the password was never checked.
//! Attempts during a lock are neither counted nor do they prolong it.

mod in_process;

use std::time::Duration;

use async_trait::async_trait;

use crate::network::{ClientIp, Network};
use crate::time::Timestamp;

pub use in_process::{InProcessAttempts, REMEMBERED_MAX};

/// So many wrong passwords for one account from one address are free of delay.
pub const FREE_FAILURES_PER_ACCOUNT_MAX: u32 = 5;
/// So many wrong passwords from one address, for whatever accounts, are free of delay.
pub const FREE_FAILURES_PER_ADDRESS_MAX: u32 = 20;
/// The first delay; each further failure doubles it.
pub const DELAY_FIRST: Duration = Duration::from_secs(1);
/// The longest delay.
pub const DELAY_MAX: Duration = Duration::from_mins(5);
/// After so long without a failure all is forgotten.
pub const FORGET_AFTER: Duration = Duration::from_hours(1);

/// An attempt that counts as a failure until it is settled otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The account, as the caller named it.
    pub account: String,
    /// The caller's network: one IPv4 address, or the /64 of an IPv6 address, which is one customer's.
    pub network: Network,
    /// Who counted it.
    pub counted_by: CountedBy,
}

/// Who counted an attempt, and has to be told how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedBy {
    /// This process.
    Process,
    /// What replicas share.
    Replicas,
    /// Both.
    Both,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The password was wrong: the attempt stays counted.
    Failed,
    /// The password was right: the pair is forgiven; of the address only this attempt, since others may share it.
    Succeeded,
    /// The password was never checked: the attempt is taken back.
    NotChecked,
}

/// Remembers failed attempts. Never fails: what cannot be asked is done without.
#[async_trait]
pub trait AttemptLimiter: Send + Sync {
    /// Counts an attempt at signing in, or says how long the caller must wait.
    async fn begin(&self, account: &str, client_ip: ClientIp, now: Timestamp) -> Result<Attempt, Duration>;

    /// Says how it ended.
    async fn settle(&self, attempt: Attempt, outcome: AttemptOutcome);
}

/// The network that counts as one caller.
pub fn caller(client_ip: ClientIp) -> Network {
    Network::widen(client_ip, 32, 64)
}

/// How long after the last of so many failures the next attempt may come, when `free_max` are free.
pub fn delay_after(failures: u32, free_max: u32) -> Duration {
    match failures.checked_sub(free_max) {
        None => Duration::ZERO,
        Some(doublings) => DELAY_FIRST
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(DELAY_MAX),
    }
}
