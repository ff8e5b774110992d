//! Single fields of a line, each read into the domain's type or told wrong by its name.

use std::net::IpAddr;

use sentinel_core::fingerprint::{KeyFingerprint, KeyHint, SecretMark};
use sentinel_core::network::{ClientIp, Network};

use super::LineError;

/// The most characters of a key's hint.
pub(super) const HINT_CHARACTERS_MAX: usize = 64;

/// The error of a field.
pub(super) fn wrong(field: impl Into<String>, wanted: &'static str) -> LineError {
    LineError::Field {
        field: field.into(),
        wanted,
    }
}

pub(super) fn fingerprint(text: &str) -> Result<KeyFingerprint, LineError> {
    super::fingerprint(text).ok_or_else(|| wrong("fingerprint", "64 hexadecimal digits"))
}

pub(super) fn secret(text: &str) -> Result<SecretMark, LineError> {
    SecretMark::from_text(text).ok_or_else(|| wrong("secret", "16 hexadecimal digits"))
}

pub(super) fn hint(text: String) -> Result<KeyHint, LineError> {
    if text.chars().count() > HINT_CHARACTERS_MAX {
        return Err(wrong("hint", "a short part of the key"));
    }
    Ok(KeyHint::from_stored(text))
}

pub(super) fn network(field: &str, text: &str) -> Result<Network, LineError> {
    text.parse()
        .map_err(|_| wrong(field, "a network like 192.0.2.1/32 or 2001:db8::/64"))
}

pub(super) fn address(text: &str) -> Result<ClientIp, LineError> {
    text.parse::<IpAddr>()
        .map(ClientIp::new)
        .map_err(|_| wrong("client_ip", "an address like 192.0.2.1 or 2001:db8::1"))
}
