//! What operators ask about bindings, and how they change them.

use async_trait::async_trait;

use super::{ArchivedBinding, MovedBinding, StoreError};
use crate::binding::{BindingCounts, BindingEdit, BindingId, BindingRecord, BindingStatus, Edited, Version};
use crate::event::Actor;
use crate::fingerprint::KeyFingerprint;
use crate::network::{ClientIp, Network};
use crate::time::Timestamp;

/// The most bindings that one filtered count looks at.
pub const BINDINGS_COUNTED_MAX: u64 = 100_000;

/// Which bindings are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindingFilter {
    /// Only these.
    pub ids: Option<Vec<BindingId>>,
    /// Only this status.
    pub status: Option<BindingStatus>,
    /// Only keys whose hint contains this text, without regard to case.
    pub hint: Option<String>,
    /// Only bindings with a network that contains this address.
    pub address: Option<ClientIp>,
    /// Only bindings with a network that shares an address with this one.
    pub network: Option<Network>,
    /// Only bindings with a network that lies in this one.
    pub within: Option<Network>,
    /// Only bindings that were claimed under this profile.
    pub profile: Option<String>,
    /// Only bindings with this label.
    pub label: Option<String>,
    /// Only bindings whose note contains this text, without regard to case.
    pub note: Option<String>,
    /// Only keys that were last used at or after this moment.
    pub used_after: Option<Timestamp>,
    /// Only keys that were last used before this moment; one that was never used is not among them.
    pub used_before: Option<Timestamp>,
    /// Only bans that end at or before this moment.
    pub ban_expires_until: Option<Timestamp>,
    /// Only bindings with a smaller id: with the newest first, the last one of the page before.
    pub before: Option<BindingId>,
    /// At most this many, newest first.
    pub limit: u32,
}

/// Which bindings come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BindingOrder {
    /// The ones that were made last.
    #[default]
    Newest,
    /// The ones that were made first.
    Oldest,
    /// The ones that were used last.
    LastUsed,
    /// The ones with the most uses.
    MostUsed,
}

impl BindingOrder {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Newest, Self::Oldest, Self::LastUsed, Self::MostUsed];

    /// The word that the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::LastUsed => "last_used",
            Self::MostUsed => "most_used",
        }
    }

    /// The order that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.as_str() == word)
    }

    /// Where a binding stands in this order.
    pub fn place(self, record: &BindingRecord) -> BindingCursor {
        let value = match self {
            Self::Newest | Self::Oldest => record.binding.id.0,
            Self::LastUsed => record.last_used_at.map_or(NEVER_USED, Timestamp::unix_ms),
            Self::MostUsed => i64::try_from(record.use_count).unwrap_or(i64::MAX),
        };
        BindingCursor {
            value,
            id: record.binding.id,
        }
    }
}

/// Stands for the last use of a key that was never used.
pub const NEVER_USED: i64 = -1;

/// A place in an order: the value that decides, and the id where several have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingCursor {
    /// The id, the last use in milliseconds, or the count of uses.
    pub value: i64,
    /// The binding's id.
    pub id: BindingId,
}

/// Which page of the bindings.
#[derive(Clone, Copy, Debug, Default)]
pub struct BindingPage {
    /// Which come first.
    pub order: BindingOrder,
    /// Only what comes after this place.
    pub after: Option<BindingCursor>,
}

/// How many bindings a filter lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedBindings {
    /// Them, by status.
    pub counts: BindingCounts,
    /// False when there are more than [`BINDINGS_COUNTED_MAX`]: then only so many were looked at.
    pub is_exact: bool,
}

/// What operators do with bindings. Every change leaves an admin event in the same transaction.
#[async_trait]
pub trait BindingAdmin: Send + Sync {
    /// One page of bindings, newest first.
    async fn list(&self, filter: BindingFilter) -> Result<Vec<BindingRecord>, StoreError> {
        self.list_ordered(filter, BindingPage::default()).await
    }

    /// One page of bindings in some order.
    async fn list_ordered(
        &self,
        filter: BindingFilter,
        page: BindingPage,
    ) -> Result<Vec<BindingRecord>, StoreError>;

    /// One binding.
    async fn show(&self, id: BindingId) -> Result<Option<BindingRecord>, StoreError>;

    /// How many there are.
    async fn counts(&self) -> Result<BindingCounts, StoreError>;

    /// How many of them the filter lets through; its `before` and `limit` count for nothing.
    async fn count_some(&self, filter: BindingFilter) -> Result<CountedBindings, StoreError>;

    /// Binds a key before its first use; none when it has a binding, which stays as it is.
    async fn create(&self, new: MovedBinding, actor: Actor) -> Result<Option<BindingRecord>, StoreError>;

    /// The bindings that this key had and that were put away, the last ones first.
    async fn earlier(
        &self,
        fingerprint: KeyFingerprint,
        limit: u32,
    ) -> Result<Vec<ArchivedBinding>, StoreError>;

    /// Makes one change, if the binding still has the version that the caller knows. The version is looked at in the transaction of the
    /// change.
    async fn edit(
        &self,
        id: BindingId,
        edit: BindingEdit,
        known: Option<Version>,
        actor: Actor,
    ) -> Result<Edited, StoreError>;

    /// [`BindingEdit::Unbind`], whatever the version; gives the record as it was, none when there is no such binding.
    async fn unbind(&self, id: BindingId, actor: Actor) -> Result<Option<BindingRecord>, StoreError> {
        self.edit(id, BindingEdit::Unbind, None, actor)
            .await
            .map(Edited::done)
    }

    /// [`BindingEdit::Ban`] that lasts, whatever the version; gives the record as it is afterwards, none when there is no such binding.
    async fn ban(
        &self,
        id: BindingId,
        reason: String,
        actor: Actor,
    ) -> Result<Option<BindingRecord>, StoreError> {
        let edit = BindingEdit::Ban {
            reason,
            expires_at: None,
        };
        self.edit(id, edit, None, actor).await.map(Edited::done)
    }

    /// [`BindingEdit::Unban`], as [`BindingAdmin::ban`].
    async fn unban(&self, id: BindingId, actor: Actor) -> Result<Option<BindingRecord>, StoreError> {
        self.edit(id, BindingEdit::Unban, None, actor)
            .await
            .map(Edited::done)
    }

    /// [`BindingEdit::Networks`], as [`BindingAdmin::ban`].
    async fn set_networks(
        &self,
        id: BindingId,
        networks: Vec<Network>,
        actor: Actor,
    ) -> Result<Option<BindingRecord>, StoreError> {
        let edit = BindingEdit::Networks(networks);
        self.edit(id, edit, None, actor).await.map(Edited::done)
    }
}
