//! The domain's ports on the PostgreSQL store: each call is one piece of work on one session, and nothing else.

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

use super::connector::Session;
use super::failure::Failure;
use super::sessions::Scope;
use super::{
    HEALTH_WAIT_MAX, PARTITION_DAYS_AHEAD, PostgresStore, admin, archive, bindings, events, health,
    intercepts, partitions, secrets, settings, transfer, uses,
};
use crate::secret::OwnSecret;

/// Runs an asynchronous block with a session: `run!(self, Scope::Change, |session| work(session, …))`.
macro_rules! run {
    ($store:expr, $scope:expr, |$session:ident| $work:expr) => {
        $store
            .sessions
            .run($scope, move |$session| Box::pin(async move { $work.await }))
            .await
    };
}
pub(super) use run;

#[async_trait]
impl BindingStore for PostgresStore {
    async fn find(&self, fingerprint: &KeyFingerprint) -> Result<Option<Found>, StoreError> {
        let (fingerprint, own) = (*fingerprint, self.own.clone());
        let found = run!(self, Scope::Question, |session| find(session, &own, &fingerprint))?;
        Ok(found.map(Found::from))
    }

    async fn find_many(&self, fingerprints: &[KeyFingerprint]) -> Result<Vec<Found>, StoreError> {
        let (fingerprints, own) = (fingerprints.to_vec(), self.own.clone());
        let found = run!(self, Scope::Question, |session| find_many(
            session,
            &own,
            &fingerprints
        ))?;
        Ok(found.into_iter().map(Found::from).collect())
    }

    /// What cannot be moved just now is given where it lies.
    async fn adopt(
        &self,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
    ) -> Result<Option<Found>, StoreError> {
        let (fingerprint, previous, own) = (*fingerprint, *previous, self.own.clone());
        let (looking, now) = (own.clone(), self.clock.now());
        let found = run!(self, Scope::Question, |session| secrets::look(
            session,
            &looking,
            &fingerprint,
            &previous
        ))?;
        if found
            .as_ref()
            .is_none_or(|found| found.fingerprint == fingerprint)
        {
            return Ok(found.map(Found::from));
        }
        let moved = run!(self, Scope::Change, |session| secrets::adopt(
            session,
            &own,
            &fingerprint,
            &previous,
            now
        ));
        match moved {
            Ok(moved) => Ok(moved.map(Found::from)),
            Err(error) => {
                tracing::debug!(%error, "a binding stays under the previous secret for now");
                Ok(found.map(Found::from))
            }
        }
    }

    async fn claim(&self, new: NewBinding) -> Result<Claim<Binding>, StoreError> {
        self.claims.claim(new).await
    }

    async fn release(&self, id: BindingId, claimed: Version) -> Result<bool, StoreError> {
        let now = self.clock.now();
        run!(self, Scope::Change, |session| bindings::release(
            session, id, claimed, now
        ))
    }

    async fn learn(
        &self,
        id: BindingId,
        network: Network,
        networks_max: u16,
        now: Timestamp,
    ) -> Result<Option<Binding>, StoreError> {
        run!(self, Scope::Change, |session| bindings::learn(
            session,
            id,
            network,
            networks_max,
            now
        ))
    }
}

async fn find(
    session: &Session,
    own: &OwnSecret,
    fingerprint: &KeyFingerprint,
) -> Result<Option<Binding>, Failure> {
    let found = bindings::find(session, fingerprint).await?;
    if found.is_none() {
        secrets::assert_current(session, own).await?;
    }
    Ok(found)
}

async fn find_many(
    session: &Session,
    own: &OwnSecret,
    fingerprints: &[KeyFingerprint],
) -> Result<Vec<Binding>, Failure> {
    let found = bindings::find_many(session, fingerprints).await?;
    if found.len() < fingerprints.len() {
        secrets::assert_current(session, own).await?;
    }
    Ok(found)
}

#[async_trait]
impl SecretStore for PostgresStore {
    fn hash_under(&self, check: SecretCheck) {
        self.own.say(check);
    }

    async fn bindings_by_secret(&self) -> Result<Vec<BindingsUnder>, StoreError> {
        run!(self, Scope::Report, |session| secrets::by_secret(session))
    }
}

#[async_trait]
impl BindingAdmin for PostgresStore {
    async fn list_ordered(
        &self,
        filter: BindingFilter,
        page: BindingPage,
    ) -> Result<Vec<BindingRecord>, StoreError> {
        run!(self, Scope::Report, |session| admin::list(session, &filter, page))
    }

    async fn show(&self, id: BindingId) -> Result<Option<BindingRecord>, StoreError> {
        run!(self, Scope::Question, |session| bindings::by_id(session, id))
    }

    async fn counts(&self) -> Result<BindingCounts, StoreError> {
        run!(self, Scope::Report, |session| admin::counts(session))
    }

    async fn count_some(&self, filter: BindingFilter) -> Result<CountedBindings, StoreError> {
        run!(self, Scope::Report, |session| admin::count_some(session, &filter))
    }

    async fn create(&self, new: MovedBinding, actor: Actor) -> Result<Option<BindingRecord>, StoreError> {
        let own = self.own.clone();
        run!(self, Scope::Change, |session| admin::create(
            session, &own, &new, &actor
        ))
    }

    async fn earlier(
        &self,
        fingerprint: KeyFingerprint,
        limit: u32,
    ) -> Result<Vec<ArchivedBinding>, StoreError> {
        run!(self, Scope::Question, |session| admin::earlier(
            session,
            &fingerprint,
            limit
        ))
    }

    async fn edit(
        &self,
        id: BindingId,
        edit: BindingEdit,
        known: Option<Version>,
        actor: Actor,
    ) -> Result<Edited, StoreError> {
        run!(self, Scope::Change, |session| admin::edit(
            session, id, &edit, known, &actor
        ))
    }
}

#[async_trait]
impl UseStore for PostgresStore {
    async fn add_uses(&self, batch: Vec<Uses>) -> Result<(), StoreError> {
        run!(self, Scope::Batch, |session| uses::add(session, &batch))
    }
}

#[async_trait]
impl InterceptStore for PostgresStore {
    async fn append(&self, batch: Vec<Intercept>) -> Result<(), StoreError> {
        run!(self, Scope::Batch, |session| intercepts::append(session, &batch))
    }

    async fn list(&self, filter: InterceptFilter) -> Result<Vec<StoredIntercept>, StoreError> {
        run!(self, Scope::Report, |session| intercepts::list(session, filter))
    }

    async fn by_ids(
        &self,
        runs: Vec<RangeInclusive<i64>>,
        limit: u32,
    ) -> Result<Vec<StoredIntercept>, StoreError> {
        run!(self, Scope::Report, |session| intercepts::by_ids(
            session, &runs, limit
        ))
    }

    async fn buckets(&self, since: Timestamp, bucket_ms: i64) -> Result<Vec<InterceptBucket>, StoreError> {
        run!(self, Scope::Report, |session| intercepts::buckets(
            session, since, bucket_ms
        ))
    }
}

#[async_trait]
impl InterceptRetention for PostgresStore {
    /// Whole days go with their partitions, and are not counted.
    async fn keep_from(&self, oldest: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        partitions::ensure(&self.sessions, now, PARTITION_DAYS_AHEAD).await?;
        partitions::drop_before(&self.sessions, oldest).await?;
        partitions::delete_before(&self.sessions, oldest).await
    }

    async fn keep_newest(&self, rows_max: u64, now: Timestamp) -> Result<u64, StoreError> {
        partitions::keep_newest(&self.sessions, rows_max, now).await
    }
}

#[async_trait]
impl AdminEventStore for PostgresStore {
    async fn append(&self, event: AdminEvent) -> Result<(), StoreError> {
        run!(self, Scope::Change, |session| events::append(session, &event))
    }

    async fn newest(&self, limit: u32) -> Result<Vec<AdminEvent>, StoreError> {
        run!(self, Scope::Question, |session| events::newest(session, limit))
    }
}

#[async_trait]
impl AuditStore for PostgresStore {
    async fn events(&self, filter: EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
        run!(self, Scope::Report, |session| events::list(session, filter))
    }

    async fn chain_head(&self) -> Result<ChainHead, StoreError> {
        run!(self, Scope::Question, |session| events::head(session))
    }

    async fn chained(&self, after: i64, limit: u32) -> Result<Vec<ChainedEvent>, StoreError> {
        run!(self, Scope::Report, |session| events::chained(
            session, after, limit
        ))
    }
}

#[async_trait]
impl ArchiveStore for PostgresStore {
    async fn archive_unused(&self, run: ArchiveRun) -> Result<Archived, StoreError> {
        run!(self, Scope::Job, |session| archive::archive_unused(session, run))
    }
}

#[async_trait]
impl SettingStore for PostgresStore {
    async fn settings(&self) -> Result<StoredSettings, StoreError> {
        run!(self, Scope::Question, |session| settings::all(session))
    }

    async fn change_settings(
        &self,
        version: i64,
        changes: BTreeMap<String, Option<String>>,
        actor: Actor,
    ) -> Result<SettingsChanged, StoreError> {
        run!(self, Scope::Change, |session| settings::change(
            session, version, &changes, &actor
        ))
    }

    async fn setting_changes(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<SettingChange>, StoreError> {
        run!(self, Scope::Question, |session| settings::history(
            session, before, limit
        ))
    }

    async fn settings_at(&self, version: i64) -> Result<Option<StoredSettings>, StoreError> {
        run!(self, Scope::Question, |session| settings::at(session, version))
    }
}

#[async_trait]
impl TransferStore for PostgresStore {
    async fn page(
        &self,
        kind: TransferKind,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, TransferItem)>, StoreError> {
        run!(self, Scope::Report, |session| transfer::page(
            session, kind, after, limit
        ))
    }

    async fn take_in(
        &self,
        items: Vec<TransferItem>,
        existing: Existing,
        is_rehearsal: bool,
    ) -> Result<TakenIn, StoreError> {
        let (now, own) = (self.clock.now(), self.own.clone());
        run!(self, Scope::Job, |session| transfer::take_in(
            session,
            &own,
            &items,
            existing,
            is_rehearsal,
            now
        ))
    }
}

/// Asks whether bindings can be read and written here and now. Needs a tokio runtime with its timer, as it gives up after
/// [`HEALTH_WAIT_MAX`].
#[async_trait]
impl Health for PostgresStore {
    async fn check(&self) -> Result<(), StoreError> {
        let check = async { run!(self, Scope::Question, |session| health::check(session)) };
        tokio::time::timeout(HEALTH_WAIT_MAX, check)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the database does not answer".to_owned())))
    }
}
