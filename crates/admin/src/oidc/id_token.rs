//! The only judge of an ID token (OpenID Connect Core 1.0, section 3.1.3.7): the signature under a key of the provider, the claims under what
//! was configured and begun, the times under the injected clock. Must never believe a claim before the signature was checked.

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use sentinel_core::account::external::ExternalIdentity;
use sentinel_core::time::Timestamp;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::failure::ProviderError;
use super::keys::Keys;

/// The most bytes of a token that are looked at.
pub(crate) const ID_TOKEN_BYTES_MAX: usize = 48 * 1024;
/// By how much the provider's clock may differ, in seconds.
pub(crate) const CLOCK_SKEW_SECONDS_MAX: i64 = 60;
/// How old a token may be: it was made for the sign-in that is under way. In seconds.
pub(crate) const TOKEN_AGE_SECONDS_MAX: i64 = 600;

/// What a token has to be for.
#[derive(Clone, Copy)]
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    pub(super) client_id: &'e str,
    pub(super) nonce: &'e str,
    pub(super) now: Timestamp,
}

/// The parts of a token that say how it is signed. Nothing of it is believed but what the keys confirm.
pub(super) fn header(token: &str) -> Result<Header, ProviderError> {
    if token.len() > ID_TOKEN_BYTES_MAX {
        return Err(refused("the token is too long"));
    }
    // `none` is no algorithm here and cannot be read.
    let header = jsonwebtoken::decode_header(token).map_err(|error| not_good(&error))?;
    if matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        return Err(refused("the token is signed under a shared secret"));
    }
    if header.crit.is_some() {
        return Err(refused("the token has extensions that must be understood"));
    }
    Ok(header)
}

/// The claims, and who it is about.
pub(super) fn claims(
    token: &str,
    header: &Header,
    keys: &Keys,
    expected: Expected<'_>,
) -> Result<(ExternalIdentity, Map<String, Value>), ProviderError> {
    let key = keys.find(header.kid.as_deref(), header.alg);
    let key = key.ok_or_else(|| refused("the token is signed with a key that is not the provider's"))?;
    let key = DecodingKey::from_jwk(key).map_err(|error| not_good(&error))?;
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client_id]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The library would ask the machine's clock; what follows asks the injected one.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
        .map_err(|error| not_good(&error))?
        .claims;
    check_party(&claims, expected.client_id)?;
    check_times(&claims, expected.now)?;
    let nonce = text(&claims, "nonce").unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(refused(
            "the token was made for another sign-in: its nonce differs",
        ));
    }
    let subject = text(&claims, "sub").unwrap_or_default();
    let identity = ExternalIdentity::new(expected.issuer, subject)
        .ok_or_else(|| refused("the token's subject is empty, too long or not printable"))?;
    Ok((identity, claims))
}

/// Whether we are the one that the token was made for, and not only one that may read it.
fn check_party(claims: &Map<String, Value>, client_id: &str) -> Result<(), ProviderError> {
    let audiences = claims.get("aud").and_then(Value::as_array).map_or(1, Vec::len);
    match (claims.get("azp"), audiences) {
        (None, 0 | 1) => Ok(()),
        (Some(Value::String(party)), _) if party == client_id => Ok(()),
        (None, _) => Err(refused(
            "the token is for several and does not say for whom it was made",
        )),
        (Some(_), _) => Err(refused("the token was made for another client")),
    }
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), ProviderError> {
    let now = now.unix_ms().div_euclid(1000);
    let moment = |name: &str| claims.get(name).and_then(Value::as_i64);
    let latest_start = now.saturating_add(CLOCK_SKEW_SECONDS_MAX);
    let (Some(expires_at), Some(issued_at)) = (moment("exp"), moment("iat")) else {
        return Err(refused("the token does not say from when to when it is good"));
    };
    if now >= expires_at.saturating_add(CLOCK_SKEW_SECONDS_MAX) {
        return Err(refused("the token has expired"));
    }
    let not_before = moment("nbf").unwrap_or(issued_at);
    if issued_at > latest_start || not_before > latest_start {
        return Err(refused(
            "the token is of the future: the provider's clock and this one differ",
        ));
    }
    let oldest = now.saturating_sub(TOKEN_AGE_SECONDS_MAX.saturating_add(CLOCK_SKEW_SECONDS_MAX));
    if issued_at < oldest {
        return Err(refused("the token was made before this sign-in"));
    }
    Ok(())
}

/// A claim that is a text.
pub(super) fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}

fn refused(cause: &str) -> ProviderError {
    ProviderError::Refused(cause.to_owned())
}

/// What the library says of a token does not repeat it.
fn not_good(error: &jsonwebtoken::errors::Error) -> ProviderError {
    ProviderError::Refused(format!("the token is not good: {error}"))
}
