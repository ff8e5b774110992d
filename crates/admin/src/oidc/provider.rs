//! Asks the provider: how it describes itself, which keys it has, and what a code stands for. What it says is kept within bounds and for a
//! while, one question at a time, and after a failure it is left alone for a moment. Every call has a deadline.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sentinel_core::account::Role;
use sentinel_core::account::external::{ExternalAdministrator, ExternalIdentity};
use sentinel_core::event::printable;
use sentinel_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::calls::{ProviderAnswer, ProviderCall, ProviderCalls, ProviderForm};
use super::failure::ProviderError;
use super::flow::Flow;
use super::id_token::{self, Expected};
use super::keys::Keys;
use super::metadata::{ClientAuthentication, Metadata};
use super::settings::OidcSettings;

/// The longest that one call may take.
pub(crate) const CALL_WAIT_MAX: Duration = Duration::from_secs(4);
/// For so long the provider's description of itself is believed.
pub(crate) const METADATA_LIFE_MAX: Duration = Duration::from_hours(1);
/// For so long after a failure the provider is not asked again how it describes itself.
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// The most characters of an error's name that are logged.
const ERROR_CHARACTERS_MAX: usize = 64;

/// What a code stood for.
#[derive(Debug)]
pub(crate) struct Redemption {
    pub(crate) identity: ExternalIdentity,
    /// The administrator that it makes; none when nothing that is said of them stands for a role.
    pub(crate) administrator: Option<ExternalAdministrator>,
}

/// What is known of the provider.
#[derive(Default)]
struct Known {
    metadata: Option<(Timestamp, Arc<Metadata>)>,
    /// When and why it was of no use.
    failed: Option<(Timestamp, ProviderError)>,
    keys: Option<Arc<Keys>>,
}

/// The provider.
pub(crate) struct Provider {
    settings: Arc<OidcSettings>,
    calls: Arc<dyn ProviderCalls>,
    /// Held while it is asked, so that many who wait ask once.
    known: Mutex<Known>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Deserialize)]
struct TokenError {
    error: String,
}

impl Provider {
    pub(super) fn new(settings: Arc<OidcSettings>, calls: Arc<dyn ProviderCalls>) -> Self {
        Self {
            settings,
            calls,
            known: Mutex::default(),
        }
    }

    /// Where to send the browser that has begun this.
    pub(crate) async fn authorization_url(
        &self,
        flow: &Flow,
        now: Timestamp,
    ) -> Result<String, ProviderError> {
        let mut url = self.metadata(now).await?.authorization.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.console.callback())
            .append_pair("scope", &self.settings.scopes.join(" "))
            .append_pair("state", &flow.state())
            .append_pair("nonce", &flow.nonce())
            .append_pair("code_challenge", &flow.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Whether an answer that names this issuer, or none, can be the provider's (RFC 9207).
    pub(crate) async fn is_issuer(&self, named: Option<&str>, now: Timestamp) -> Result<bool, ProviderError> {
        match named {
            Some(named) => Ok(named == self.settings.issuer.as_str()),
            None => Ok(!self.metadata(now).await?.names_issuer),
        }
    }

    /// Exchanges the code, and judges what comes of it.
    pub(crate) async fn redeem(
        &self,
        code: &str,
        flow: &Flow,
        now: Timestamp,
    ) -> Result<Redemption, ProviderError> {
        let metadata = self.metadata(now).await?;
        let token = self.exchange(&metadata, code, flow).await?;
        let header = id_token::header(&token)?;
        let keys = self.keys(&metadata, now, |keys| {
            keys.find(header.kid.as_deref(), header.alg).is_some()
        });
        let keys = keys.await?;
        let expected = Expected {
            issuer: self.settings.issuer.as_str(),
            client_id: &self.settings.client_id,
            nonce: &flow.nonce(),
            now,
        };
        let (identity, claims) = id_token::claims(&token, &header, &keys, expected)?;
        let role = self.settings.roles.role(&claims);
        let administrator = role.map(|role| administrator(&identity, &claims, role));
        Ok(Redemption {
            identity,
            administrator,
        })
    }

    async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, ProviderError> {
        let mut known = self.known.lock().await;
        let is_recent = |at: Timestamp, life: Duration| at <= now && now.since(at) < life;
        if let Some((at, metadata)) = &known.metadata
            && is_recent(*at, METADATA_LIFE_MAX)
        {
            return Ok(Arc::clone(metadata));
        }
        if let Some((at, error)) = &known.failed
            && is_recent(*at, LEFT_ALONE)
        {
            return Err(error.clone());
        }
        let asked = self.get(&self.settings.issuer.discovery()).await;
        let parsed = asked.and_then(|body| {
            Metadata::parse(&body, &self.settings.issuer).map_err(ProviderError::Unavailable)
        });
        match parsed {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known = Known {
                    metadata: Some((now, Arc::clone(&metadata))),
                    failed: None,
                    keys: known.keys.take(),
                };
                Ok(metadata)
            }
            Err(error) => {
                known.failed = Some((now, error.clone()));
                Err(error)
            }
        }
    }

    /// The keys; asked for anew when they are old, or when they do not suffice and were not asked for a moment ago.
    async fn keys(
        &self,
        metadata: &Metadata,
        now: Timestamp,
        suffice: impl Fn(&Keys) -> bool,
    ) -> Result<Arc<Keys>, ProviderError> {
        let mut known = self.known.lock().await;
        if let Some(keys) = &known.keys
            && keys.are_current(now)
            && (suffice(keys) || !keys.may_be_refetched(now))
        {
            return Ok(Arc::clone(keys));
        }
        let body = self.get(metadata.keys.as_str()).await?;
        let keys = Keys::parse(&body, now).map_err(ProviderError::Unavailable)?;
        let keys = Arc::new(keys);
        known.keys = Some(Arc::clone(&keys));
        Ok(keys)
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        code: &str,
        flow: &Flow,
    ) -> Result<Zeroizing<String>, ProviderError> {
        let (id, secret) = (&self.settings.client_id, self.settings.client_secret.expose());
        let mut body = Zeroizing::new(String::new());
        let callback = self.settings.console.callback();
        let verifier = Zeroizing::new(flow.verifier());
        for (name, value) in [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &callback),
            ("code_verifier", &verifier),
        ] {
            push(&mut body, name, value);
        }
        let authorization = match metadata.authentication {
            ClientAuthentication::Basic => {
                // Each is encoded before they are joined (RFC 6749, section 2.3.1).
                let pair = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret)));
                let basic = data_encoding::BASE64.encode(pair.as_bytes());
                Some(Zeroizing::new(format!("Basic {basic}")))
            }
            ClientAuthentication::Post => {
                push(&mut body, "client_id", id);
                push(&mut body, "client_secret", secret);
                None
            }
        };
        let form = ProviderForm { authorization, body };
        let answer = self.call(metadata.token.as_str(), Some(form)).await?;
        if answer.status == 200 {
            let tokens: Tokens = serde_json::from_slice(&answer.body).map_err(|_| {
                ProviderError::Refused("the provider's answer to the code has no ID token".to_owned())
            })?;
            return Ok(Zeroizing::new(tokens.id_token));
        }
        let told = serde_json::from_slice(&answer.body)
            .map_or_else(|_| "no reason".to_owned(), |TokenError { error }| error);
        let told = printable(told.as_bytes(), ERROR_CHARACTERS_MAX);
        let text = format!("it answered the code with {} ({told})", answer.status);
        Err(match answer.status {
            // Another code would fare no better: it does not know us by this name and secret.
            _ if told == "invalid_client" || told == "unauthorized_client" => {
                ProviderError::Unavailable(format!("{text}: check the client's id and secret"))
            }
            400..=499 => ProviderError::Refused(text),
            _ => ProviderError::Unavailable(text),
        })
    }

    async fn get(&self, url: &str) -> Result<bytes::Bytes, ProviderError> {
        let answer = self.call(url, None).await?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            let text = format!("it answered {} at {url}", answer.status);
            Err(ProviderError::Unavailable(text))
        }
    }

    async fn call(&self, url: &str, form: Option<ProviderForm>) -> Result<ProviderAnswer, ProviderError> {
        let call = self.calls.call(ProviderCall { url, form });
        match tokio::time::timeout(CALL_WAIT_MAX, call).await {
            Ok(answer) => answer.map_err(|error| ProviderError::Unavailable(error.to_string())),
            Err(_) => Err(ProviderError::Unavailable("it did not answer in time".to_owned())),
        }
    }
}

fn administrator(
    identity: &ExternalIdentity,
    claims: &Map<String, Value>,
    role: Role,
) -> ExternalAdministrator {
    let shown_as = ["preferred_username", "email", "nickname", "sub"];
    ExternalAdministrator {
        identity: identity.clone(),
        shown_as: shown_as
            .into_iter()
            .filter_map(|name| id_token::text(claims, name).map(str::to_owned))
            .collect(),
        role,
    }
}

/// What stays as it is in a form; not every provider reads escapes that are not needed.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// As forms and the pair of a basic authorization have it.
fn encoded(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, ESCAPED)
}

fn push(form: &mut String, name: &str, value: &str) {
    let separator = if form.is_empty() { "" } else { "&" };
    write!(form, "{separator}{name}={}", encoded(value)).expect("a text takes everything");
}
