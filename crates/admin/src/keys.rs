//! Knowing keys as the proxy knows them, for what operators do with a key in clear.

use std::fmt;

use sentinel_core::fingerprint::{ApiKey, KeyFingerprint, KeyHint};
use sentinel_core::path::RequestPath;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// What the proxy makes of a key. The binary hands it in; it holds the secret.
pub trait Keys: Send + Sync {
    /// The key's fingerprint and what may be shown of it; none for a text that the profile takes for no key.
    fn identify(&self, key: &ApiKey<'_>) -> Option<(KeyFingerprint, KeyHint)>;

    /// The key's fingerprint under the HMAC secret before, while bindings lie there.
    fn identify_previous(&self, key: &ApiKey<'_>) -> Option<KeyFingerprint>;

    /// The name of the profile by which keys are read.
    fn profile(&self) -> &str;

    /// Whether an unknown key is bound on this path.
    fn is_claim_path(&self, path: &RequestPath<'_>) -> bool;
}

/// A key in clear, on its way to its fingerprint. Does not print, and is wiped afterwards.
pub(crate) struct KeyInClear(Zeroizing<String>);

impl KeyInClear {
    /// The key, for its fingerprint only.
    pub(crate) fn key(&self) -> ApiKey<'_> {
        ApiKey::new(self.0.as_str())
    }
}

impl fmt::Debug for KeyInClear {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyInClear")
    }
}

impl<'de> Deserialize<'de> for KeyInClear {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_clear_does_not_print() {
        let key: KeyInClear = serde_json::from_str("\"sk-very-secret\"").expect("a text");
        assert_eq!(key.key().expose(), "sk-very-secret");
        assert_eq!(format!("{key:?}"), "KeyInClear");
    }
}
