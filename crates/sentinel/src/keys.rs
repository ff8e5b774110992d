//! Keys in clear, as this installation knows them: by their profile and under its secret. What leaves here is a fingerprint and a hint.

use sentinel_admin::Keys;
use sentinel_core::fingerprint::{ApiKey, FingerprintHasher, KeyFingerprint, KeyHint};
use sentinel_core::path::RequestPath;
use sentinel_core::profile::Profile;

/// What the proxy would make of the text; none where its profile takes it for no key.
pub(crate) fn identify(
    profile: &Profile,
    hasher: &FingerprintHasher,
    key: &ApiKey<'_>,
) -> Option<(KeyFingerprint, KeyHint)> {
    let text = key.expose();
    let is_placeholder = profile.placeholder.as_deref() == Some(text);
    let normalised = profile
        .normalisation
        .apply(text)
        .filter(|_| profile.alphabet.holds(text) && !is_placeholder)?;
    Some((hasher.fingerprint(&normalised), key.hint()))
}

/// The same under the HMAC secret before, while there is one.
pub(crate) fn identify_previous(
    profile: &Profile,
    hasher: &FingerprintHasher,
    key: &ApiKey<'_>,
) -> Option<KeyFingerprint> {
    let normalised = profile.normalisation.apply(key.expose())?;
    hasher.previous_fingerprint(&normalised)
}

/// The keys of this installation.
pub(crate) struct InstallationKeys {
    profile: Profile,
    hasher: FingerprintHasher,
}

impl InstallationKeys {
    pub(crate) fn new(profile: &Profile, hasher: &FingerprintHasher) -> Self {
        Self {
            profile: profile.clone(),
            hasher: hasher.clone(),
        }
    }
}

impl Keys for InstallationKeys {
    fn identify(&self, key: &ApiKey<'_>) -> Option<(KeyFingerprint, KeyHint)> {
        identify(&self.profile, &self.hasher, key)
    }

    fn identify_previous(&self, key: &ApiKey<'_>) -> Option<KeyFingerprint> {
        identify_previous(&self.profile, &self.hasher, key)
    }

    fn profile(&self) -> &str {
        &self.profile.name
    }

    fn is_claim_path(&self, path: &RequestPath<'_>) -> bool {
        self.profile.is_claim_path(path)
    }
}
