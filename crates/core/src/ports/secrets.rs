//! Under which secret the keys of a store are hashed, and how many bindings lie under which while that changes.
//!
//! A store says for all its replicas which secret is the current one. Who hashes under another one cannot see all bindings: stores take
//! neither a claim nor a new binding from it, and do not tell it that a key has none.

use async_trait::async_trait;

use super::StoreError;
use crate::binding::BindingCounts;
use crate::fingerprint::{SecretCheck, SecretMark};

/// Among what is kept beside the settings: the text of the current secret's [`SecretCheck`], as JSON.
pub const HMAC_CHECK_SETTING: &str = "internal.hmac_check";
/// Likewise: of the secret under which rows without a mark lie. It is there once the secret was ever changed.
pub const HMAC_UNMARKED_SETTING: &str = "internal.hmac_unmarked";

/// Bindings whose keys were hashed under the same secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingsUnder {
    /// Which; none for rows that were made before stores took note of it.
    pub secret: Option<SecretMark>,
    /// How many.
    pub counts: BindingCounts,
}

/// What a store knows of secrets.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Says, once, under which secret whoever uses this store hashes keys. Until then it has none, which is no match for any. A store in which
    /// no secret is written down takes everybody.
    fn hash_under(&self, check: SecretCheck);

    /// How many bindings lie under which secret, in no order. Looks at all of them.
    async fn bindings_by_secret(&self) -> Result<Vec<BindingsUnder>, StoreError>;
}
