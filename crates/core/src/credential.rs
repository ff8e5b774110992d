//! The key that the gateway will use: found where the gateway's profile looks, and the only credential that goes on.
//!
//! A proxy that checks one credential while the gateway uses another can be walked around. So the order of precedence is
//! the gateway's own, whatever could be read in two ways is refused, and [`keep_only`] removes every other credential.

use std::borrow::Cow;
use std::fmt;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};

use crate::fingerprint::{ApiKey, NormalisedKey};
use crate::path::RequestPath;
use crate::profile::{Carrier, Place, Profile};

mod query;

/// Headers in which some gateway takes a key. None of them goes on unless it holds the checked one.
pub static CREDENTIAL_HEADERS: [HeaderName; 7] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("mj-api-secret"),
    HeaderName::from_static("x-litellm-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];

/// Names in a query under which some gateway takes a key.
pub const CREDENTIAL_QUERIES: [&str; 4] = ["key", "api_key", "api-key", "apikey"];

/// What a browser's WebSocket puts in front of its key.
const WEBSOCKET_KEY_PREFIX: &str = "openai-insecure-api-key.";

/// The request carries credentials that could be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialAmbiguous {
    /// A header or a query parameter is repeated with different values.
    #[error("a credential is repeated with different values")]
    Repeated,
    /// A key holds white space, or something else than visible ASCII.
    #[error("a credential holds characters that no key has")]
    Malformed,
    /// The path can be read in several ways that lead to different credentials.
    #[error("the path can be read in ways that lead to different credentials")]
    Path,
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
    headers: &'r HeaderMap,
) -> Result<Option<PresentedKey<'p, 'r>>, CredentialAmbiguous> {
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

/// As [`read`], for one reading of the path.
fn read_as<'p, 'r>(
    profile: &'p Profile,
    reading: &[u8],
    query: Option<&'r str>,
    headers: &'r HeaderMap,
) -> Result<Option<PresentedKey<'p, 'r>>, CredentialAmbiguous> {
    for carrier in profile.carriers.iter().filter(|carrier| carrier.applies(reading)) {
        let value = match &carrier.place {
            Place::Header { name, schemes, bare } => header_value(headers, name)?
                .and_then(|value| without_scheme(value, schemes, *bare))
                .map(Cow::Borrowed),
            Place::WebSocketProtocol => websocket_key(headers)?.map(Cow::Borrowed),
            Place::Query(name) => query.map_or(Ok(None), |query| query::value(query, name))?,
        };
        let Some(value) = value else { continue };
        if profile.placeholder.as_deref() == Some(&*value) || profile.normalisation.apply(&value).is_none() {
            continue;
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
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
    headers: &'r HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'r str>, CredentialAmbiguous> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.any(|value| value != first) {
        return Err(CredentialAmbiguous::Repeated);
    }
    first
        .to_str()
        .map(Some)
        .map_err(|_| CredentialAmbiguous::Malformed)
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
fn websocket_key(headers: &HeaderMap) -> Result<Option<&str>, CredentialAmbiguous> {
    let mut found: Option<&str> = None;
    for line in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let line = line.to_str().map_err(|_| CredentialAmbiguous::Malformed)?;
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

/// Removes every credential from the request but the one that was checked. Cookies stay: they are sessions, not keys.
///
/// A query loses its keys only where the gateway might read one: elsewhere `key` may well mean something else.
pub fn keep_only(profile: &Profile, checked: Option<&Carrier>, headers: &mut HeaderMap, uri: &mut Uri) {
    let place = checked.map(|carrier| &carrier.place);
    for name in &*profile.credential_headers {
        match place {
            Some(Place::Header { name: kept, .. }) if kept == name => keep_one(headers, name),
            _ => {
                headers.remove(name);
            }
        }
    }
    if place != Some(&Place::WebSocketProtocol) {
        remove_websocket_key(headers);
    }
    if let Some(target) = target_without_keys(profile, place, uri) {
        let mut parts = std::mem::take(uri).into_parts();
        parts.path_and_query = Some(target);
        *uri = Uri::from_parts(parts).unwrap_or_default();
    }
}

fn target_without_keys(profile: &Profile, checked: Option<&Place>, uri: &Uri) -> Option<PathAndQuery> {
    let query = uri.query()?;
    let path = RequestPath::new(uri.path());
    if !profile.is_claim_path(&path) && !profile.reads_query(&path) {
        return None;
    }
    let kept = match checked {
        Some(Place::Query(name)) => Some(&**name),
        _ => None,
    };
    query::without_credentials(uri.path(), query, kept)
}

/// Equal repetitions of the checked header become one.
fn keep_one(headers: &mut HeaderMap, name: &HeaderName) {
    if headers.get_all(name).iter().nth(1).is_some()
        && let Some(value) = headers.get(name).cloned()
    {
        headers.insert(name, value);
    }
}

fn remove_websocket_key(headers: &mut HeaderMap) {
    let holds_key = |value: &HeaderValue| {
        let prefix = WEBSOCKET_KEY_PREFIX.as_bytes();
        value
            .as_bytes()
            .windows(prefix.len())
            .any(|window| window == prefix)
    };
    if !headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().any(holds_key) {
        return;
    }
    let kept: Vec<String> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|part| !part.is_empty() && !part.contains(WEBSOCKET_KEY_PREFIX))
        .map(str::to_owned)
        .collect();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Ok(value) = HeaderValue::from_str(&kept.join(", "))
        && !kept.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
}

#[cfg(test)]
mod tests;
