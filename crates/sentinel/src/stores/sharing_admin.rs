//! Operators' changes, of which the shared cache and the other replicas hear before the answer is given.
//!
//! The change itself is the authority's; what cannot be told is noticed within the life that all caches share.

use std::sync::Arc;

use async_trait::async_trait;
use sentinel_core::binding::{BindingCounts, BindingEdit, BindingId, BindingRecord, Edited, Version};
use sentinel_core::event::Actor;
use sentinel_core::ports::{BindingAdmin, BindingFilter, BindingPage, CountedBindings, StoreError};
use sentinel_store::shared::SharedStore;

/// [`BindingAdmin`] over another one.
pub(super) struct SharingAdmin {
    admin: Arc<dyn BindingAdmin>,
    shared: Arc<SharedStore>,
}

impl SharingAdmin {
    /// Changes go to `admin`; what comes of them goes to `shared`.
    pub(super) fn new(admin: Arc<dyn BindingAdmin>, shared: Arc<SharedStore>) -> Self {
        Self { admin, shared }
    }

    async fn tell(&self, is_removal: bool, record: &BindingRecord) {
        let binding = &record.binding;
        if is_removal {
            let absence = binding.version.of_absence();
            self.shared.removed(&binding.fingerprint, absence).await;
        } else {
            self.shared.changed(binding).await;
        }
    }
}

#[async_trait]
impl BindingAdmin for SharingAdmin {
    async fn list_ordered(
        &self,
        filter: BindingFilter,
        page: BindingPage,
    ) -> Result<Vec<BindingRecord>, StoreError> {
        self.admin.list_ordered(filter, page).await
    }

    async fn show(&self, id: BindingId) -> Result<Option<BindingRecord>, StoreError> {
        self.admin.show(id).await
    }

    async fn counts(&self) -> Result<BindingCounts, StoreError> {
        self.admin.counts().await
    }

    async fn count_some(&self, filter: BindingFilter) -> Result<CountedBindings, StoreError> {
        self.admin.count_some(filter).await
    }

    async fn edit(
        &self,
        id: BindingId,
        edit: BindingEdit,
        known: Option<Version>,
        actor: Actor,
    ) -> Result<Edited, StoreError> {
        let is_removal = edit == BindingEdit::Unbind;
        let edited = self.admin.edit(id, edit, known, actor).await?;
        if let Edited::Done(record) = &edited {
            self.tell(is_removal, record).await;
        }
        Ok(edited)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use sentinel_core::binding::NewBinding;
    use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
    use sentinel_core::ports::{BindingStore as _, Claim};
    use sentinel_core::time::Timestamp;
    use sentinel_store::MemoryStore;
    use sentinel_store::changes::{Change, ChangeAnnouncer};
    use sentinel_store::shared::{MemorySharedCache, SharedBounds, SharedCache as _, SharedEntry};
    use sentinel_testkit::SettableClock;

    use super::*;

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
        let admin = SharingAdmin::new(store.clone(), Arc::new(shared));
        let fingerprint = KeyFingerprint::from_bytes([1; 32]);
        let new = NewBinding {
            fingerprint,
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
}
