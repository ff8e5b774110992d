//! A replica whose authority, cache and announcer do what a test tells them to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sentinel_testkit::{SettableClock, bounded};

use super::super::*;
use crate::conformance::fingerprint;
use crate::memory::MemoryStore;
use crate::shared::MemorySharedCache;

/// An authority that fails, or never answers, when a test says so.
#[derive(Default)]
pub(super) struct Authority {
    pub(super) memory: MemoryStore,
    asked: AtomicUsize,
    pub(super) is_away: AtomicBool,
    pub(super) is_silent: AtomicBool,
}

impl Authority {
    async fn answer<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.is_away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        answer.await
    }
}

#[async_trait]
impl BindingStore for Authority {
    async fn find(&self, fingerprint: &KeyFingerprint) -> Result<Option<Found>, StoreError> {
        self.answer(self.memory.find(fingerprint)).await
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

/// A cache that fails, or takes nothing in, when a test says so.
pub(super) struct Cache {
    memory: MemorySharedCache,
    pub(super) is_away: AtomicBool,
    pub(super) takes_nothing: AtomicBool,
    pub(super) holds_puts: Semaphore,
}

impl Cache {
    fn check(&self, is_write: bool) -> Result<(), StoreError> {
        if self.is_away.load(Ordering::SeqCst) || (is_write && self.takes_nothing.load(Ordering::SeqCst)) {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl SharedCache for Cache {
    async fn get(&self, fingerprint: &KeyFingerprint) -> Result<SharedEntry, StoreError> {
        self.check(false)?;
        self.memory.get(fingerprint).await
    }

    async fn put(&self, found: &Found, seen: Standing) -> Result<(), StoreError> {
        let _free = self.holds_puts.acquire().await;
        self.check(true)?;
        self.memory.put(found, seen).await
    }

    async fn put_absent(&self, fingerprint: &KeyFingerprint, seen: Standing) -> Result<(), StoreError> {
        self.check(true)?;
        self.memory.put_absent(fingerprint, seen).await
    }

    async fn bury(&self, fingerprint: &KeyFingerprint, absence: Version) -> Result<(), StoreError> {
        self.check(true)?;
        self.memory.bury(fingerprint, absence).await
    }
}

#[derive(Default)]
pub(super) struct Announced {
    pub(super) changes: Mutex<Vec<Change>>,
    pub(super) fails: AtomicBool,
}

#[async_trait]
impl ChangeAnnouncer for Announced {
    async fn announce(&self, change: Change) -> Result<(), StoreError> {
        self.changes.lock().unwrap().push(change);
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        Ok(())
    }
}

pub(super) struct Replica {
    pub(super) authority: Arc<Authority>,
    pub(super) cache: Arc<Cache>,
    pub(super) announced: Arc<Announced>,
    pub(super) clock: Arc<SettableClock>,
    pub(super) store: SharedStore,
}

pub(super) fn replica() -> Replica {
    replica_with(&SharedBounds::default())
}

pub(super) fn replica_with(bounds: &SharedBounds) -> Replica {
    let clock = Arc::new(SettableClock::default());
    let authority = Arc::<Authority>::default();
    let announced = Arc::<Announced>::default();
    let cache = Arc::new(Cache {
        memory: MemorySharedCache::new(Arc::clone(&clock) as Arc<_>),
        is_away: AtomicBool::new(false),
        takes_nothing: AtomicBool::new(false),
        holds_puts: Semaphore::new(1),
    });
    Replica {
        store: SharedStore::new(
            Arc::clone(&authority) as Arc<_>,
            Arc::clone(&cache) as Arc<_>,
            Arc::clone(&announced) as Arc<_>,
            Arc::clone(&clock) as Arc<_>,
            bounds,
        ),
        authority,
        cache,
        announced,
        clock,
    }
}

impl Replica {
    pub(super) async fn find(&self, number: u32) -> Option<Found> {
        self.store.find(&fingerprint(number)).await.expect("an answer")
    }

    pub(super) fn asked(&self) -> usize {
        self.authority.asked.load(Ordering::SeqCst)
    }

    pub(super) async fn holds(&self, number: u32) -> SharedEntry {
        self.cache.memory.get(&fingerprint(number)).await.expect("works")
    }

    /// Waits until what is shared beside the requests has arrived.
    pub(super) async fn settled(&self) {
        let all = u32::try_from(self.store.bounds.puts_max).expect("small");
        let free = self.store.puts.acquire_many(all);
        drop(bounded("what is on its way", free).await.expect("open"));
    }
}
