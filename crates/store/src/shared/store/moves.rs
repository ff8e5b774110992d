//! Bindings that go from one fingerprint of their key to the other: the cache, the floors and the other replicas hear of both.

use sentinel_core::binding::Binding;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{Found, StoreError};
use tokio::time::Instant;

use super::SharedStore;

impl SharedStore {
    /// Past the cache, whose entries know one fingerprint each; what it holds is given only while the authority is away.
    pub(super) async fn adopt_either(
        &self,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
    ) -> Result<Option<Found>, StoreError> {
        let asked = Instant::now();
        let adopted = self.in_time(self.authority.adopt(fingerprint, previous)).await;
        match adopted {
            Ok(Some(found)) if found.binding.fingerprint == *fingerprint => {
                self.share(&found.binding, asked).await;
                self.forget_moved(previous, &found.binding).await;
                Ok(Some(found))
            }
            // Where it lies it may be cached, as any other.
            Ok(found) => Ok(found),
            Err(error @ StoreError::SecretOutdated) => Err(error),
            Err(error) => {
                let held = self.held(fingerprint).await;
                if let Ok(found) = self.known_good(held, error.clone()) {
                    return Ok(found);
                }
                self.known_good(self.held(previous).await, error)
            }
        }
    }

    /// The binding has lain under `previous`, and may have been moved just now: nobody may find it there any more.
    async fn forget_moved(&self, previous: &KeyFingerprint, binding: &Binding) {
        let at = self.clock.now();
        self.floors.note(previous, binding.version);
        let buried = self.cache.bury(previous, binding.version).await;
        self.note_cache(&buried);
        self.announce(previous, binding.version, at).await;
        self.announce(&binding.fingerprint, binding.version, at).await;
    }
}
