//! What a lookup makes of a store that gives no answer: what the log says of it, and what is still given.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use super::CachedLookup;
use super::flights::Outcome;

/// How often the log says at most that the store is away.
const AWAY_SAID_EVERY: Duration = Duration::from_secs(10);

impl CachedLookup {
    /// A store that is away gives what is cached a little more life; one whose keys are hashed otherwise by now ends it: nobody would hear of a
    /// change of that binding.
    pub(super) fn load_failed(&self, fingerprint: &KeyFingerprint, error: &StoreError, now: Timestamp) {
        match error {
            StoreError::SecretOutdated => {
                self.cache.invalidate(fingerprint, None);
            }
            _ => self.cache.postpone(fingerprint, now),
        }
    }

    /// Says that the store is away, not more often than every [`AWAY_SAID_EVERY`] however many loads fail, and that it is
    /// back.
    pub(super) fn note_store(&self, error: Option<&StoreError>, now: Timestamp) {
        if matches!(error, Some(StoreError::SecretOutdated)) {
            self.secret_outdated.fetch_add(1, Ordering::Relaxed);
            if self.outdated_said.is_due() {
                tracing::error!(
                    "the HMAC secret is not the current one any more: keys that are not found here are refused; restart this replica with the current one"
                );
            }
        } else if let Some(error) = error {
            let said_at = Timestamp::from_unix_ms(self.away_said_at_ms.load(Ordering::Relaxed));
            if now.since(said_at) >= AWAY_SAID_EVERY {
                self.away_said_at_ms.store(now.unix_ms(), Ordering::Relaxed);
                self.away_said.store(true, Ordering::Relaxed);
                tracing::warn!(%error, "the store is away: known bindings stay enforced from memory");
            }
        } else if self.away_said.load(Ordering::Relaxed) && self.away_said.swap(false, Ordering::Relaxed) {
            tracing::info!("the store answers again");
        }
    }

    /// What was known last, when the store gave an error instead of an answer.
    pub(super) fn known_good(&self, fingerprint: &KeyFingerprint, error: StoreError) -> Outcome {
        if error == StoreError::SecretOutdated {
            return Err(error);
        }
        let known = self.cache.any_age(fingerprint).ok_or(error)?;
        self.given_past_life.fetch_add(1, Ordering::Relaxed);
        Ok(Some(known))
    }
}
