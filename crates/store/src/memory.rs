//! The store in memory: for tests, and as the model that the conformance suite holds the others against.
//!
//! Nothing in it is bounded or kept; it must never serve an installation.

mod answers;
mod archive;
mod audit;
mod ports;
mod secrets;
mod settings;
mod state;
mod traffic;
mod transfer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::secret::OwnSecret;
use state::State;

/// A store without a file. Clones share their content.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    own: OwnSecret,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another one on the same content, for a process of its own.
    #[must_use]
    pub fn another_replica(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            own: OwnSecret::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryStore;

    fn fixture() -> (MemoryStore, ()) {
        (MemoryStore::new(), ())
    }

    crate::conformance::conformance_suite!(fixture());

    #[tokio::test]
    async fn no_key_is_let_in_twice_by_two_processes_while_the_secret_changes() {
        let old = MemoryStore::new();
        let new = old.another_replica();
        crate::conformance::secrets::no_key_is_let_in_twice_while_the_secret_changes(old, new).await;
    }

    mod accounts {
        use sentinel_core::account::memory::MemoryAccounts;

        #[expect(clippy::unused_async, reason = "other stores' fixtures wait")]
        async fn fixture() -> (MemoryAccounts, ()) {
            (MemoryAccounts::default(), ())
        }

        sentinel_core::account_store_conformance!(fixture);
    }
}
