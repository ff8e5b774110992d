//! A store that does what a test tells it to: fail, or read at once and answer later.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::binding::{Binding, BindingId, NewBinding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::ports::{BindingStore, Claim, Found, StoreError};
use sentinel_core::time::Timestamp;
use tokio::sync::Semaphore;

use crate::memory::MemoryStore;

const ENTERED_WAIT_MAX: Duration = Duration::from_secs(20);

pub(super) struct Scripted {
    /// What the store holds; a test may change it as another process would.
    pub(super) memory: MemoryStore,
    /// What it holds instead, once it was replaced.
    replacement: Mutex<Option<MemoryStore>>,
    calls: AtomicUsize,
    error: Mutex<Option<StoreError>>,
    gate: Mutex<Option<Arc<Gate>>>,
    /// How old the answers are that it finds.
    pub(super) age: Mutex<Duration>,
}

/// Holds answers back. They are read before, so they may be old when they arrive.
pub(super) struct Gate {
    entered: Semaphore,
    open: Semaphore,
}

impl Gate {
    /// Waits until one more call has read its answer; a call that never comes fails the test instead of hanging it.
    pub(super) async fn entered(&self) {
        let entered = tokio::time::timeout(ENTERED_WAIT_MAX, self.entered.acquire()).await;
        entered.expect("the store was to be asked").unwrap().forget();
    }

    /// Lets one answer go.
    pub(super) fn let_one_go(&self) {
        self.open.add_permits(1);
    }
}

impl Scripted {
    pub(super) fn new(memory: MemoryStore) -> Self {
        Self {
            memory,
            replacement: Mutex::default(),
            calls: AtomicUsize::new(0),
            error: Mutex::default(),
            gate: Mutex::default(),
            age: Mutex::default(),
        }
    }

    /// From now on `find` reads this store.
    pub(super) fn replace(&self, store: &MemoryStore) {
        *self.replacement.lock().unwrap() = Some(store.clone());
    }

    /// How often the store was asked.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// From now on every call gives this error, or none again.
    pub(super) fn fail(&self, error: Option<StoreError>) {
        *self.error.lock().unwrap() = error;
    }

    pub(super) fn go_away(&self) {
        self.fail(Some(StoreError::Unavailable("away".to_owned())));
    }

    /// From now on every answer waits.
    pub(super) fn hold(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate {
            entered: Semaphore::new(0),
            open: Semaphore::new(0),
        });
        *self.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    /// Answers no longer wait; those that do still do.
    pub(super) fn hold_no_longer(&self) {
        *self.gate.lock().unwrap() = None;
    }

    async fn answer<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let error = self.error.lock().unwrap().clone();
        let answer = match error {
            Some(error) => Err(error),
            None => read.await,
        };
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.entered.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
        }
        answer
    }
}

#[async_trait]
impl BindingStore for Scripted {
    async fn find(&self, fingerprint: &KeyFingerprint) -> Result<Option<Found>, StoreError> {
        let age = *self.age.lock().unwrap();
        let replacement = self.replacement.lock().unwrap().clone();
        let memory = replacement.as_ref().unwrap_or(&self.memory);
        let found = self.answer(memory.find(fingerprint)).await?;
        Ok(found.map(|found| Found { age, ..found }))
    }

    async fn find_many(&self, fingerprints: &[KeyFingerprint]) -> Result<Vec<Found>, StoreError> {
        self.answer(self.memory.find_many(fingerprints)).await
    }

    async fn adopt(
        &self,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
    ) -> Result<Option<Found>, StoreError> {
        self.answer(self.memory.adopt(fingerprint, previous)).await
    }

    async fn claim(&self, new: NewBinding) -> Result<Claim<Binding>, StoreError> {
        self.answer(self.memory.claim(new)).await
    }

    async fn release(&self, id: BindingId, claimed: Version) -> Result<bool, StoreError> {
        self.answer(self.memory.release(id, claimed)).await
    }

    async fn learn(
        &self,
        id: BindingId,
        network: Network,
        networks_max: u16,
        now: Timestamp,
    ) -> Result<Option<Binding>, StoreError> {
        self.answer(self.memory.learn(id, network, networks_max, now))
            .await
    }
}
