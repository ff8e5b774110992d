//! Changes made on this replica, and what the shared cache and the other replicas hear of them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sentinel_core::binding::NewBinding;
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::ports::{BindingAdmin as _, BindingStore as _, Claim, StoreError};
use sentinel_core::time::Timestamp;
use sentinel_testkit::SettableClock;

use super::super::{CacheBounds, CachedLookup, InvalidatingAdmin};
use crate::MemoryStore;
use crate::changes::{Change, ChangeAnnouncer};
use crate::shared::{MemorySharedCache, SharedBounds, SharedCache as _, SharedEntry, SharedStore};

#[derive(Default)]
struct Announced(Mutex<Vec<Change>>);

#[async_trait]
impl ChangeAnnouncer for Announced {
    async fn announce(&self, change: Change) -> Result<(), StoreError> {
        self.0.lock().expect("no panic").push(change);
        Ok(())
    }
}

#[tokio::test]
async fn every_change_is_shared_and_told() {
    let store = Arc::new(MemoryStore::new());
    let clock = Arc::<SettableClock>::default();
    let cache = Arc::new(MemorySharedCache::new(clock.clone()));
    let announced = Arc::<Announced>::default();
    let bounds = SharedBounds::default();
    let shared = SharedStore::new(
        store.clone(),
        cache.clone(),
        announced.clone(),
        clock.clone(),
        &bounds,
    );
    let lookup = CachedLookup::new(store.clone(), &CacheBounds::default());
    let admin = InvalidatingAdmin::new(store.clone(), Arc::new(lookup)).shared_through(Arc::new(shared));
    let fingerprint = KeyFingerprint::from_bytes([1; 32]);
    let new = NewBinding {
        fingerprint,
        previous: None,
        hint: KeyHint::from_stored("sk-…".to_owned()),
        network: "192.0.2.1".parse().expect("a network"),
        bound_at: Timestamp::from_unix_ms(1),
        profile: "".into(),
    };
    let Ok(Claim::Won(binding)) = store.claim(new).await else {
        panic!("nobody else claims");
    };
    let actor = || Actor {
        name: "root".to_owned(),
        client_ip: None,
        at: Timestamp::from_unix_ms(2),
    };
    let id = binding.id;
    let mut versions = Vec::new();
    let changes = [
        admin.ban(id, String::new(), actor()).await,
        admin.unban(id, actor()).await,
        admin
            .set_networks(id, vec!["10.0.0.0/8".parse().expect("a network")], actor())
            .await,
    ];
    for change in changes {
        versions.push(change.expect("memory works").expect("a record").binding.version);
    }
    let held = cache.get(&fingerprint).await.expect("memory works");
    assert!(
        matches!(&held, SharedEntry::Binding(binding, _) if Some(&binding.version) == versions.last()),
        "{held:?}"
    );
    admin.unbind(id, actor()).await.expect("memory works");
    versions.push(versions[2].of_absence());
    let held = cache.get(&fingerprint).await.expect("memory works");
    assert!(!matches!(held, SharedEntry::Binding(..)), "{held:?}");
    let told: Vec<_> = announced
        .0
        .lock()
        .expect("no panic")
        .iter()
        .map(|change| match change {
            Change::Binding { version, .. } => *version,
            Change::Settings { .. } => panic!("no settings were changed"),
        })
        .collect();
    assert_eq!(told, versions);
    // What there is not is nobody's news.
    assert_eq!(admin.unbind(id, actor()).await, Ok(None));
    assert_eq!(admin.unban(id, actor()).await, Ok(None));
    assert_eq!(announced.0.lock().expect("no panic").len(), 4);
}
