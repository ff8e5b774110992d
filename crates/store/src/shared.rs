//! The cache that replicas share, in front of the authority: what its entries promise, whatever keeps them.
//!
//! It only speeds things up, and never decides. Three rules keep it from ever being the reason for a wrong answer:
//!
//! - An entry knows its age since the authority was asked. A fresh one is given; an old one is kept, but given only while the
//!   authority does not answer. So no outage and no lost message makes a change later than the life that all caches share.
//! - Of two copies the one with the higher version stays, unless the writer had seen the other one before it asked the authority: then
//!   the authority itself went back, and its word counts.
//! - A key that was unbound leaves a tombstone with its version, so that a load which was under way cannot put the old binding back.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::binding::{Binding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::StoreError;

/// What the shared cache holds for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedEntry {
    /// Nothing, or a tombstone: ask the authority. The version is the tombstone's.
    Missing(Option<Version>),
    /// The authority said so, a moment ago: the key has no binding.
    Absent,
    /// A binding, and how long ago the authority gave it.
    Binding(Binding, Duration),
}

impl SharedEntry {
    /// The version that was seen: to be handed to the writing call that follows.
    pub fn seen(&self) -> Option<Version> {
        match self {
            Self::Missing(seen) => *seen,
            Self::Absent => None,
            Self::Binding(binding, _) => Some(binding.version),
        }
    }
}

/// A cache shared by replicas. Each call is one round trip and bounded in time; when one fails, the caller goes on without.
#[async_trait]
pub trait SharedCache: Send + Sync {
    /// What is held for the key. An entry that cannot be read is missing, and is said in the log.
    async fn get(&self, fingerprint: &KeyFingerprint) -> Result<SharedEntry, StoreError>;

    /// Takes in what the authority gave, unless something newer than `seen` is here that is newer than `binding`, too. Its age begins anew.
    async fn put(&self, binding: &Binding, seen: Option<Version>) -> Result<(), StoreError>;

    /// Takes in that the authority has no binding, for a short time, unless something newer than `seen` is here.
    async fn put_absent(&self, fingerprint: &KeyFingerprint, seen: Option<Version>)
    -> Result<(), StoreError>;

    /// Replaces what is here by a tombstone, unless it is at least as new as `absence` ([`Version::of_absence`]). While the tombstone stands,
    /// only a binding that is at least as new, or whose writer had seen the tombstone, takes its place.
    async fn bury(&self, fingerprint: &KeyFingerprint, absence: Version) -> Result<(), StoreError>;
}
