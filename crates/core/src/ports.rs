//! The ports: what the domain needs from outside, and what stores promise.
//!
//! The data plane sees [`BindingLookup`] and [`InterceptSink`] only. Both have synchronous calls for the way of every
//! request, and asynchronous ones for what happens once per key.

mod accounts;
mod answers;
mod audit;
mod bindings;
mod intercepts;
mod records;
mod retention;
mod settings;
mod traffic;
mod transfer;

use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;

use crate::binding::{Binding, BindingId, NewBinding, Version};
use crate::decision::RefusalReason;
use crate::event::{AdminEvent, Intercept, InterceptOutcome};
use crate::fingerprint::KeyFingerprint;
use crate::known::{Known, KnownBinding};
use crate::network::{ClientIp, Network};
use crate::time::Timestamp;
use crate::usage::Uses;

pub use accounts::{AccountStore, AdministratorAdded, InUse};
pub use answers::{
    ANSWER_KEPT, ANSWERS_OF_ACCOUNT_MAX, AnswerStore, FirstAnswer, RepeatableRequest, Repeated, UNDER_WAY_MAX,
};
pub use audit::{AuditStore, EventFilter, StoredEvent, verify};
pub use bindings::{
    BINDINGS_COUNTED_MAX, BindingAdmin, BindingCursor, BindingFilter, BindingOrder, BindingPage,
    CountedBindings, NEVER_USED,
};
pub use records::{InterceptSink, InterceptWatch, RecordTicket};
pub use retention::InterceptRetention;
pub use settings::{
    INTERNAL_SETTINGS_PREFIX, SETTING_CHANGES_MAX, SettingChange, SettingStore, SettingsChanged,
    StoredSettings,
};
pub use traffic::{
    REPLICAS_MAX, REPORT_MINUTES_MAX, Replica, STRETCHES_MAX, TOP_SUBJECTS_CUT_MAX, TOP_SUBJECTS_MAX,
    TopAddress, TopKey, TopRefused, TrafficCounts, TrafficKept, TrafficMeasure, TrafficReport, TrafficSpan,
    TrafficStore, TrafficStretch,
};
pub use transfer::{
    ArchivedBinding, Existing, MovedBinding, Taken, TakenIn, TransferItem, TransferKind, TransferStore,
};

/// Why a store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// More work waits than the store's queue holds; the same call may succeed in a moment.
    #[error("the store is busy")]
    Busy,
    /// The store cannot be reached or did not answer in time; the text is for the log.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store holds something that cannot be read; the text is for the log.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// How a claim ended.
#[derive(Clone, Debug)]
pub enum Claim<B> {
    /// This claim made the binding.
    Won(B),
    /// Another one was first; this is the stored row.
    Lost(B),
}

/// What the data plane asks about keys. Implementations cache; the store behind them decides.
#[async_trait]
pub trait BindingLookup: Send + Sync {
    /// The binding as the in-process cache holds it, while it is fresh. Never blocks, allocates nothing.
    fn cached(&self, fingerprint: &KeyFingerprint, now: Timestamp) -> Option<Known>;

    /// The binding from the store. While the store is away, a cached binding past its life is still given.
    async fn find(&self, fingerprint: &KeyFingerprint, now: Timestamp) -> Result<Option<Known>, StoreError>;

    /// Makes the binding unless there is one: exactly one of all concurrent claims wins.
    async fn claim(&self, new: NewBinding) -> Result<Claim<Known>, StoreError>;

    /// Takes a claim back, unless the binding changed since (`claimed` is no longer the stored version), or the upstream accepted
    /// the key under it ([`crate::usage::UseCounter::confirm`]).
    async fn release(&self, claimed: &KnownBinding) -> Result<(), StoreError>;

    /// Adds a network while the binding holds fewer than `networks_max`; gives the binding as it is afterwards, none when it is gone.
    async fn learn(
        &self,
        known: &KnownBinding,
        network: Network,
        networks_max: u16,
        now: Timestamp,
    ) -> Result<Option<Known>, StoreError>;

    /// Counts one use. Never blocks, allocates nothing.
    fn record_use(&self, known: &Known, now: Timestamp);
}

/// What became of a key's binding.
#[derive(Clone, Debug)]
pub enum BindingChange {
    /// It is this one now.
    Now(Box<Binding>),
    /// There is none any more.
    Gone(KeyFingerprint),
    /// Any binding may have changed: each has to be looked up again.
    Unknown,
}

/// Hears of changed bindings, so that what is under way is judged anew. Never blocks.
pub trait BindingWatcher: Send + Sync {
    /// A binding has changed, and lookups know it already.
    fn changed(&self, change: BindingChange);
}

/// A binding, and how long ago the authority gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The binding.
    pub binding: Binding,
    /// Zero when the authority itself answered just now. Caches between here and the authority hold answers; one that is older than the
    /// life of a cached binding is given only because the authority is away.
    pub age: Duration,
}

impl From<Binding> for Found {
    /// The authority's own answer.
    fn from(binding: Binding) -> Self {
        Self {
            binding,
            age: Duration::ZERO,
        }
    }
}

/// The authority on bindings, or a cache that asks it.
#[async_trait]
pub trait BindingStore: Send + Sync {
    /// The binding of a key.
    async fn find(&self, fingerprint: &KeyFingerprint) -> Result<Option<Found>, StoreError>;

    /// The bindings of many keys, in any order; a key without one is left out. One question instead of many, where the store can.
    async fn find_many(&self, fingerprints: &[KeyFingerprint]) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::with_capacity(fingerprints.len());
        for fingerprint in fingerprints {
            found.extend(self.find(fingerprint).await?);
        }
        Ok(found)
    }

    /// As [`BindingLookup::claim`].
    async fn claim(&self, new: NewBinding) -> Result<Claim<Binding>, StoreError>;

    /// Removes the binding if it still has this version; says whether it did.
    async fn release(&self, id: BindingId, claimed: Version) -> Result<bool, StoreError>;

    /// As [`BindingLookup::learn`].
    async fn learn(
        &self,
        id: BindingId,
        network: Network,
        networks_max: u16,
        now: Timestamp,
    ) -> Result<Option<Binding>, StoreError>;
}

/// Takes the coalesced uses.
#[async_trait]
pub trait UseStore: Send + Sync {
    /// Adds a batch in one transaction. Bindings that are gone are passed over.
    async fn add_uses(&self, batch: Vec<Uses>) -> Result<(), StoreError>;
}

/// Which intercepts are asked for.
#[derive(Clone, Debug, Default)]
pub struct InterceptFilter {
    /// Only this reason.
    pub reason: Option<RefusalReason>,
    /// Only this reference.
    pub reference: Option<String>,
    /// Only this binding.
    pub binding: Option<BindingId>,
    /// Only from this address.
    pub client_ip: Option<ClientIp>,
    /// Only from addresses in this network.
    pub network: Option<Network>,
    /// Only this outcome.
    pub outcome: Option<InterceptOutcome>,
    /// Only paths that contain this text, without regard to case; so the next three.
    pub path: Option<String>,
    /// In the client's name for itself.
    pub user_agent: Option<String>,
    /// In the key's hint.
    pub hint: Option<String>,
    /// In the path or in the client's name.
    pub text: Option<String>,
    /// Only at or after this moment.
    pub since: Option<Timestamp>,
    /// Only before this moment.
    pub until: Option<Timestamp>,
    /// Only rows with a smaller id: the last one of the page before.
    pub before: Option<i64>,
    /// At most this many, newest first.
    pub limit: u32,
}

/// An intercept with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIntercept {
    /// Grows with every row; the cursor of the next page.
    pub id: i64,
    /// The record.
    pub intercept: Intercept,
}

/// How many intercepts fell into one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterceptBucket {
    /// Where it begins.
    pub from: Timestamp,
    /// Requests in it that were refused; observed ones are not among them.
    pub refused: u64,
    /// Requests in it that went on and were only observed.
    pub observed: u64,
}

/// The audit log.
#[async_trait]
pub trait InterceptStore: Send + Sync {
    /// Writes a batch in one transaction; durable when it returns. What is there already, by reference and moment, is passed over: a batch
    /// may be written again when nobody knows whether it was.
    async fn append(&self, batch: Vec<Intercept>) -> Result<(), StoreError>;

    /// One page, newest first.
    async fn list(&self, filter: InterceptFilter) -> Result<Vec<StoredIntercept>, StoreError>;

    /// At most `limit` rows whose ids lie in one of these runs, the smallest id first, as the runs are: for whoever follows the log. A row may appear after
    /// one with a greater id, when several replicas write.
    async fn by_ids(
        &self,
        runs: Vec<RangeInclusive<i64>>,
        limit: u32,
    ) -> Result<Vec<StoredIntercept>, StoreError>;

    /// Counts per stretch of `bucket_ms` since `since`, oldest first; stretches without any are left out.
    async fn buckets(&self, since: Timestamp, bucket_ms: i64) -> Result<Vec<InterceptBucket>, StoreError>;
}

/// The log of what operators did.
#[async_trait]
pub trait AdminEventStore: Send + Sync {
    /// Writes one event.
    async fn append(&self, event: AdminEvent) -> Result<(), StoreError>;

    /// The newest events, at most `limit`.
    async fn newest(&self, limit: u32) -> Result<Vec<AdminEvent>, StoreError>;
}

/// Which bindings one run of the archive takes, in two steps: a binding that has not been used for long is marked first, and moved
/// by a later run if it is still unused then. In between every replica has written the uses that it still held.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveRun {
    /// Unused is what was neither used, nor bound, nor changed, at or after this moment.
    pub unused_since: Timestamp,
    /// Moved is what is unused and was marked at or before this moment.
    pub marked_until: Timestamp,
    /// When this run is; what it marks carries this moment.
    pub now: Timestamp,
    /// At most so many are moved, and at most so many marked.
    pub batch_max: u32,
}

/// What one run of the archive did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archived {
    /// Another replica is at it: nothing was done.
    Elsewhere,
    /// It was done here.
    Here {
        /// The keys whose bindings were moved, each with the version of its absence ([`Version::of_absence`]).
        moved: Vec<(KeyFingerprint, Version)>,
        /// How many were marked.
        marked: u32,
    },
}

/// Puts bindings away that nobody uses.
#[async_trait]
pub trait ArchiveStore: Send + Sync {
    /// One batch. Banned bindings are never moved, however long unused: the key would be free to be bound again. A use that is written
    /// in between takes the mark away. Leaves one admin event for the batch, when it moved any.
    async fn archive_unused(&self, run: ArchiveRun) -> Result<Archived, StoreError>;
}

/// Whether a part that requests depend on works; `/readyz` asks.
#[async_trait]
pub trait Health: Send + Sync {
    /// Answers when it works; bounded in time.
    async fn check(&self) -> Result<(), StoreError>;
}
