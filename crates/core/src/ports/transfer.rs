//! Moving the content of one store into another: what is moved, and how a store gives and takes it.
//!
//! Ids and versions stay behind: they mean something in their own store only. What names a binding is its fingerprint.

use async_trait::async_trait;

use super::StoreError;
use crate::binding::{BindingRecord, BindingStatus, Remarks};
use crate::event::{AdminEvent, Intercept};
use crate::fingerprint::{KeyFingerprint, KeyHint, SecretMark};
use crate::network::Network;
use crate::policy::PolicyOverride;
use crate::time::Timestamp;

/// A binding without what only its own store knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedBinding {
    /// The key it binds.
    pub fingerprint: KeyFingerprint,
    /// The same key under the installation's other secret: a binding that lies there is this key's, and moves to `fingerprint`.
    pub previous: Option<KeyFingerprint>,
    /// Under which secret the key was hashed; none where that is the one of whoever takes it in.
    pub secret: Option<SecretMark>,
    /// What may be shown of the key.
    pub hint: KeyHint,
    /// Whether the key may be used.
    pub status: BindingStatus,
    /// Where from: 1 to [`crate::binding::BINDING_NETWORKS_MAX`], none of them twice.
    pub networks: Vec<Network>,
    /// Where it departs from the general policy.
    pub policy: PolicyOverride,
    /// When the key was claimed.
    pub bound_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When the key was last let through.
    pub last_used_at: Option<Timestamp>,
    /// How many requests were let through; at most `i64::MAX`.
    pub use_count: u64,
    /// Why it was banned.
    pub ban_reason: String,
    /// When the ban ends by itself.
    pub ban_expires_at: Option<Timestamp>,
    /// What operators wrote on it.
    pub remarks: Remarks,
    /// The profile of its claim.
    pub profile: String,
}

impl From<BindingRecord> for MovedBinding {
    fn from(record: BindingRecord) -> Self {
        let binding = record.binding;
        Self {
            fingerprint: binding.fingerprint,
            previous: None,
            secret: None,
            hint: record.hint,
            status: binding.status,
            networks: binding.networks.to_vec(),
            policy: (*binding.policy).clone(),
            bound_at: binding.bound_at,
            updated_at: record.updated_at,
            last_used_at: record.last_used_at,
            use_count: record.use_count,
            ban_reason: record.ban_reason,
            ban_expires_at: record.ban_expires_at,
            remarks: record.remarks,
            profile: record.profile,
        }
    }
}

/// A binding that was put away. No two have the same fingerprint, moment and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedBinding {
    /// The key it bound.
    pub fingerprint: KeyFingerprint,
    /// The whole of it, as a JSON object.
    pub record: String,
    /// Why it was put away, one word.
    pub reason: String,
    /// When.
    pub archived_at: Timestamp,
}

/// What can be moved, settings aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// Bindings.
    Bindings,
    /// Bindings that were put away.
    Archived,
    /// The audit log.
    Intercepts,
    /// The log of what operators did.
    Events,
}

/// One thing that is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferItem {
    /// A binding.
    Binding(MovedBinding),
    /// A binding that was put away.
    Archived(ArchivedBinding),
    /// A row of the audit log. Its binding is the one that its key has in the store that takes it, if any.
    Intercept(Intercept),
    /// What an operator did.
    Event(AdminEvent),
}

/// What happens to a binding whose key the taking store has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The stored one stays.
    Keep,
    /// The moved one takes its place, under the stored one's id and a new version.
    Replace,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// New here.
    pub added: u64,
    /// In the place of another one.
    pub replaced: u64,
    /// Left out, because another one is here.
    pub kept: u64,
    /// Here already, the same.
    pub unchanged: u64,
}

/// What became of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is new here.
    Added,
    /// It took the place of another one.
    Replaced,
    /// Another one is here and stays.
    Kept,
    /// It was here already.
    Unchanged,
}

impl TakenIn {
    /// Counts one item.
    pub fn count(&mut self, taken: Taken) {
        match taken {
            Taken::Added => self.added += 1,
            Taken::Replaced => self.replaced += 1,
            Taken::Kept => self.kept += 1,
            Taken::Unchanged => self.unchanged += 1,
        }
    }
}

impl std::ops::AddAssign for TakenIn {
    fn add_assign(&mut self, other: Self) {
        self.added += other.added;
        self.replaced += other.replaced;
        self.kept += other.kept;
        self.unchanged += other.unchanged;
    }
}

impl Existing {
    /// What becomes of a binding, given what is stored for its key. How the key was hashed is no part of the binding.
    pub fn judge(self, stored: Option<&MovedBinding>, moved: &MovedBinding) -> Taken {
        let is_same = |stored: &MovedBinding| {
            *stored
                == MovedBinding {
                    fingerprint: stored.fingerprint,
                    previous: stored.previous,
                    secret: stored.secret,
                    ..moved.clone()
                }
        };
        match (stored, self) {
            (None, _) => Taken::Added,
            (Some(stored), _) if is_same(stored) => Taken::Unchanged,
            (Some(_), Self::Keep) => Taken::Kept,
            (Some(_), Self::Replace) => Taken::Replaced,
        }
    }
}

/// Gives its content page by page, and takes that of another store.
#[async_trait]
pub trait TransferStore: Send + Sync {
    /// At most `limit` items after this place, oldest first, each with its place; the first page is after 0.
    async fn page(
        &self,
        kind: TransferKind,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, TransferItem)>, StoreError>;

    /// Takes the items in, all of them in one transaction. Taking the same ones again changes nothing. A rehearsal says what would
    /// become of each and changes nothing.
    async fn take_in(
        &self,
        items: Vec<TransferItem>,
        existing: Existing,
        is_rehearsal: bool,
    ) -> Result<TakenIn, StoreError>;
}
