//! Bindings: which networks a key may be used from.
//!
//! [`Binding`] is what a decision needs and what caches hold; [`BindingRecord`] adds what an operator looks at.

mod edit;
mod networks;

use std::fmt;
use std::sync::Arc;

use crate::fingerprint::{KeyFingerprint, KeyHint};
use crate::network::{ClientIp, Network};
use crate::policy::OwnPolicy;
use crate::time::Timestamp;

pub use edit::{BindingEdit, Edited};
pub use networks::Networks;

/// The most networks that one binding may hold.
pub const BINDING_NETWORKS_MAX: usize = 64;
/// The most characters of an operator's note on a binding.
pub const NOTE_CHARACTERS_MAX: usize = 2_000;
/// The most labels of one binding.
pub const LABELS_MAX: usize = 16;
/// The most characters of a label.
pub const LABEL_CHARACTERS_MAX: usize = 32;

/// The name of one binding; never used again after the binding is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindingId(pub i64);

impl fmt::Display for BindingId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Grows with every change of any binding, from one sequence: of two copies of a row the higher one is the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub i64);

impl Version {
    /// What stands for the absence of a binding once the row with this version was removed: newer than that row, and not newer than
    /// any row that is made later.
    #[must_use]
    pub fn of_absence(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Whether a bound key may be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindingStatus {
    /// May be used from its networks.
    Active,
    /// Refused from everywhere.
    Banned,
}

impl BindingStatus {
    /// The word that stores and the API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Banned => "banned",
        }
    }

    /// The status that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Banned]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// What a decision needs to know of a bound key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its name.
    pub id: BindingId,
    /// The key it binds.
    pub fingerprint: KeyFingerprint,
    /// Whether the key may be used.
    pub status: BindingStatus,
    /// Where from: at least one.
    pub networks: Networks,
    /// Where it departs from the general policy.
    pub policy: OwnPolicy,
    /// The row's version.
    pub version: Version,
    /// When the key was claimed; the learning window counts from here.
    pub bound_at: Timestamp,
}

impl Binding {
    /// Whether the address lies in one of the networks.
    pub fn covers(&self, address: ClientIp) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

/// A binding that is to be made.
#[derive(Clone, Debug)]
pub struct NewBinding {
    /// The key.
    pub fingerprint: KeyFingerprint,
    /// The same key under the installation's other secret, while it goes over from one to the other: a binding there is this key's, too.
    pub previous: Option<KeyFingerprint>,
    /// What may be shown of it.
    pub hint: KeyHint,
    /// The network of its first use.
    pub network: Network,
    /// When.
    pub bound_at: Timestamp,
    /// The profile by which the key was read.
    pub profile: Arc<str>,
}

/// What operators write on a binding; decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// In their own words, at most [`NOTE_CHARACTERS_MAX`].
    pub note: String,
    /// Words to find it by, at most [`LABELS_MAX`], none of them twice.
    pub labels: Vec<String>,
}

/// A binding as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingRecord {
    /// What decides.
    pub binding: Binding,
    /// What may be shown of the key.
    pub hint: KeyHint,
    /// When an operator, or learning, last changed it.
    pub updated_at: Timestamp,
    /// When the key was last let through; none until the first batch of uses is written.
    pub last_used_at: Option<Timestamp>,
    /// How many requests were let through.
    pub use_count: u64,
    /// Why it was banned, in the operator's words; empty when nothing was said.
    pub ban_reason: String,
    /// When the ban ends by itself; none for one that lasts, or where there is no ban.
    pub ban_expires_at: Option<Timestamp>,
    /// What operators wrote on it.
    pub remarks: Remarks,
    /// The profile by which the key was read when it was claimed; empty where nobody knows any more.
    pub profile: String,
}

/// How many bindings there are, by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BindingCounts {
    /// Active ones.
    pub active: u64,
    /// Banned ones.
    pub banned: u64,
}

impl BindingCounts {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.active + self.banned
    }
}
