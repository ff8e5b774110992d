//! One attempt at signing in, from lockout to verdict.
//!
//! Verifying a password takes tens of milliseconds and megabytes on purpose: it runs on the blocking pool, few at a time,
//! with a bounded queue in front, so that a flood of attempts can stop neither the admin listener nor the proxy.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::attempts::{AttemptLimiter, AttemptOutcome};
use sentinel_core::network::ClientIp;
use sentinel_core::time::Timestamp;
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::password::Password;
use crate::parts::Account;

/// So many passwords are verified at once.
pub(crate) const VERIFICATIONS_MAX: usize = 2;
/// So many attempts wait for that.
pub(crate) const WAITING_MAX: usize = 16;
/// For so long an attempt waits.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Why nobody was signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignInRefused {
    /// The name or the password is wrong; which one is not said.
    Wrong,
    /// Too many failures; wait for so long.
    LockedOut(Duration),
    /// Too many attempts at once.
    Busy,
}

type PasswordCheck = dyn Fn(&Password) -> bool + Send + Sync;

/// Signs the operator in.
pub(crate) struct SignIn {
    username: String,
    check: Arc<PasswordCheck>,
    attempts: Arc<dyn AttemptLimiter>,
    verifications: Arc<Semaphore>,
    places: Semaphore,
    wait_max: Duration,
}

impl SignIn {
    pub(crate) fn new(account: Account, attempts: Arc<dyn AttemptLimiter>) -> Self {
        let Account { username, password } = account;
        Self::with_check(username, attempts, WAIT_MAX, move |candidate| {
            password.verify(candidate)
        })
    }

    fn with_check(
        username: String,
        attempts: Arc<dyn AttemptLimiter>,
        wait_max: Duration,
        check: impl Fn(&Password) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            username,
            check: Arc::new(check),
            attempts,
            verifications: Arc::new(Semaphore::new(VERIFICATIONS_MAX)),
            places: Semaphore::new(VERIFICATIONS_MAX + WAITING_MAX),
            wait_max,
        }
    }

    /// Whether this is the account's name, compared without a hint at where it differs.
    pub(crate) fn is_account(&self, username: &str) -> bool {
        self.username.as_bytes().ct_eq(username.as_bytes()).into()
    }

    /// Judges one attempt. An unknown name costs as much time as a wrong password: the same hash is verified.
    pub(crate) async fn attempt(
        &self,
        username: &str,
        password: Password,
        client_ip: ClientIp,
        now: Timestamp,
    ) -> Result<(), SignInRefused> {
        let attempt = self
            .attempts
            .begin(username, client_ip, now)
            .await
            .map_err(SignInRefused::LockedOut)?;
        let (outcome, verdict) = match self.verify(password).await {
            None => (AttemptOutcome::NotChecked, Err(SignInRefused::Busy)),
            Some(is_right) if is_right & self.is_account(username) => (AttemptOutcome::Succeeded, Ok(())),
            Some(_) => (AttemptOutcome::Failed, Err(SignInRefused::Wrong)),
        };
        self.attempts.settle(attempt, outcome).await;
        verdict
    }

    /// Whether the password is right; none when it was not checked because too much waits.
    async fn verify(&self, password: Password) -> Option<bool> {
        let _place = self.places.try_acquire().ok()?;
        let waiting = Arc::clone(&self.verifications).acquire_owned();
        let turn = tokio::time::timeout(self.wait_max, waiting).await.ok()?.ok()?;
        let check = Arc::clone(&self.check);
        let verification = move |turn: OwnedSemaphorePermit| {
            let is_right = check(&password);
            // Held until here even when the caller has left: the work goes on, so its place is taken.
            drop(turn);
            is_right
        };
        match tokio::task::spawn_blocking(move || verification(turn)).await {
            Ok(is_right) => Some(is_right),
            Err(error) => {
                tracing::error!(%error, "verifying a password failed");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
