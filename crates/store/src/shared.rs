//! The cache that replicas share, in front of the authority: what its entries promise, whatever keeps them.
//!
//! It only speeds things up, and never decides. Three rules keep it from ever being the reason for a wrong answer:
//!
//! - An entry knows its age since the authority was asked. A fresh one is given; an old one is kept, but given only while the
//!   authority does not answer. So no outage and no lost message makes a change later than the life that all caches share.
//! - Of two copies the one with the higher version stays, unless the writer had seen the other one before it asked the authority: then
//!   the authority itself went back, and its word counts.
//! - A key that was unbound leaves a tombstone with its version, so that a load which was under way cannot put the old binding back.

mod claims;
#[cfg(test)]
pub(crate) mod conformance;
mod floors;
pub mod memory;
mod store;

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::binding::{Binding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{Found, StoreError};

pub use memory::MemorySharedCache;
pub use store::{SharedBounds, SharedCounts, SharedStore};

/// For so long a binding is kept, to be given while the authority does not answer.
pub const KEPT_MAX: Duration = Duration::from_hours(24);
/// For so long an absence is given without asking the authority.
pub const ABSENT_LIFE: Duration = Duration::from_secs(1);
/// For so long an absence keeps old bindings out: longer than any load of one can be under way.
pub const TOMBSTONE_LIFE: Duration = Duration::from_mins(1);

/// Where an entry stands in the order of all that was ever said of its key: a tombstone stands above the row that was removed and below
/// any row that is made later, though that one may have the tombstone's very version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing(u64);

impl Standing {
    /// Below everything: nothing was seen.
    pub const NOTHING: Self = Self(0);

    /// Of a row with this version.
    #[must_use]
    pub fn of_binding(version: Version) -> Self {
        Self(u64::try_from(version.0).unwrap_or(0).saturating_mul(2))
    }

    /// Of a tombstone; `absence` is [`Version::of_absence`] of the row that was removed.
    #[must_use]
    pub fn of_absence(absence: Version) -> Self {
        Self(Self::of_binding(absence).0.saturating_sub(1))
    }

    /// Of the absence that takes the place of what stands here.
    #[must_use]
    pub fn removed(self) -> Self {
        Self(self.0 | 1)
    }

    /// The newest that is older than this.
    #[must_use]
    pub fn below(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// For how long an absence is kept that stands here: one of which nothing was ever said keeps nothing out.
    #[must_use]
    pub fn absence_kept(self) -> Duration {
        if self <= Self::NOTHING.removed() {
            ABSENT_LIFE
        } else {
            TOMBSTONE_LIFE
        }
    }

    /// As a number: greater is newer.
    pub fn number(self) -> u64 {
        self.0
    }

    /// From what [`Standing::number`] gave.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// What the shared cache holds for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedEntry {
    /// Nothing, or something that is no answer, such as a tombstone: ask the authority.
    Missing(Standing),
    /// The authority said so, a moment ago: the key has no binding.
    Absent,
    /// A binding, and how long ago the authority gave it.
    Binding(Binding, Duration),
}

impl SharedEntry {
    /// Nothing at all.
    pub const NOTHING: Self = Self::Missing(Standing::NOTHING);

    /// What was seen: to be handed to the writing call that follows.
    pub fn seen(&self) -> Standing {
        match self {
            Self::Missing(seen) => *seen,
            Self::Absent => Standing::NOTHING,
            Self::Binding(binding, _) => Standing::of_binding(binding.version),
        }
    }
}

/// A cache shared by replicas. Each call is one round trip and bounded in time; when one fails, the caller goes on without.
#[async_trait]
pub trait SharedCache: Send + Sync {
    /// What is held for the key. An entry that cannot be read is missing, and is said in the log.
    async fn get(&self, fingerprint: &KeyFingerprint) -> Result<SharedEntry, StoreError>;

    /// Takes in what the authority gave `found.age` ago, unless something newer than `seen` is here that is newer than the binding, too.
    /// Of the same binding the younger word stays.
    async fn put(&self, found: &Found, seen: Standing) -> Result<(), StoreError>;

    /// Takes in that the authority has no binding, for [`ABSENT_LIFE`], unless something newer than `seen` is here. After that it is a
    /// tombstone, newer than the binding that was seen; when nothing was, nothing stays, so that strange keys fill no memory.
    async fn put_absent(&self, fingerprint: &KeyFingerprint, seen: Standing) -> Result<(), StoreError>;

    /// Replaces what is here by a tombstone, unless it is at least as new as `absence` ([`Version::of_absence`]). While the tombstone stands,
    /// only a binding that is at least as new, or whose writer had seen the tombstone, takes its place.
    async fn bury(&self, fingerprint: &KeyFingerprint, absence: Version) -> Result<(), StoreError>;
}
