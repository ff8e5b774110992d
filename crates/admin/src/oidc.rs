//! Sign-in of administrators by OpenID Connect: the authorization code flow with PKCE, at one provider that the operator configured.
//!
//! The flow is small and every step of it is here to be read: `flow` keeps what a browser has begun in a sealed cookie, so that any replica
//! can end it; `provider` asks the provider; `id_token` is the only judge of what it says. Nobody gets in by a name: who somebody is, is issuer
//! and subject. Must never believe an address that a request names, and never log a code, a token or the client's secret.

mod calls;
mod failure;
mod flow;
mod id_token;
mod keys;
mod metadata;
mod provider;
mod settings;

use std::sync::Arc;

use sentinel_core::account::Administrator;

use crate::auth::token::JwtSecret;

pub use calls::{CallFailed, ProviderAnswer, ProviderCall, ProviderCalls, ProviderForm};
pub use settings::{
    CLAIM_CHARACTERS_MAX, ClientSecret, ConsoleUrl, Issuer, IssuerProblem, OidcSettings, ROLE_VALUES_MAX,
    RoleMapping,
};

pub(crate) use failure::{ProviderError, SignInFailure};
pub(crate) use flow::{Flow, FlowCookies};
pub(crate) use provider::Provider;

#[cfg(test)]
pub(crate) use {
    flow::FLOW_LIFE_MAX,
    id_token::{CLOCK_SKEW_SECONDS_MAX, ID_TOKEN_BYTES_MAX, TOKEN_AGE_SECONDS_MAX},
    keys::REFETCHED_EVERY,
    provider::{CALL_WAIT_MAX, METADATA_LIFE_MAX},
};

/// What signing in by a provider needs from outside.
pub struct OidcParts {
    /// As it is configured.
    pub settings: OidcSettings,
    /// The way to the provider.
    pub calls: Arc<dyn ProviderCalls>,
}

/// Signing in by a provider.
pub(crate) struct Oidc {
    pub(crate) settings: Arc<OidcSettings>,
    pub(crate) flows: FlowCookies,
    pub(crate) provider: Provider,
}

impl Oidc {
    pub(crate) fn new(parts: OidcParts, secret: &JwtSecret) -> Self {
        let settings = Arc::new(parts.settings);
        Self {
            flows: FlowCookies::new(secret, settings.console.is_secure()),
            provider: Provider::new(Arc::clone(&settings), parts.calls),
            settings,
        }
    }

    /// Whether this is the provider that vouches for the administrator.
    pub(crate) fn vouches_for(&self, administrator: &Administrator) -> bool {
        let identity = administrator.external.as_ref();
        identity.is_some_and(|identity| identity.issuer() == self.settings.issuer.as_str())
    }
}
