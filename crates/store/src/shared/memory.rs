//! The shared cache in memory: the model that the conformance suite holds the real ones against.
//!
//! Nothing in it is bounded, and no other process sees it; it must never serve an installation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::binding::{Binding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{Found, StoreError};
use sentinel_core::time::{Clock, Timestamp};

use super::{ABSENT_LIFE, KEPT_MAX, SharedCache, SharedEntry, Standing};

#[derive(Clone)]
enum Held {
    Binding(Binding),
    Gone {
        standing: Standing,
        /// The authority was asked; a tombstone only says that something is gone.
        is_answer: bool,
    },
}

impl Held {
    fn standing(&self) -> Standing {
        match self {
            Self::Binding(binding) => Standing::of_binding(binding.version),
            Self::Gone { standing, .. } => *standing,
        }
    }

    fn kept(&self) -> Duration {
        match self {
            Self::Binding(_) => KEPT_MAX,
            Self::Gone { standing, .. } => standing.absence_kept(),
        }
    }
}

/// A cache without a server.
pub struct MemorySharedCache {
    clock: Arc<dyn Clock>,
    entries: Mutex<HashMap<KeyFingerprint, (Held, Timestamp)>>,
}

impl MemorySharedCache {
    /// An empty one; ages are told by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<KeyFingerprint, (Held, Timestamp)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self, entry: Option<&(Held, Timestamp)>) -> Option<(Held, Duration)> {
        let (held, since) = entry?;
        let age = self.clock.now().since(*since);
        (age < held.kept()).then(|| (held.clone(), age))
    }
}

#[async_trait]
impl SharedCache for MemorySharedCache {
    async fn get(&self, fingerprint: &KeyFingerprint) -> Result<SharedEntry, StoreError> {
        Ok(match self.alive(self.entries().get(fingerprint)) {
            None => SharedEntry::NOTHING,
            Some((Held::Binding(binding), age)) => SharedEntry::Binding(binding, age),
            Some((Held::Gone { is_answer, .. }, age)) if is_answer && age < ABSENT_LIFE => {
                SharedEntry::Absent
            }
            Some((Held::Gone { standing, .. }, _)) => SharedEntry::Missing(standing),
        })
    }

    async fn put(&self, found: &Found, seen: Standing) -> Result<(), StoreError> {
        let binding = &found.binding;
        let mut entries = self.entries();
        if let Some((held, age)) = self.alive(entries.get(&binding.fingerprint)) {
            let here = held.standing();
            let is_newer = here > seen && here > Standing::of_binding(binding.version);
            let is_same = matches!(&held, Held::Binding(held) if held == binding);
            if is_newer || (is_same && age <= found.age) {
                return Ok(());
            }
        }
        let age_ms = i64::try_from(found.age.as_millis()).unwrap_or(i64::MAX);
        let since = Timestamp::from_unix_ms(self.clock.now().unix_ms().saturating_sub(age_ms));
        let held = Held::Binding(binding.clone());
        entries.insert(binding.fingerprint, (held, since));
        Ok(())
    }

    async fn put_absent(&self, fingerprint: &KeyFingerprint, seen: Standing) -> Result<(), StoreError> {
        let mut entries = self.entries();
        let here = self.alive(entries.get(fingerprint));
        if here.is_some_and(|(held, _)| held.standing() > seen) {
            return Ok(());
        }
        let held = Held::Gone {
            standing: seen.removed(),
            is_answer: true,
        };
        entries.insert(*fingerprint, (held, self.clock.now()));
        Ok(())
    }

    async fn bury(&self, fingerprint: &KeyFingerprint, absence: Version) -> Result<(), StoreError> {
        let mut entries = self.entries();
        let standing = Standing::of_absence(absence);
        let here = self.alive(entries.get(fingerprint));
        if here.is_none_or(|(held, _)| held.standing() < standing) {
            let held = Held::Gone {
                standing,
                is_answer: false,
            };
            entries.insert(*fingerprint, (held, self.clock.now()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::conformance::{SharedFixture, shared_cache_suite};
    use sentinel_testkit::SettableClock;

    struct Memory {
        cache: MemorySharedCache,
        clock: Arc<SettableClock>,
    }

    #[async_trait]
    impl SharedFixture for Memory {
        fn cache(&self) -> &dyn SharedCache {
            &self.cache
        }

        async fn age_by(&self, duration: Duration) {
            self.clock.advance(duration);
        }

        async fn clear(&self) {
            self.cache.entries().clear();
        }
    }

    async fn fixture() -> Memory {
        let clock = Arc::new(SettableClock::default());
        Memory {
            cache: MemorySharedCache::new(Arc::clone(&clock) as Arc<_>),
            clock,
        }
    }

    shared_cache_suite!(fixture);
}
