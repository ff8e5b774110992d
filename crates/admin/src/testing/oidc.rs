//! A provider of identities behind the port: a scripted one with real keys, and the faults of the way to it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use sentinel_testkit::{IdentityProvider, SigningKey};

use super::START;
use crate::{
    CallFailed, ClientSecret, ConsoleUrl, Issuer, OidcParts, OidcSettings, ProviderAnswer, ProviderCall,
    ProviderCalls, RoleMapping,
};

/// What the provider calls itself.
pub(crate) const ISSUER: &str = "https://id.example/realms/main";
/// Where operators reach the console.
pub(crate) const PUBLIC_URL: &str = "https://sentinel.example";

/// What is wrong with the way.
#[derive(Clone, Debug)]
pub(crate) enum CallFault {
    Fails,
    Hangs,
    Answers(u16, Vec<u8>),
}

/// Calls to a scripted provider.
pub(crate) struct FakeCalls {
    pub(crate) provider: IdentityProvider,
    /// What is wrong with calls to addresses that end so.
    fault: Mutex<Option<(&'static str, CallFault)>>,
}

impl FakeCalls {
    /// To a provider with one key, at the time of the tests.
    pub(crate) fn new(key: SigningKey) -> Arc<Self> {
        let now_seconds = START.unix_ms() / 1000;
        Arc::new(Self {
            provider: IdentityProvider::new(ISSUER, now_seconds, key),
            fault: Mutex::default(),
        })
    }

    pub(crate) fn set(&self, fault: Option<(&'static str, CallFault)>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

#[async_trait]
impl ProviderCalls for FakeCalls {
    async fn call(&self, call: ProviderCall<'_>) -> Result<ProviderAnswer, CallFailed> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((suffix, fault)) = fault
            && call.url.ends_with(suffix)
        {
            return match fault {
                CallFault::Fails => Err(CallFailed("nobody is there".to_owned())),
                CallFault::Hangs => std::future::pending().await,
                CallFault::Answers(status, body) => Ok(ProviderAnswer {
                    status,
                    body: body.into(),
                }),
            };
        }
        let target = call.url.strip_prefix(ISSUER).expect("an address of the provider");
        let (authorization, body) = match &call.form {
            Some(form) => (
                form.authorization.as_deref().map(String::as_str),
                form.body.as_bytes(),
            ),
            None => (None, &b""[..]),
        };
        let (status, body) = self.provider.answer(target, authorization, body);
        Ok(ProviderAnswer {
            status,
            body: Bytes::from(body),
        })
    }
}

/// The provider as it is configured in tests: three groups, one for each role.
pub(crate) fn parts(calls: Arc<FakeCalls>) -> OidcParts {
    let group = |name: &str| vec![name.to_owned()];
    OidcParts {
        settings: OidcSettings {
            name: "Example".to_owned(),
            issuer: Issuer::parse(ISSUER).expect("an issuer"),
            client_id: IdentityProvider::CLIENT_ID.to_owned(),
            client_secret: ClientSecret::new(IdentityProvider::CLIENT_SECRET),
            scopes: vec!["openid".to_owned(), "groups".to_owned()],
            roles: RoleMapping {
                claim: "groups".to_owned(),
                owners: group("admins"),
                operators: group("ops"),
                viewers: group("staff"),
            },
            console: ConsoleUrl::new(PUBLIC_URL),
        },
        calls,
    }
}
