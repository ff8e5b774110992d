//! What the proxy makes of a request: the key that it checks, and what it forwards, line by line as the data plane does it.

use http::header::CONNECTION;
use sentinel_core::credential::{
    CredentialAmbiguous, CredentialFilter, Passage, PresentedKey, read, refuse_others,
};
use sentinel_core::fingerprint::{FingerprintHasher, KeyFingerprint, NormalisedKey};
use sentinel_core::header::OwnedHeaderLines;
use sentinel_core::path::RequestPath;
use sentinel_core::profile::{Place, Profile};

use crate::request::Request;

/// Headers of one hop that may carry a credential in these tests: they end at the proxy.
const HOP: [&str; 3] = ["connection", "upgrade", "proxy-authorization"];

/// A request that goes on.
pub(crate) struct Checked {
    /// What the key that was checked is bound under.
    pub(crate) fingerprint: Option<KeyFingerprint>,
    /// The key that was checked, as it was presented.
    pub(crate) key: Option<String>,
    /// What the upstream gets.
    pub(crate) forwarded: Request,
}

/// What a key is bound under.
pub(crate) fn fingerprint(profile: &Profile, key: &str) -> Option<KeyFingerprint> {
    profile.normalisation.apply(key).as_ref().map(hash)
}

fn hash(normalised: &NormalisedKey<'_>) -> KeyFingerprint {
    let hasher = FingerprintHasher::new(b"of no importance").expect("long enough");
    hasher.fingerprint(normalised)
}

/// The key that was checked of a request that reaches the gateway as it is, because another proxy forwards it; or why it is refused.
pub(crate) fn permit(
    profile: &Profile,
    request: &Request,
) -> Result<Option<KeyFingerprint>, CredentialAmbiguous> {
    let lines: OwnedHeaderLines = request
        .headers
        .iter()
        .map(|(name, value)| (name, value))
        .collect();
    let (lines, path, query) = (
        lines.lines(),
        RequestPath::new(&request.path),
        request.query.as_deref(),
    );
    let found = read(profile, &path, query, lines)?;
    refuse_others(profile, &path, query, lines, found.as_ref())?;
    Ok(found.map(|found| hash(&found.normalised())))
}

/// The outcome, or why the request is refused.
pub(crate) fn pass(profile: &Profile, request: &Request) -> Result<Checked, CredentialAmbiguous> {
    let lines: OwnedHeaderLines = request
        .headers
        .iter()
        .map(|(name, value)| (name, value))
        .collect();
    let (lines, path) = (lines.lines(), RequestPath::new(&request.path));
    let found = read(profile, &path, request.query.as_deref(), lines)?;
    let carrier = found.as_ref().map(PresentedKey::carrier);
    let checked_name = carrier.and_then(|carrier| match &carrier.place {
        Place::Header { name, .. } => Some(name),
        _ => None,
    });
    let filter = CredentialFilter::new(profile, carrier, request.asks_for_websocket());
    let nominated: Vec<&[u8]> = lines
        .all(&CONNECTION)
        .flat_map(|line| line.value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    let mut headers = Vec::new();
    let mut has_checked = false;
    for line in lines.iter() {
        let name = String::from_utf8_lossy(line.name).to_ascii_lowercase();
        let is_alias = name.contains(['_', '.']);
        let is_nominated = nominated
            .iter()
            .any(|nominated| nominated.eq_ignore_ascii_case(line.name));
        if HOP.contains(&&*name) || is_alias || is_nominated {
            continue;
        }
        let is_checked = checked_name.is_some_and(|name| line.is(name));
        if filter.passage(line, is_checked && has_checked) == Passage::Whole {
            headers.push((name, line.value.to_vec()));
            has_checked |= is_checked;
        }
    }
    headers.extend(
        filter
            .websocket_protocols(lines)
            .map(|protocols| ("sec-websocket-protocol".to_owned(), protocols.into_bytes())),
    );
    if request.asks_for_websocket() {
        headers.push(("upgrade".to_owned(), b"websocket".to_vec()));
    }
    let query = request.query.as_deref();
    let query = query.map(|query| filter.query(&path, query).unwrap_or_else(|| query.to_owned()));
    Ok(Checked {
        fingerprint: found.as_ref().map(|found| hash(&found.normalised())),
        key: found.map(|found| found.key().expose().to_owned()),
        forwarded: Request {
            path: request.path.clone(),
            query: query.filter(|query| !query.is_empty()),
            headers,
        },
    })
}
