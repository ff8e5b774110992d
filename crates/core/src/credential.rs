//! The key that the gateway will use: found where the gateway's profile looks, and the only credential that goes on.
//!
//! A proxy that checks one credential while the gateway uses another can be walked around. So the order of precedence is
//! the gateway's own, whatever could be read in two ways is refused, and a [`CredentialFilter`] keeps every other credential back.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderName, SEC_WEBSOCKET_PROTOCOL};
use zeroize::Zeroizing;

use crate::fingerprint::{ApiKey, NormalisedKey};
use crate::header::HeaderLines;
use crate::path::RequestPath;
use crate::profile::{Carrier, Place, Profile};

mod filter;
mod query;
mod sole;

pub use filter::{CredentialFilter, Passage};
pub use sole::refuse_others;

/// Headers in which some gateway takes a key. None of them goes on unless it holds the checked one.
pub static CREDENTIAL_HEADERS: [HeaderName; 8] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("mj-api-secret"),
    HeaderName::from_static("x-litellm-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
    // LiteLLM takes it on its pass-through routes, over every other one. No profile reads it, so it never goes on.
    HeaderName::from_static("litellm_user_api_key"),
];

/// Names in a query under which some gateway takes a key; and two that Google's front ends take: a token, and whole header
/// lines (`goog.net.rpc.HttpCors` of the Closure library), which would be read over those that were checked.
pub const CREDENTIAL_QUERIES: [&str; 6] = [
    "key",
    "api_key",
    "api-key",
    "apikey",
    "access_token",
    "$httpheaders",
];

/// What a browser's WebSocket puts in front of its key.
const WEBSOCKET_KEY_PREFIX: &str = "openai-insecure-api-key.";

/// Amazon's signature. LiteLLM searches it for a `Credential=` and takes that for the key, so it is never one as a whole.
const SIGNATURE_SCHEME: &str = "AWS4-HMAC-SHA256";

/// Whether a WebSocket subprotocol is a key, well written or not: gateways compare with less than the whole prefix, and with
/// other cases.
fn is_websocket_key(token: &str) -> bool {
    let prefix = WEBSOCKET_KEY_PREFIX.trim_end_matches('.').as_bytes();
    let mut windows = token.as_bytes().windows(prefix.len());
    windows.any(|window| window.eq_ignore_ascii_case(prefix))
}

/// The request carries credentials that could be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialAmbiguous {
    /// A header or a query parameter is repeated with different values.
    #[error("a credential is repeated with different values")]
    Repeated,
    /// A key holds white space or something else that the gateway's keys never have, or is a signature instead of a key.
    #[error("a credential holds characters that no key has")]
    Malformed,
    /// `Connection` names a header that [`is_credential_header`] protects: whoever follows it would take that header away
    /// after it was checked.
    #[error("the Connection header names a header that must not be taken away")]
    Nominated,
    /// The path can be read in several ways that lead to different credentials.
    #[error("the path can be read in ways that lead to different credentials")]
    Path,
    /// Where nothing is held back: beside the checked credential there is another one, or something that could be taken for one.
    #[error("the request carries more than one credential")]
    Several,
}

/// A key as the gateway will find it. Does not print.
pub struct PresentedKey<'p, 'r> {
    key: ApiKey<'r>,
    profile: &'p Profile,
    carrier: &'p Carrier,
}

impl<'p, 'r> PresentedKey<'p, 'r> {
    /// The key.
    pub fn key(&self) -> &ApiKey<'r> {
        &self.key
    }

    /// What of it identifies it.
    pub fn normalised(&self) -> NormalisedKey<'_> {
        let key = self.key.expose();
        let normalisation = self.profile.normalisation;
        normalisation.apply(key).unwrap_or(NormalisedKey::Exact(key))
    }

    /// Where it stands in the request.
    pub fn carrier(&self) -> &'p Carrier {
        self.carrier
    }
}

impl fmt::Debug for PresentedKey<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PresentedKey(redacted)")
    }
}

/// The key that the gateway will use; none when it will find none.
pub fn read<'p, 'r>(
    profile: &'p Profile,
    path: &RequestPath<'_>,
    query: Option<&'r str>,
    headers: HeaderLines<'r>,
) -> Result<Option<PresentedKey<'p, 'r>>, CredentialAmbiguous> {
    refuse_nominated(profile, headers)?;
    let mut readings = path.readings();
    let first = readings.next().unwrap_or_default();
    let found = read_as(profile, first, query, headers)?;
    for reading in readings {
        let other = read_as(profile, reading, query, headers)?;
        let place =
            |found: &Option<PresentedKey<'_, '_>>| found.as_ref().map(|key| std::ptr::from_ref(key.carrier));
        let text =
            |found: &Option<PresentedKey<'_, 'r>>| found.as_ref().map(|key| key.key.expose().to_owned());
        if place(&found) != place(&other) && text(&found) != text(&other) {
            return Err(CredentialAmbiguous::Path);
        }
    }
    Ok(found)
}

/// Whether a header with this name must reach the upstream as it was checked, or not at all: those that may hold a key, in
/// this profile, `Sec-WebSocket-Protocol`, and `Host`. So nothing that a client wrote elsewhere, such as `Connection`, may
/// take one away.
pub fn is_credential_header(profile: &Profile, name: &[u8]) -> bool {
    let is = |known: &HeaderName| name.eq_ignore_ascii_case(known.as_str().as_bytes());
    profile.credential_headers.iter().any(is) || is(&SEC_WEBSOCKET_PROTOCOL) || is(&HOST)
}

fn refuse_nominated(profile: &Profile, headers: HeaderLines<'_>) -> Result<(), CredentialAmbiguous> {
    let is_nominated = headers
        .all(&CONNECTION)
        .flat_map(|line| line.value.split(|byte| *byte == b','))
        .any(|name| is_credential_header(profile, name.trim_ascii()));
    if is_nominated {
        return Err(CredentialAmbiguous::Nominated);
    }
    Ok(())
}

/// As [`read`], for one reading of the path.
fn read_as<'p, 'r>(
    profile: &'p Profile,
    reading: &[u8],
    query: Option<&'r str>,
    headers: HeaderLines<'r>,
) -> Result<Option<PresentedKey<'p, 'r>>, CredentialAmbiguous> {
    for carrier in profile.carriers.iter().filter(|carrier| carrier.applies(reading)) {
        let value = match &carrier.place {
            Place::Header { name, schemes, bare } => header_value(headers, name)?
                .and_then(|value| without_scheme(value, schemes, *bare))
                .map(Cow::Borrowed),
            Place::BasicPassword => match header_value(headers, &AUTHORIZATION)? {
                Some(value) => basic_password(value)?.map(Cow::Owned),
                None => None,
            },
            Place::WebSocketProtocol => websocket_key(headers)?.map(Cow::Borrowed),
            Place::Query(name) => query.map_or(Ok(None), |query| query::value(query, name))?,
        };
        let Some(value) = value else { continue };
        if profile.placeholder.as_deref() == Some(&*value) || profile.normalisation.apply(&value).is_none() {
            continue;
        }
        if !profile.alphabet.holds(&value) || is_signature(&value) {
            return Err(CredentialAmbiguous::Malformed);
        }
        return Ok(Some(PresentedKey {
            key: ApiKey::new(value),
            profile,
            carrier,
        }));
    }
    Ok(None)
}

/// The header's value; an error when it is there more than once with different values.
fn header_value<'r>(
    headers: HeaderLines<'r>,
    name: &HeaderName,
) -> Result<Option<&'r str>, CredentialAmbiguous> {
    let mut lines = headers.all(name);
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    if lines.any(|line| line.value != first.value) {
        return Err(CredentialAmbiguous::Repeated);
    }
    let value = first.text().ok_or(CredentialAmbiguous::Malformed)?;
    if is_signature(value) {
        return Err(CredentialAmbiguous::Malformed);
    }
    Ok(Some(value))
}

fn is_signature(value: &str) -> bool {
    let scheme = SIGNATURE_SCHEME.as_bytes();
    value
        .as_bytes()
        .get(..scheme.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// The password behind `Basic `. The one strict spelling of it only: gateways decode more of them, and could find more than one
/// key in what has several colons.
fn basic_password(value: &str) -> Result<Option<String>, CredentialAmbiguous> {
    let Some(encoded) = value.strip_prefix("Basic ") else {
        return Ok(None);
    };
    let malformed = CredentialAmbiguous::Malformed;
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(encoded).map_err(|_| malformed)?);
    let text = std::str::from_utf8(&decoded).map_err(|_| malformed)?;
    match text.split_once(':') {
        Some((_, password)) if !password.contains(':') => Ok(Some(password.to_owned())),
        _ => Err(malformed),
    }
}

/// The key behind one of the schemes, or bare; none when it stands behind a scheme that the gateway does not take for a key's.
fn without_scheme<'r>(value: &'r str, schemes: &[Cow<'static, str>], bare: bool) -> Option<&'r str> {
    let blank = [' ', '\t'];
    let value = value.trim_matches(blank);
    if let Some(key) = schemes.iter().find_map(|scheme| value.strip_prefix(&**scheme)) {
        return Some(key.trim_matches(blank));
    }
    let is_scheme_alone = schemes.iter().any(|scheme| scheme.trim_end() == value);
    (bare && !is_scheme_alone && !value.contains(blank)).then_some(value)
}

/// The key among the WebSocket subprotocols.
fn websocket_key(headers: HeaderLines<'_>) -> Result<Option<&str>, CredentialAmbiguous> {
    let mut found: Option<&str> = None;
    for line in headers.all(&SEC_WEBSOCKET_PROTOCOL) {
        let line = line.text().ok_or(CredentialAmbiguous::Malformed)?;
        for key in line
            .split(',')
            .filter_map(|part| part.trim().strip_prefix(WEBSOCKET_KEY_PREFIX))
        {
            if found.is_some_and(|earlier| earlier != key) {
                return Err(CredentialAmbiguous::Repeated);
            }
            found = Some(key);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
