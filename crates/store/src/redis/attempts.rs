//! Failed attempts to sign in, shared by all replicas; and remembered in process too, so that without Redis nobody starts afresh.
//!
//! While Redis answers its word alone counts: whoever was forgiven on another replica is not held back by what this one remembers. An
//! attempt whose counting, or forgiving, got lost on the way stays counted until it is forgotten: at most one for each failure of Redis.
//! Keys are forgotten after an hour; how many there can be is bounded by how fast passwords are verified.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::attempts::{
    Attempt, AttemptLimiter, AttemptOutcome, CountedBy, DELAY_FIRST, DELAY_MAX, FORGET_AFTER,
    FREE_FAILURES_PER_ACCOUNT_MAX, FREE_FAILURES_PER_ADDRESS_MAX, InProcessAttempts, caller,
};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::entry::hexadecimal;
use super::link::RedisLink;
use super::milliseconds;
use super::script::{LazyScript, lua_script};

static BEGIN: LazyScript = lua_script!("scripts/attempt_begin.lua");
static SETTLE: LazyScript = lua_script!("scripts/attempt_settle.lua");

/// [`AttemptLimiter`] on Redis, and in process while Redis is away.
pub struct RedisAttempts {
    link: RedisLink,
    in_process: InProcessAttempts,
}

impl RedisAttempts {
    /// Remembers at the end of `link`.
    pub fn new(link: RedisLink) -> Self {
        Self {
            link,
            in_process: InProcessAttempts::default(),
        }
    }

    /// Of the address, and of the pair. An account's name may hold anything, and is nobody's business.
    fn keys(&self, account: &str, network: &Network) -> [String; 2] {
        let prefix = &self.link.settings().prefix;
        let account = hexadecimal(&Sha256::digest(account)[..16]);
        [
            format!("{prefix}{{attempts:{network}}}:address"),
            format!("{prefix}{{attempts:{network}}}:account:{account}"),
        ]
    }

    /// For how long the caller must wait; zero when the attempt was counted.
    async fn begin_shared(
        &self,
        account: &str,
        network: &Network,
        now: Timestamp,
    ) -> Result<Duration, StoreError> {
        let [address, account] = self.keys(account, network);
        let rules = |command: &mut redis::Cmd| {
            command.arg(now.unix_ms());
            for duration in [FORGET_AFTER, DELAY_FIRST, DELAY_MAX] {
                command.arg(milliseconds(duration));
            }
            command
                .arg(FREE_FAILURES_PER_ADDRESS_MAX)
                .arg(FREE_FAILURES_PER_ACCOUNT_MAX);
        };
        let wait_ms: u64 = self.link.run(&BEGIN, &[&address, &account], rules).await?;
        Ok(Duration::from_millis(wait_ms))
    }

    async fn settle_shared(&self, attempt: &Attempt, is_right: bool) -> Result<(), StoreError> {
        let [address, account] = self.keys(&attempt.account, &attempt.network);
        let outcome = |command: &mut redis::Cmd| {
            command.arg(u8::from(is_right));
        };
        let _: i64 = self.link.run(&SETTLE, &[&address, &account], outcome).await?;
        Ok(())
    }
}

#[async_trait]
impl AttemptLimiter for RedisAttempts {
    async fn begin(&self, account: &str, client_ip: ClientIp, now: Timestamp) -> Result<Attempt, Duration> {
        let here = self.in_process.begin_here(account, client_ip, now);
        let network = caller(client_ip);
        match (self.begin_shared(account, &network, now).await, here) {
            (Ok(Duration::ZERO), here) => Ok(Attempt {
                account: account.to_owned(),
                network,
                counted_by: if here.is_ok() {
                    CountedBy::Both
                } else {
                    CountedBy::Replicas
                },
            }),
            (Ok(wait), here) => {
                if let Ok(attempt) = here {
                    self.in_process.settle_here(&attempt, AttemptOutcome::NotChecked);
                }
                Err(wait)
            }
            (Err(error), here) => {
                tracing::debug!(%error, "failed attempts to sign in are counted by this replica alone");
                here
            }
        }
    }

    async fn settle(&self, attempt: Attempt, outcome: AttemptOutcome) {
        let is_right = match outcome {
            AttemptOutcome::Failed => return,
            AttemptOutcome::Succeeded => true,
            AttemptOutcome::NotChecked => false,
        };
        if attempt.counted_by != CountedBy::Replicas {
            self.in_process.settle_here(&attempt, outcome);
        }
        if attempt.counted_by != CountedBy::Process
            && let Err(error) = self.settle_shared(&attempt, is_right).await
        {
            tracing::debug!(%error, "an attempt to sign in stays counted");
        }
    }
}

impl fmt::Debug for RedisAttempts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RedisAttempts").field(&self.link).finish()
    }
}
