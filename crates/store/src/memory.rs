//! The store in memory: for tests, and as the model that the conformance suite holds the others against.
//!
//! Nothing in it is bounded or kept; it must never serve an installation.

mod answers;
mod archive;
mod audit;
mod ports;
mod settings;
mod state;
mod traffic;
mod transfer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state::State;

/// A store without a file. Clones share their content.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
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

    mod accounts {
        use sentinel_core::account::memory::MemoryAccounts;

        #[expect(clippy::unused_async, reason = "other stores' fixtures wait")]
        async fn fixture() -> (MemoryAccounts, ()) {
            (MemoryAccounts::default(), ())
        }

        sentinel_core::account_store_conformance!(fixture);
    }
}
