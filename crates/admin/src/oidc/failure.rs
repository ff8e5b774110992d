//! Why nobody was signed in: in one word for the page, which says it in the operator's language, and in more words for the log.

use std::time::Duration;

use sentinel_core::ports::StoreError;

/// Why the provider was of no help. The text is for the log alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProviderError {
    /// It does not answer, or not as a provider does.
    #[error("the provider is of no use just now: {0}")]
    Unavailable(String),
    /// It does not vouch for whoever came, or what it says is not to be believed.
    #[error("{0}")]
    Refused(String),
}

/// Why nobody was signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignInFailure {
    /// This browser has not begun it, or too long ago, or it is over.
    FlowUnknown,
    /// The provider sent the browser back with an error.
    Denied,
    /// What the provider says is not to be believed.
    NotVouchedFor,
    /// None of what the provider says of them stands for a role.
    RoleMissing,
    /// The account was disabled.
    AccountDisabled,
    /// There are as many accounts as there may be.
    AccountsFull,
    /// Too many failures; wait for so long.
    LockedOut(Duration),
    /// The provider does not answer.
    ProviderUnavailable,
    /// The store does not answer.
    Store(StoreError),
    /// Something that cannot happen happened; whoever made this has logged it.
    Internal,
}

impl SignInFailure {
    /// The word that the console's page knows.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::FlowUnknown => "flow_unknown",
            Self::Denied => "denied",
            Self::NotVouchedFor => "not_vouched_for",
            Self::RoleMissing => "role_missing",
            Self::AccountDisabled => "account_disabled",
            Self::AccountsFull => "accounts_full",
            Self::LockedOut(_) => "locked",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::Store(_) => "store_unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether it is the caller's doing, so that it counts against the address and is written down.
    pub(crate) const fn is_callers(&self) -> bool {
        matches!(
            self,
            Self::FlowUnknown
                | Self::Denied
                | Self::NotVouchedFor
                | Self::RoleMissing
                | Self::AccountDisabled
                | Self::AccountsFull
        )
    }
}
