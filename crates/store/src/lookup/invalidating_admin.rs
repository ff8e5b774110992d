//! Operators' changes, of which the caches hear before the answer is given, this replica's own and the one that replicas share: after a ban has
//! been answered, the next request is refused.
//!
//! A change runs to its end even when its caller goes away, so that the store and the caches cannot part. What the shared cache and the
//! other replicas cannot be told, they notice within the life that all caches share.

use std::sync::Arc;

use async_trait::async_trait;
use sentinel_core::binding::{BindingCounts, BindingEdit, BindingId, BindingRecord, Edited, Version};
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{
    ArchivedBinding, BindingAdmin, BindingChange, BindingFilter, BindingPage, BindingWatcher,
    CountedBindings, MovedBinding, StoreError,
};
use sentinel_core::time::Timestamp;

use super::CachedLookup;
use crate::shared::SharedStore;

/// [`BindingAdmin`] over another one. Needs a tokio runtime.
#[derive(Clone)]
pub struct InvalidatingAdmin {
    admin: Arc<dyn BindingAdmin>,
    lookup: Arc<CachedLookup>,
    shared: Option<Arc<SharedStore>>,
    watcher: Option<Arc<dyn BindingWatcher>>,
}

/// What a change leaves behind.
#[derive(Clone, Copy)]
enum Leaves {
    /// The binding, changed.
    Binding,
    /// Nothing.
    Nothing,
}

impl InvalidatingAdmin {
    /// Changes go to `admin`; what comes of them goes to `lookup`.
    pub fn new(admin: Arc<dyn BindingAdmin>, lookup: Arc<CachedLookup>) -> Self {
        Self {
            admin,
            lookup,
            shared: None,
            watcher: None,
        }
    }

    /// Tells the shared cache and the other replicas of each change, too.
    #[must_use]
    pub fn shared_through(mut self, shared: Arc<SharedStore>) -> Self {
        self.shared = Some(shared);
        self
    }

    /// Tells `watcher` of each change too, once the cache knows it.
    #[must_use]
    pub fn watched_by(mut self, watcher: Arc<dyn BindingWatcher>) -> Self {
        self.watcher = Some(watcher);
        self
    }

    async fn change(
        &self,
        leaves: Leaves,
        at: Timestamp,
        change: impl Future<Output = Result<Edited, StoreError>> + Send + 'static,
    ) -> Result<Edited, StoreError> {
        let lookup = Arc::clone(&self.lookup);
        let shared = self.shared.clone();
        let watcher = self.watcher.clone();
        let task = tokio::spawn(async move {
            let outcome = change.await;
            if let (Some(shared), Ok(Edited::Done(record))) = (shared, &outcome) {
                share(&shared, leaves, record).await;
            }
            let change = tell(&lookup, leaves, at, &outcome);
            if let (Some(watcher), Some(change)) = (watcher, change) {
                watcher.changed(change);
            }
            outcome
        });
        task.await.unwrap_or_else(|error| {
            self.lookup.expire_all();
            Err(StoreError::Unavailable(format!(
                "the change did not end: {error}"
            )))
        })
    }
}

/// Tells the shared cache, and through it the other replicas.
async fn share(shared: &SharedStore, leaves: Leaves, record: &BindingRecord) {
    let binding = &record.binding;
    match leaves {
        Leaves::Binding => shared.changed(binding).await,
        Leaves::Nothing => {
            shared
                .removed(&binding.fingerprint, binding.version.of_absence())
                .await;
        }
    }
}

/// Tells the cache, and gives what whoever watches has to hear.
fn tell(
    lookup: &CachedLookup,
    leaves: Leaves,
    at: Timestamp,
    outcome: &Result<Edited, StoreError>,
) -> Option<BindingChange> {
    match (outcome, leaves) {
        (Ok(Edited::Done(record)), Leaves::Binding) => {
            lookup.changed_here(record.binding.clone(), at);
            Some(BindingChange::Now(Box::new(record.binding.clone())))
        }
        (Ok(Edited::Done(record)), Leaves::Nothing) => {
            let fingerprint = record.binding.fingerprint;
            lookup.invalidate(&fingerprint, None);
            Some(BindingChange::Gone(fingerprint))
        }
        // There is no such binding, it is another than the caller knew, or the change was not even begun.
        (
            Ok(Edited::Missing | Edited::Outdated(_)) | Err(StoreError::Busy | StoreError::SecretOutdated),
            _,
        ) => None,
        // The change may have been made all the same.
        (Err(StoreError::Unavailable(_) | StoreError::Damaged(_)), _) => {
            lookup.expire_all();
            Some(BindingChange::Unknown)
        }
    }
}

#[async_trait]
impl BindingAdmin for InvalidatingAdmin {
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

    async fn create(&self, new: MovedBinding, actor: Actor) -> Result<Option<BindingRecord>, StoreError> {
        let admin = Arc::clone(&self.admin);
        let edited = self.change(Leaves::Binding, actor.at, async move {
            let made = admin.create(new, actor).await?;
            Ok(made.map_or(Edited::Missing, |record| Edited::Done(Box::new(record))))
        });
        edited.await.map(Edited::done)
    }

    async fn earlier(
        &self,
        fingerprint: KeyFingerprint,
        limit: u32,
    ) -> Result<Vec<ArchivedBinding>, StoreError> {
        self.admin.earlier(fingerprint, limit).await
    }

    async fn edit(
        &self,
        id: BindingId,
        edit: BindingEdit,
        known: Option<Version>,
        actor: Actor,
    ) -> Result<Edited, StoreError> {
        let admin = Arc::clone(&self.admin);
        let leaves = match edit {
            BindingEdit::Unbind => Leaves::Nothing,
            _ => Leaves::Binding,
        };
        self.change(leaves, actor.at, async move {
            admin.edit(id, edit, known, actor).await
        })
        .await
    }
}
