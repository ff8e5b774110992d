//! Whether a request carries the checked credential and no other. Asked where nothing can be held back, because somebody else forwards the
//! request: there, what a [`CredentialFilter`] would keep from the gateway must not be in it at all.
//!
//! Must never ask which of several credentials a gateway would prefer: all of them are one key, or the request is refused.

use http::header::SEC_WEBSOCKET_PROTOCOL;

use super::{
    CredentialAmbiguous, CredentialFilter, Passage, PresentedKey, WEBSOCKET_KEY_PREFIX, is_signature,
    is_websocket_key, query,
};
use crate::header::{HeaderLine, HeaderLines};
use crate::path::RequestPath;
use crate::profile::{Place, Profile};

/// The scheme behind which a key may stand in any header, in any case.
const BEARER: &str = "bearer ";

/// Refuses a request that carries a credential beside the one that was read from it, `found`, unless it is the same key; and one whose
/// credentials could be taken for others behind whoever forwards it.
pub fn refuse_others(
    profile: &Profile,
    path: &RequestPath<'_>,
    query: Option<&str>,
    headers: HeaderLines<'_>,
    found: Option<&PresentedKey<'_, '_>>,
) -> Result<(), CredentialAmbiguous> {
    // Whether the request becomes a WebSocket is not always told: it may.
    let filter = CredentialFilter::new(profile, found.map(PresentedKey::carrier), true);
    for line in headers.iter() {
        let is_sole = if line.is(&SEC_WEBSOCKET_PROTOCOL) {
            is_sole_protocol(profile, &filter, line, found)
        } else if is_alias(profile, line) {
            false
        } else if profile.credential_headers.iter().any(|name| line.is(name)) {
            let is_held_back = filter.passage(line, false) == Passage::Nothing;
            // Some proxies join the lines of a header when they ask, and not when they forward. No key has a comma.
            !line.value.contains(&b',') && (!is_held_back || is_same_header(profile, line, found))
        } else {
            true
        };
        if !is_sole {
            return Err(CredentialAmbiguous::Several);
        }
    }
    let Some(query) = query.filter(|_| profile.is_claim_path(path) || profile.reads_query(path)) else {
        return Ok(());
    };
    let own = profile
        .carriers
        .iter()
        .filter_map(|carrier| match &carrier.place {
            Place::Query(name) => Some(&**name),
            _ => None,
        });
    let is_same = |value: &str| is_same(profile, value, found);
    if query::credentials(query, &own)
        .all(|value| value.is_some_and(|value| value.is_empty() || is_same(&value)))
    {
        return Ok(());
    }
    Err(CredentialAmbiguous::Several)
}

/// Whether a CGI-like gateway could take the line for one that holds a key (`X_Api_Key`, `x.api.key`).
fn is_alias(profile: &Profile, line: HeaderLine<'_>) -> bool {
    let is_mark = |byte: &u8| matches!(byte, b'_' | b'.');
    if !line.name.iter().any(is_mark) {
        return false;
    }
    let plain = |name: &[u8]| -> Vec<u8> {
        let dashed = name.iter().map(|byte| if is_mark(byte) { b'-' } else { *byte });
        dashed.map(|byte| byte.to_ascii_lowercase()).collect()
    };
    let name = plain(line.name);
    let mut known = profile.credential_headers.iter().chain([&SEC_WEBSOCKET_PROTOCOL]);
    known.any(|known| plain(known.as_str().as_bytes()) == name && !line.is(known))
}

fn is_same_header(profile: &Profile, line: HeaderLine<'_>, found: Option<&PresentedKey<'_, '_>>) -> bool {
    let Some(text) = line.text() else { return false };
    let scheme = text.get(..BEARER.len());
    let value = match scheme {
        Some(scheme) if scheme.eq_ignore_ascii_case(BEARER) => text.get(BEARER.len()..).unwrap_or_default(),
        _ => text,
    };
    let value = value.trim_matches([' ', '\t']);
    value.is_empty()
        || value.eq_ignore_ascii_case(BEARER.trim_end())
        || profile.placeholder.as_deref() == Some(value)
        || is_same(profile, value, found)
}

/// Whether every key among the subprotocols is the checked one, and nothing else there could be taken for a key.
fn is_sole_protocol(
    profile: &Profile,
    filter: &CredentialFilter<'_>,
    line: HeaderLine<'_>,
    found: Option<&PresentedKey<'_, '_>>,
) -> bool {
    let Some(text) = line.text() else { return false };
    text.split(',').map(str::trim).all(|token| {
        if is_websocket_key(token) {
            let key = token.strip_prefix(WEBSOCKET_KEY_PREFIX);
            return key.is_some_and(|key| is_same(profile, key, found));
        }
        token.is_empty() || filter.lets_on(token, false)
    })
}

/// Whether a value is the checked key in one of its spellings.
fn is_same(profile: &Profile, value: &str, found: Option<&PresentedKey<'_, '_>>) -> bool {
    let is_key = profile.alphabet.holds(value) && !is_signature(value);
    is_key && found.is_some_and(|found| profile.normalisation.apply(value) == Some(found.normalised()))
}
