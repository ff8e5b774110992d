//! The keys that the demo upstream accepts.

use sentinel_core::fingerprint::ApiKey;

/// The key of the demo. Public, and good for the demo upstream only. No `-` after the prefix: gateways of the new-api
/// family would read only what stands before it.
pub(crate) const DEMO_KEY: &str = "sk-SentinelDemoKey000000000000001";

/// The accepted keys.
pub(crate) struct DemoKeys(Vec<ApiKey<'static>>);

impl DemoKeys {
    /// Accepts exactly these.
    pub(crate) fn new(keys: impl IntoIterator<Item = String>) -> Self {
        Self(keys.into_iter().map(ApiKey::new).collect())
    }

    /// Accepts [`DEMO_KEY`] alone.
    pub(crate) fn public() -> Self {
        Self(vec![ApiKey::new(DEMO_KEY)])
    }

    /// Whether the key is one of them.
    pub(super) fn accept(&self, key: &ApiKey<'_>) -> bool {
        self.0.iter().any(|known| known.expose() == key.expose())
    }
}
