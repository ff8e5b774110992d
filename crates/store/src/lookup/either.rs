//! Keys whose binding may still lie under the fingerprint of the installation's other secret: looked for under both, and moved by the authority.
//!
//! It must never take a key for unknown that has a binding under either: that there is none is the authority's word about both together.

use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::known::KnownBinding;
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use super::CachedLookup;
use super::flights::Outcome;

impl CachedLookup {
    /// As `BindingLookup::find_either`.
    pub(super) async fn load_either(
        &self,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
        now: Timestamp,
    ) -> Outcome {
        // Where this replica's secret is not the current one yet, or no more, bindings stay under the other one.
        if let Some(known) = self.cache.fresh_without_renewal(previous, now)
            && self.cache.any_age(fingerprint).is_none()
        {
            return Ok(Some(known));
        }
        match self.find_here(fingerprint, now).await {
            Ok(Some(known)) => Ok(Some(known)),
            // That says nothing of the other fingerprint.
            Ok(None) | Err(StoreError::SecretOutdated) => self.adopt(fingerprint, previous, now).await,
            // The store is away, so the binding is where it was.
            Err(error) => match self.known_good(previous, error.clone()) {
                Ok(known) => Ok(known),
                Err(StoreError::Busy) => Err(error),
                Err(_) => match self.find_here(previous, now).await {
                    Ok(Some(known)) => Ok(Some(known)),
                    Ok(None) | Err(_) => Err(error),
                },
            },
        }
    }

    async fn adopt(
        &self,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
        now: Timestamp,
    ) -> Outcome {
        let tickets = [fingerprint, previous].map(|place| self.cache.ticket(place));
        let adopted = self.in_time(self.store.adopt(fingerprint, previous)).await;
        self.note_store(adopted.as_ref().err(), now);
        let [current, earlier] = &tickets;
        match adopted {
            Ok(Some(found)) if found.binding.fingerprint == *fingerprint => {
                self.invalidate(previous, Some(found.binding.version));
                Ok(Some(self.cache.install(current, found, now).into_answer()))
            }
            Ok(Some(found)) if found.binding.fingerprint == *previous => {
                Ok(Some(self.cache.install(earlier, found, now).into_answer()))
            }
            Ok(Some(found)) => Ok(Some(KnownBinding::new(found.binding))),
            Ok(None) => Ok(None),
            Err(error) => self
                .known_good(fingerprint, error.clone())
                .or_else(|_| self.known_good(previous, error)),
        }
    }
}
