//! The provider's public keys, and which algorithms each is good for: that is decided by the key's type and never by what a token says of
//! itself. No key of a shared secret is ever one of them.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use sentinel_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The most keys of a provider that are looked at.
pub(super) const KEYS_MAX: usize = 64;
/// After so long they are asked for anew, so that one that the provider has withdrawn is withdrawn here.
pub(super) const KEYS_LIFE_MAX: Duration = Duration::from_hours(1);
/// How often at most they are asked for because a token names one that is not among them.
pub(crate) const REFETCHED_EVERY: Duration = Duration::from_mins(1);

/// The keys as they were at some moment.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    keys: Vec<Jwk>,
    fetched_at: Timestamp,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Keys {
    /// Reads a key set (RFC 7517). Keys of kinds that nobody here knows are passed over.
    pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Self, String> {
        let set: KeySet =
            serde_json::from_slice(body).map_err(|error| format!("its keys cannot be read: {error}"))?;
        let keys = set.keys.into_iter().take(KEYS_MAX);
        Ok(Self {
            keys: keys
                .filter_map(|key| serde_json::from_value(key).ok())
                .filter(|key: &Jwk| is_for_signatures(key))
                .collect(),
            fetched_at: now,
        })
    }

    /// Whether they may be used without asking.
    pub(super) fn are_current(&self, now: Timestamp) -> bool {
        self.fetched_at <= now && now.since(self.fetched_at) < KEYS_LIFE_MAX
    }

    /// Whether they may be asked for anew already.
    pub(super) fn may_be_refetched(&self, now: Timestamp) -> bool {
        now < self.fetched_at || now.since(self.fetched_at) >= REFETCHED_EVERY
    }

    /// The one key that a token can have been signed with. A token that names none may have been signed with the only one of its kind.
    pub(super) fn find(&self, name: Option<&str>, algorithm: Algorithm) -> Option<&Jwk> {
        let mut suitable = self.keys.iter().filter(|key| {
            let is_named = name.is_none_or(|name| key.common.key_id.as_deref() == Some(name));
            is_named && is_good_for(key, algorithm)
        });
        match (suitable.next(), suitable.next()) {
            (Some(key), None) => Some(key),
            // Of two nobody could say which one is meant.
            _ => None,
        }
    }
}

fn is_for_signatures(key: &Jwk) -> bool {
    let is_use = key
        .common
        .public_key_use
        .as_ref()
        .is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    let verifies = key
        .common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    is_use && verifies
}

fn is_good_for(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    let by_type: &[Algorithm] = match &key.algorithm {
        AlgorithmParameters::RSA(_) => &[A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[A::ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => &[A::ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[A::EdDSA],
        _ => &[],
    };
    let own = key.common.key_algorithm;
    let is_own = own.is_none_or(|own| {
        own.to_string()
            .parse()
            .is_ok_and(|own: Algorithm| own == algorithm)
    });
    by_type.contains(&algorithm) && is_own
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

    fn keys(keys: &Value) -> Keys {
        let set = json!({ "keys": keys });
        Keys::parse(set.to_string().as_bytes(), NOW).expect("a key set")
    }

    #[test]
    fn an_algorithm_goes_by_the_key_s_type() {
        let there = keys(&json!([
            {"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA", "kid": "p", "n": "AQAB", "e": "AQAB", "alg": "PS256"},
            {"kty": "EC", "kid": "e", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "EC", "kid": "f", "crv": "P-384", "x": "AA", "y": "AA"},
            {"kty": "EC", "kid": "g", "crv": "P-521", "x": "AA", "y": "AA"},
            {"kty": "OKP", "kid": "d", "crv": "Ed25519", "x": "AA"},
            {"kty": "oct", "kid": "o", "k": "c2VjcmV0"},
            {"kty": "RSA", "kid": "enc", "n": "AQAB", "e": "AQAB", "use": "enc"},
            {"kty": "RSA", "kid": "ops", "n": "AQAB", "e": "AQAB", "key_ops": ["wrapKey"]},
            {"kty": "new", "kid": "n"},
            "nonsense",
        ]));
        let all = [
            Algorithm::HS256,
            Algorithm::HS384,
            Algorithm::HS512,
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
            Algorithm::EdDSA,
        ];
        for (name, expected) in [
            ("r", &all[5..11]),
            ("p", &all[8..9]),
            ("e", &all[3..4]),
            ("f", &all[4..5]),
            ("g", &[]),
            ("d", &all[11..]),
            ("o", &[]),
            ("enc", &[]),
            ("ops", &[]),
            ("n", &[]),
            ("unknown", &[]),
        ] {
            let good = all
                .into_iter()
                .filter(|algorithm| there.find(Some(name), *algorithm).is_some());
            assert_eq!(good.collect::<Vec<_>>(), expected, "{name}");
        }
    }

    #[test]
    fn a_token_without_a_name_has_the_only_key_of_its_kind() {
        let one = json!({"kty": "RSA", "kid": "1", "n": "AQAB", "e": "AQAB"});
        let another = json!({"kty": "EC", "kid": "2", "crv": "P-256", "x": "AA", "y": "AA"});
        let both = keys(&json!([one, another]));
        assert!(both.find(None, Algorithm::RS256).is_some() && both.find(None, Algorithm::ES256).is_some());
        assert!(keys(&json!([one, one])).find(None, Algorithm::RS256).is_none());
        assert!(
            keys(&json!([one, one]))
                .find(Some("1"), Algorithm::RS256)
                .is_none()
        );
        assert!(keys(&json!([])).find(None, Algorithm::RS256).is_none());
    }

    #[test]
    fn so_many_keys_are_looked_at_and_for_so_long() {
        let many: Vec<Value> = (0..=KEYS_MAX)
            .map(|number| json!({"kty": "RSA", "kid": number.to_string(), "n": "AQAB", "e": "AQAB"}))
            .collect();
        let there = keys(&json!(many));
        assert_eq!(there.keys.len(), KEYS_MAX);
        assert!(there.are_current(NOW) && !there.are_current(NOW.plus(KEYS_LIFE_MAX)));
        assert!(!there.may_be_refetched(NOW) && there.may_be_refetched(NOW.plus(REFETCHED_EVERY)));
        let set_back = Timestamp::from_unix_ms(NOW.unix_ms() - 1);
        assert!(!there.are_current(set_back) && there.may_be_refetched(set_back));
        assert!(Keys::parse(b"{\"keys\": {}}", NOW).is_err() && Keys::parse(b"", NOW).is_err());
    }
}
