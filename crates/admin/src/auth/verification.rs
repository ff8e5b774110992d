//! Verifying and hashing passwords, few at a time.
//!
//! It takes tens of milliseconds and megabytes on purpose: it runs on threads that everybody else goes before, with a bounded queue in front,
//! so that a flood of attempts can stop neither the admin listener nor the proxy.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sentinel_core::account::StoredPasswordHash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::password::{Password, PasswordHash, hash_password};
use crate::error::AdminError;

/// So many passwords are verified or hashed at once.
pub(crate) const VERIFICATIONS_MAX: usize = 2;
/// So many wait for that.
pub(crate) const WAITING_MAX: usize = 16;
/// For so long one waits.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(2);

/// How much its threads give way: on a core that is wanted by requests, too, they get about a tenth of it (sched(7): each step is a factor of
/// 1.25).
const NICENESS: i32 = 10;

type PasswordCheck = dyn Fn(&PasswordHash, &Password) -> bool + Send + Sync;

/// Verifies passwords.
pub(crate) struct Verification {
    check: Arc<PasswordCheck>,
    pub(super) turns: Arc<Semaphore>,
    pub(super) places: Semaphore,
    wait_max: Duration,
}

impl Default for Verification {
    fn default() -> Self {
        Self::with_check(WAIT_MAX, PasswordHash::verify)
    }
}

impl Verification {
    pub(super) fn with_check(
        wait_max: Duration,
        check: impl Fn(&PasswordHash, &Password) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            check: Arc::new(check),
            turns: Arc::new(Semaphore::new(VERIFICATIONS_MAX)),
            places: Semaphore::new(VERIFICATIONS_MAX + WAITING_MAX),
            wait_max,
        }
    }

    /// Whether the password is right; none when it was not checked because too much waits.
    pub(crate) async fn verify(&self, hash: PasswordHash, password: Password) -> Option<bool> {
        let check = Arc::clone(&self.check);
        self.run(move || check(&hash, &password)).await
    }

    /// The hash of a new password; none when too much waits.
    pub(crate) async fn hash(&self, password: Password) -> Option<Result<StoredPasswordHash, AdminError>> {
        self.run(move || hash_password(&password).map(StoredPasswordHash::new))
            .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _place = self.places.try_acquire().ok()?;
        let waiting = Arc::clone(&self.turns).acquire_owned();
        let turn = tokio::time::timeout(self.wait_max, waiting).await.ok()?.ok()?;
        let in_turn = move |turn: OwnedSemaphorePermit| {
            let done = giving_way(work);
            // Held until here even when the caller has left: the work goes on, so its place is taken.
            drop(turn);
            done
        };
        match tokio::task::spawn_blocking(move || in_turn(turn)).await {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) => tracing::error!(%error, "verifying a password failed"),
            Err(error) => tracing::error!(%error, "verifying a password failed"),
        }
        None
    }
}

/// Does the work on a thread of its own, since a thread that gives way cannot take that back.
fn giving_way<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let thread = thread::Builder::new().name("password".to_owned()).spawn(|| {
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "passwords are verified with as much right to the processor as requests");
        }
        work()
    })?;
    thread.join().map_err(|_| io::Error::other("it panicked"))
}

#[cfg(test)]
mod tests;
