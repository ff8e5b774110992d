//! The secret under which whoever uses a store hashes keys, as every store holds it against the one that is written down.

use std::sync::{Arc, OnceLock};

use sentinel_core::fingerprint::{SecretCheck, SecretMark};
use sentinel_core::ports::StoreError;

/// Said once, by whoever opened the store. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnSecret(Arc<OnceLock<SecretCheck>>);

impl OwnSecret {
    /// Says it. A process has one: a second one is not taken.
    pub(crate) fn say(&self, check: SecretCheck) {
        if *self.0.get_or_init(|| check) != check {
            tracing::error!("a store was told a second secret; the first one holds");
        }
    }

    /// What new rows carry.
    pub(crate) fn mark(&self) -> Option<SecretMark> {
        self.0.get().map(SecretCheck::mark)
    }

    /// Whether it is the current one. `written` is what the store holds, as JSON; what cannot be read is nobody's secret.
    pub(crate) fn is_current(&self, written: Option<&str>) -> bool {
        let Some(written) = written else {
            return true;
        };
        let current = serde_json::from_str::<String>(written)
            .ok()
            .and_then(|text| SecretCheck::from_text(&text));
        current.is_some() && current.as_ref() == self.0.get()
    }

    /// The same, as an error where it is not.
    pub(crate) fn assert_current(&self, written: Option<&str>) -> Result<(), StoreError> {
        if self.is_current(written) {
            Ok(())
        } else {
            Err(StoreError::SecretOutdated)
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::fingerprint::FingerprintHasher;

    use super::*;

    fn check(secret: &[u8]) -> SecretCheck {
        FingerprintHasher::new(secret).expect("long enough").check()
    }

    #[test]
    fn only_the_written_secret_is_the_current_one() {
        let (mine, other) = (check(b"0123456789abcdef"), check(b"fedcba9876543210"));
        let written = |check: SecretCheck| format!("\"{}\"", check.text());
        let own = OwnSecret::default();
        assert!(own.is_current(None), "no secret was ever written down");
        assert!(!own.is_current(Some(&written(mine))), "none was said");
        own.say(mine);
        own.say(other);
        assert!(own.is_current(Some(&written(mine))));
        for wrong in [&written(other), "\"\"", "null", "x"] {
            assert_eq!(
                own.assert_current(Some(wrong)),
                Err(StoreError::SecretOutdated),
                "{wrong}"
            );
        }
        assert_eq!(own.mark(), Some(mine.mark()));
    }
}
