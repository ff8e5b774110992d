//! The domain's ports on the SQLite store: each call goes to a reader or to the writer, and nowhere else.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use async_trait::async_trait;
use sentinel_core::audit::{ChainHead, ChainedEvent};
use sentinel_core::binding::{
    Binding, BindingCounts, BindingEdit, BindingId, BindingRecord, Edited, NewBinding, Version,
};
use sentinel_core::event::{Actor, AdminEvent, Intercept};
use sentinel_core::fingerprint::{KeyFingerprint, SecretCheck};
use sentinel_core::network::Network;
use sentinel_core::ports::{
    AdminEventStore, ArchiveRun, ArchiveStore, Archived, ArchivedBinding, AuditStore, BindingAdmin,
    BindingFilter, BindingPage, BindingStore, BindingsUnder, Claim, CountedBindings, EventFilter, Existing,
    Found, Health, InterceptBucket, InterceptFilter, InterceptRetention, InterceptStore, MovedBinding,
    SecretStore, SettingChange, SettingStore, SettingsChanged, StoreError, StoredEvent, StoredIntercept,
    StoredSettings, TakenIn, TransferItem, TransferKind, TransferStore, UseStore,
};
use sentinel_core::time::Timestamp;
use sentinel_core::usage::Uses;

use super::{
    HEALTH_WAIT_MAX, RETENTION_ROWS_MAX, SqliteStore, admin, archive, bindings, events, intercepts, rows,
    secrets, settings, transfer, uses,
};

#[async_trait]
impl BindingStore for SqliteStore {
    async fn find(&self, fingerprint: &KeyFingerprint) -> Result<Option<Found>, StoreError> {
        let (fingerprint, own) = (*fingerprint, self.own.clone());
        let found = self
            .read(move |connection| {
                let found = bindings::find(connection, &fingerprint)?;
                if found.is_none() {
                    secrets::assert_current(connection, &own)?;
                }
                Ok(found)
            })
            .await?;
        Ok(found.map(Found::from))
    }

    async fn find_many(&self, fingerprints: &[KeyFingerprint]) -> Result<Vec<Found>, StoreError> {
        let (fingerprints, own) = (fingerprints.to_vec(), self.own.clone());
        self.read(move |connection| {
            let found: Vec<_> = fingerprints
                .iter()
                .filter_map(|fingerprint| bindings::find(connection, fingerprint).transpose())
                .map(|found| found.map(Found::from))
                .collect::<Result<_, _>>()?;
            if found.len() < fingerprints.len() {
                secrets::assert_current(connection, &own)?;
            }
            Ok(found)
        })
        .await
    }

    /// Only what is there to be moved is the writer's work: unknown keys do not queue up for it.
    async fn adopt(
        &self,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
    ) -> Result<Option<Found>, StoreError> {
        let (fingerprint, previous, own) = (*fingerprint, *previous, self.own.clone());
        let looking = own.clone();
        let found = self
            .read(move |connection| secrets::look(connection, &looking, &fingerprint, &previous))
            .await?;
        if found
            .as_ref()
            .is_none_or(|found| found.fingerprint == fingerprint)
        {
            return Ok(found.map(Found::from));
        }
        self.write(move |connection| secrets::adopt(connection, &own, &fingerprint, &previous))
            .await
            .map(|found| found.map(Found::from))
    }

    async fn claim(&self, new: NewBinding) -> Result<Claim<Binding>, StoreError> {
        let own = self.own.clone();
        self.write(move |connection| bindings::claim(connection, &own, &new))
            .await
    }

    async fn release(&self, id: BindingId, claimed: Version) -> Result<bool, StoreError> {
        self.write(move |connection| bindings::release(connection, id, claimed))
            .await
    }

    async fn learn(
        &self,
        id: BindingId,
        network: Network,
        networks_max: u16,
        now: Timestamp,
    ) -> Result<Option<Binding>, StoreError> {
        self.write(move |connection| bindings::learn(connection, id, network, networks_max, now))
            .await
    }
}

#[async_trait]
impl SecretStore for SqliteStore {
    fn hash_under(&self, check: SecretCheck) {
        self.own.say(check);
    }

    async fn bindings_by_secret(&self) -> Result<Vec<BindingsUnder>, StoreError> {
        self.read(secrets::by_secret).await
    }
}

#[async_trait]
impl BindingAdmin for SqliteStore {
    async fn list_ordered(
        &self,
        filter: BindingFilter,
        page: BindingPage,
    ) -> Result<Vec<BindingRecord>, StoreError> {
        self.read(move |connection| admin::list(connection, &filter, page))
            .await
    }

    async fn show(&self, id: BindingId) -> Result<Option<BindingRecord>, StoreError> {
        self.read(move |connection| bindings::by_id(connection, id)).await
    }

    async fn counts(&self) -> Result<BindingCounts, StoreError> {
        self.read(admin::counts).await
    }

    async fn count_some(&self, filter: BindingFilter) -> Result<CountedBindings, StoreError> {
        self.read(move |connection| admin::count_some(connection, &filter))
            .await
    }

    async fn create(&self, new: MovedBinding, actor: Actor) -> Result<Option<BindingRecord>, StoreError> {
        let own = self.own.clone();
        self.write(move |connection| admin::create(connection, &own, &new, &actor))
            .await
    }

    async fn earlier(
        &self,
        fingerprint: KeyFingerprint,
        limit: u32,
    ) -> Result<Vec<ArchivedBinding>, StoreError> {
        self.read(move |connection| admin::earlier(connection, &fingerprint, limit))
            .await
    }

    async fn edit(
        &self,
        id: BindingId,
        edit: BindingEdit,
        known: Option<Version>,
        actor: Actor,
    ) -> Result<Edited, StoreError> {
        self.write(move |connection| admin::edit(connection, id, &edit, known, &actor))
            .await
    }
}

#[async_trait]
impl UseStore for SqliteStore {
    async fn add_uses(&self, batch: Vec<Uses>) -> Result<(), StoreError> {
        self.write(move |connection| uses::add(connection, &batch)).await
    }
}

#[async_trait]
impl InterceptStore for SqliteStore {
    async fn append(&self, batch: Vec<Intercept>) -> Result<(), StoreError> {
        self.write(move |connection| intercepts::append(connection, &batch))
            .await
    }

    async fn list(&self, filter: InterceptFilter) -> Result<Vec<StoredIntercept>, StoreError> {
        self.read(move |connection| intercepts::list(connection, filter))
            .await
    }

    async fn by_ids(
        &self,
        runs: Vec<RangeInclusive<i64>>,
        limit: u32,
    ) -> Result<Vec<StoredIntercept>, StoreError> {
        self.read(move |connection| intercepts::by_ids(connection, &runs, limit))
            .await
    }

    async fn buckets(&self, since: Timestamp, bucket_ms: i64) -> Result<Vec<InterceptBucket>, StoreError> {
        self.read(move |connection| intercepts::buckets(connection, since, bucket_ms))
            .await
    }
}

#[async_trait]
impl AdminEventStore for SqliteStore {
    async fn append(&self, event: AdminEvent) -> Result<(), StoreError> {
        self.write(move |connection| events::append(connection, &event))
            .await
    }

    async fn newest(&self, limit: u32) -> Result<Vec<AdminEvent>, StoreError> {
        self.read(move |connection| events::newest(connection, limit))
            .await
    }
}

#[async_trait]
impl AuditStore for SqliteStore {
    async fn events(&self, filter: EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
        self.read(move |connection| events::list(connection, filter))
            .await
    }

    async fn chain_head(&self) -> Result<ChainHead, StoreError> {
        self.read(events::head).await
    }

    async fn chained(&self, after: i64, limit: u32) -> Result<Vec<ChainedEvent>, StoreError> {
        self.read(move |connection| events::chained(connection, after, limit))
            .await
    }
}

#[async_trait]
impl ArchiveStore for SqliteStore {
    async fn archive_unused(&self, run: ArchiveRun) -> Result<Archived, StoreError> {
        self.write(move |connection| archive::archive_unused(connection, run))
            .await
    }
}

/// In many small transactions: whatever else is to be written gets in between them.
#[async_trait]
impl InterceptRetention for SqliteStore {
    async fn keep_from(&self, oldest: Timestamp, _now: Timestamp) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let rows = self
                .write(move |connection| intercepts::remove_before(connection, oldest, RETENTION_ROWS_MAX))
                .await?;
            removed += u64::from(rows);
            if rows < RETENTION_ROWS_MAX {
                return Ok(removed);
            }
        }
    }

    async fn keep_newest(&self, rows_max: u64, _now: Timestamp) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let rows = self
                .write(move |connection| intercepts::remove_beyond(connection, rows_max, RETENTION_ROWS_MAX))
                .await?;
            removed += u64::from(rows);
            if rows < RETENTION_ROWS_MAX {
                return Ok(removed);
            }
        }
    }
}

#[async_trait]
impl TransferStore for SqliteStore {
    async fn page(
        &self,
        kind: TransferKind,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, TransferItem)>, StoreError> {
        self.read(move |connection| transfer::page(connection, kind, after, limit))
            .await
    }

    async fn take_in(
        &self,
        items: Vec<TransferItem>,
        existing: Existing,
        is_rehearsal: bool,
    ) -> Result<TakenIn, StoreError> {
        let own = self.own.clone();
        self.write(move |connection| transfer::take_in(connection, &own, &items, existing, is_rehearsal))
            .await
    }
}

#[async_trait]
impl SettingStore for SqliteStore {
    async fn settings(&self) -> Result<StoredSettings, StoreError> {
        self.read(settings::all).await
    }

    async fn change_settings(
        &self,
        version: i64,
        changes: BTreeMap<String, Option<String>>,
        actor: Actor,
    ) -> Result<SettingsChanged, StoreError> {
        self.write(move |connection| settings::change(connection, version, &changes, &actor))
            .await
    }

    async fn setting_changes(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<SettingChange>, StoreError> {
        self.read(move |connection| settings::history(connection, before, limit))
            .await
    }

    async fn settings_at(&self, version: i64) -> Result<Option<StoredSettings>, StoreError> {
        self.read(move |connection| settings::at(connection, version))
            .await
    }
}

/// Asks both kinds of threads for something that needs the file, and whether the file is still where it was. Needs a
/// tokio runtime with its timer, as it gives up after [`HEALTH_WAIT_MAX`].
#[async_trait]
impl Health for SqliteStore {
    async fn check(&self) -> Result<(), StoreError> {
        const READ: &str = "SELECT value FROM binding_version";
        self.threads.all_alive()?;
        let path = std::sync::Arc::clone(&self.path);
        let both = async {
            self.read(move |connection| {
                rows::single::<i64>(connection, READ)?;
                Ok(path.exists())
            })
            .await?
            .then_some(())
            .ok_or_else(|| StoreError::Unavailable("the store's file is gone".to_owned()))?;
            // Being in the writer's transaction is what this is about.
            self.write(|connection| rows::single::<i64>(connection, READ))
                .await?;
            Ok(())
        };
        tokio::time::timeout(HEALTH_WAIT_MAX, both)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the store does not answer".to_owned())))
    }
}
