//! Keys and their fingerprints.
//!
//! A key is held only while its request runs, never printed, and wiped when owned. What is stored is an HMAC-SHA256 under
//! the installation's secret, so that a copy of the database names no key, not even to somebody who can guess keys.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroize as _;

/// The least length of the secret, in bytes.
pub const SECRET_BYTES_MIN: usize = 16;

/// An API key in clear, borrowed from the request wherever that is possible. Does not print.
pub struct ApiKey<'r>(Cow<'r, str>);

impl<'r> ApiKey<'r> {
    /// Wraps the text of a key.
    pub fn new(text: impl Into<Cow<'r, str>>) -> Self {
        Self(text.into())
    }

    /// The key in clear, for hashing and comparing only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown of it: `sk-ab…wxyz`. Short keys show less, so that a hint never gives most of a key away.
    pub fn hint(&self) -> KeyHint {
        let text = self.expose();
        let characters = text.chars().count();
        let (head, tail) = if characters >= 20 {
            (5, 4)
        } else if characters >= 12 {
            (3, 2)
        } else {
            (0, 0)
        };
        let place = |characters| {
            text.char_indices()
                .nth(characters)
                .map_or(text.len(), |(place, _)| place)
        };
        let (head, tail) = (&text[..place(head)], &text[place(characters - tail)..]);
        KeyHint([head, "…", tail].concat())
    }
}

impl Drop for ApiKey<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

impl fmt::Debug for ApiKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(redacted)")
    }
}

/// The part of a key that people may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHint(String);

impl KeyHint {
    /// From a hint that was stored before.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The hint's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// HMAC-SHA256 of a normalised key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyFingerprint([u8; 32]);

impl KeyFingerprint {
    /// From stored bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))?;
        formatter.write_str("…")
    }
}

/// What is hashed to recognise a secret. No profile takes a key with a line end in it.
const CHECK_TEXT: &str = "sentinel: which secret is this?\n";

/// Tells one secret from another without telling the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretCheck([u8; 32]);

impl SecretCheck {
    /// 64 lower-case hexadecimal digits, as stores keep it.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(2 * self.0.len());
        for byte in self.0 {
            write!(text, "{byte:02x}").expect("a text takes everything");
        }
        text
    }

    /// From what [`SecretCheck::text`] gave; none for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let is_one = digits.len() == 64
            && digits
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if !is_one {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(text.get(place..place + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// What rows carry to say under which secret their key was hashed.
    pub fn mark(&self) -> SecretMark {
        let first = self.0.first_chunk().copied().unwrap_or_default();
        SecretMark(i64::from_be_bytes(first))
    }
}

impl fmt::Debug for SecretCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        KeyFingerprint(self.0).fmt(formatter)
    }
}

/// The first eight bytes of a [`SecretCheck`]: enough to tell the few secrets of one installation apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretMark(pub i64);

impl SecretMark {
    /// 16 lower-case hexadecimal digits.
    pub fn text(self) -> String {
        format!("{:016x}", self.0)
    }

    /// From what [`SecretMark::text`] gave; none for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let is_one = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_one)?;
        Some(Self(number.cast_signed()))
    }
}

/// Makes fingerprints under one secret, and, while an installation goes over from one secret to another, under the other one, too. Cloning
/// copies the prepared state; hashing allocates nothing.
#[derive(Clone)]
pub struct FingerprintHasher {
    current: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

/// The secret is too short to be one.
#[derive(Debug, thiserror::Error)]
#[error("the secret has {0} bytes; at least {SECRET_BYTES_MIN} are needed")]
pub struct SecretTooShort(usize);

impl FingerprintHasher {
    /// Prepares the hasher; refuses a secret below [`SECRET_BYTES_MIN`].
    pub fn new(secret: &[u8]) -> Result<Self, SecretTooShort> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(SecretTooShort(secret.len()));
        }
        let current = Hmac::new_from_slice(secret).map_err(|_| SecretTooShort(secret.len()))?;
        Ok(Self {
            current,
            previous: None,
        })
    }

    /// With a second secret, under which bindings may lie that have not been moved yet.
    #[must_use]
    pub fn with_previous(self, previous: &Self) -> Self {
        Self {
            previous: Some(previous.current.clone()),
            ..self
        }
    }

    /// The fingerprint of a key that its profile has normalised.
    pub fn fingerprint(&self, normalised: &NormalisedKey<'_>) -> KeyFingerprint {
        hash(self.current.clone(), normalised)
    }

    /// The same under the second secret, if there is one.
    pub fn previous_fingerprint(&self, normalised: &NormalisedKey<'_>) -> Option<KeyFingerprint> {
        self.previous.clone().map(|mac| hash(mac, normalised))
    }

    /// Tells the secret from any other.
    pub fn check(&self) -> SecretCheck {
        SecretCheck(self.fingerprint(&NormalisedKey::Exact(CHECK_TEXT)).0)
    }

    /// Tells the second secret from any other, if there is one.
    pub fn previous_check(&self) -> Option<SecretCheck> {
        self.previous_fingerprint(&NormalisedKey::Exact(CHECK_TEXT))
            .map(|fingerprint| SecretCheck(fingerprint.0))
    }
}

fn hash(mut mac: Hmac<Sha256>, normalised: &NormalisedKey<'_>) -> KeyFingerprint {
    match normalised {
        NormalisedKey::Exact(text) => mac.update(text.as_bytes()),
        NormalisedKey::CaseFolded(text) => {
            let mut folded = [0_u8; 64];
            for chunk in text.as_bytes().chunks(folded.len()) {
                let part = &mut folded[..chunk.len()];
                part.copy_from_slice(chunk);
                part.make_ascii_lowercase();
                mac.update(part);
            }
            folded.zeroize();
        }
    }
    KeyFingerprint(mac.finalize().into_bytes().into())
}

impl fmt::Debug for FingerprintHasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FingerprintHasher(redacted)")
    }
}

/// What of a key identifies it to the gateway, in the one spelling that is hashed.
#[derive(Clone, Copy)]
pub enum NormalisedKey<'k> {
    /// Every byte counts.
    Exact(&'k str),
    /// Letters count without regard to case.
    CaseFolded(&'k str),
}

/// Whether both have one fingerprint. For values of one request only: it takes longer the more they agree.
impl PartialEq for NormalisedKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::CaseFolded(one), Self::CaseFolded(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        }
    }
}

impl fmt::Debug for NormalisedKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NormalisedKey(redacted)")
    }
}

#[cfg(test)]
mod tests;
