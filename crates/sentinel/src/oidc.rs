//! The way to the provider by which administrators sign in: the same guarded calls as those of alerts, without a redirect and within bounds.
//! Any address is called, for the provider is the operator's own choice and may be inside the installation; over http only this machine.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use sentinel_admin::{CallFailed, OidcParts, ProviderAnswer, ProviderCall, ProviderCalls};
use sentinel_alerts::outbound::{Dialer, Guard, HttpClient, HttpUrl, SystemResolver, TrustProblem, trust};
use sentinel_core::network::Network;
use sentinel_core::time::{Clock as _, SystemClock};

use crate::config::OidcConfig;

/// Every address there is.
const ANYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// What the admin listener needs for it.
pub(crate) fn parts(config: &OidcConfig) -> Result<OidcParts, TrustProblem> {
    let anywhere = ANYWHERE.map(|network| network.parse::<Network>().expect("a network"));
    let guard = Guard::new(Arc::new(SystemResolver), anywhere.to_vec());
    let client = HttpClient::new(Dialer::new(guard, trust(&config.authorities)?));
    Ok(OidcParts {
        settings: config.settings.clone(),
        calls: Arc::new(GuardedCalls { client }),
    })
}

struct GuardedCalls {
    client: HttpClient,
}

#[async_trait]
impl ProviderCalls for GuardedCalls {
    async fn call(&self, call: ProviderCall<'_>) -> Result<ProviderAnswer, CallFailed> {
        // Whether http will do was judged before; here only the form counts.
        let url = HttpUrl::parse(call.url, true).map_err(|error| CallFailed(error.to_string()))?;
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
        let (method, body) = match call.form {
            None => (Method::GET, bytes::Bytes::new()),
            Some(form) => {
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.push((CONTENT_TYPE, kind));
                if let Some(text) = &form.authorization {
                    let mut value = HeaderValue::from_str(text)
                        .map_err(|_| CallFailed("the client's id and secret fit no header".to_owned()))?;
                    value.set_sensitive(true);
                    headers.push((AUTHORIZATION, value));
                }
                (Method::POST, bytes::Bytes::copy_from_slice(form.body.as_bytes()))
            }
        };
        let reply = self
            .client
            .call(method, &url, headers, body, SystemClock.now())
            .await
            .map_err(|error| CallFailed(error.to_string()))?;
        Ok(ProviderAnswer {
            status: reply.status,
            body: reply.body,
        })
    }
}

#[cfg(test)]
mod tests;
