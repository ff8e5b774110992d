//! Keys in a query: `?key=…`, percent escapes and `+` included. Nothing here keeps or prints a value.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{CREDENTIAL_QUERIES, CredentialAmbiguous};

/// The value of the parameter; an error when it is there more than once with different values.
pub(super) fn value<'r>(query: &'r str, name: &str) -> Result<Option<Cow<'r, str>>, CredentialAmbiguous> {
    let mut found: Option<Cow<'r, str>> = None;
    for (_, value) in pairs(query).filter(|(candidate, _)| decoded(candidate).as_deref() == Some(name)) {
        let value = decoded(value).ok_or(CredentialAmbiguous::Malformed)?;
        if found.as_ref().is_some_and(|earlier| *earlier != value) {
            return Err(CredentialAmbiguous::Repeated);
        }
        found = Some(value);
    }
    Ok(found)
}

/// The query without any credential but the one under `kept`; none when nothing had to go. Credentials are what stands under
/// [`CREDENTIAL_QUERIES`] and under the `further` names.
pub(super) fn without_credentials<'n>(
    query: &str,
    kept: Option<&str>,
    further: &(impl Iterator<Item = &'n str> + Clone),
) -> Option<String> {
    let goes =
        |name: &str| is_credential(name, further) && (kept.is_none() || decoded(name).as_deref() != kept);
    if !pairs(query).any(|(name, _)| goes(name)) {
        return None;
    }
    let name_of = |part: &str| part.split_once('=').map_or(part.len(), |(name, _)| name.len());
    let rest: Vec<&str> = query
        .split('&')
        .filter(|part| !goes(&part[..name_of(part)]))
        .collect();
    Some(rest.join("&"))
}

/// What stands under such names, and under those that cannot be read; none for a value that cannot be.
pub(super) fn credentials<'q, 'n>(
    query: &'q str,
    further: &(impl Iterator<Item = &'n str> + Clone),
) -> impl Iterator<Item = Option<Cow<'q, str>>> {
    pairs(query)
        .filter(|(name, _)| is_credential(name, further))
        .map(|(_, value)| decoded(value))
}

/// Whether a credential may stand under a name; under one that cannot be read, too.
fn is_credential<'n>(name: &str, further: &(impl Iterator<Item = &'n str> + Clone)) -> bool {
    decoded(name).is_none_or(|name| {
        let mut known = CREDENTIAL_QUERIES.iter().copied().chain(further.clone());
        known.any(|known| name.eq_ignore_ascii_case(known))
    })
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// Decoded as forms are; none when that is no UTF-8.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return percent_decode_str(&spaced)
            .decode_utf8()
            .ok()
            .map(|text| Cow::Owned(text.into_owned()));
    }
    percent_decode_str(text).decode_utf8().ok()
}
