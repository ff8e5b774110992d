//! How much memory a cached binding takes, with as many of them as a large installation has.

use std::sync::Arc;

use async_trait::async_trait;
use sentinel_core::binding::{Binding, BindingId, BindingStatus, NewBinding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::policy::OwnPolicy;
use sentinel_core::ports::{BindingLookup, BindingStore, Claim, Found, StoreError};
use sentinel_core::time::Timestamp;
use sentinel_store::{CacheBounds, CachedLookup};
use sha2::{Digest, Sha256};

const BINDINGS: u64 = 1_000_000;
/// Beyond the fingerprint itself.
const BYTES_PER_BINDING_MAX: u64 = 120;
const FINGERPRINT_BYTES: u64 = 32;

/// Holds a binding for every key.
struct Everyone;

#[async_trait]
impl BindingStore for Everyone {
    async fn find(&self, fingerprint: &KeyFingerprint) -> Result<Option<Found>, StoreError> {
        let binding = Binding {
            id: BindingId(1),
            fingerprint: *fingerprint,
            status: BindingStatus::Active,
            networks: "192.0.2.1".parse::<Network>().expect("a network").into(),
            policy: OwnPolicy::default(),
            version: Version(1),
            bound_at: Timestamp::from_unix_ms(1),
        };
        Ok(Some(binding.into()))
    }

    async fn adopt(&self, _: &KeyFingerprint, _: &KeyFingerprint) -> Result<Option<Found>, StoreError> {
        Err(StoreError::Busy)
    }

    async fn claim(&self, _: NewBinding) -> Result<Claim<Binding>, StoreError> {
        Err(StoreError::Busy)
    }

    async fn release(&self, _: BindingId, _: Version) -> Result<bool, StoreError> {
        Err(StoreError::Busy)
    }

    async fn learn(
        &self,
        _: BindingId,
        _: Network,
        _: u16,
        _: Timestamp,
    ) -> Result<Option<Binding>, StoreError> {
        Err(StoreError::Busy)
    }
}

#[test]
fn a_million_cached_bindings_take_120_bytes_each_beyond_their_fingerprints() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let mut lookup = None;
    let measured = allocation_counter::measure(|| {
        // Room to spare, so that every binding finds its place.
        let bounds = CacheBounds {
            entries_max: 2_000_000,
            uses_queued_max: 1,
            renewals_queued_max: 1,
            ..CacheBounds::default()
        };
        let made = CachedLookup::new(Arc::new(Everyone), &bounds);
        runtime.block_on(async {
            for number in 0..BINDINGS {
                let fingerprint = KeyFingerprint::from_bytes(Sha256::digest(number.to_le_bytes()).into());
                let found = made.find(&fingerprint, Timestamp::from_unix_ms(1)).await;
                assert!(matches!(found, Ok(Some(_))));
            }
        });
        lookup = Some(made);
    });
    let entries = lookup.as_ref().map_or(0, CachedLookup::entries) as u64;
    assert_eq!(entries, BINDINGS);
    let bytes = u64::try_from(measured.bytes_current).expect("more was kept than given back");
    let per_binding = bytes / BINDINGS - FINGERPRINT_BYTES;
    println!("{per_binding} bytes a binding beyond its fingerprint");
    assert!(per_binding <= BYTES_PER_BINDING_MAX, "{per_binding} bytes");
}
