//! Keys by number, the same here and in SQL.

use sentinel_core::binding::NewBinding;
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::time::{Clock as _, SystemClock};
use sha2::{Digest as _, Sha256};

/// Makes rows for the keys from `$1` up to `$2`: fingerprints as [`fingerprint`] gives them, a network each.
pub(crate) const FILL: &str = "WITH made AS (INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at) \
     SELECT sha256(int8send(number)), 'sk-ab…wxyz', 'active', '{}', nextval('binding_version'), now(), now() \
     FROM generate_series($1::bigint, $2::bigint) AS number RETURNING id) \
     INSERT INTO binding_networks (binding_id, position, network) \
     SELECT id, 0, set_masklen('10.0.0.0'::inet + id % 16777216, 32)::cidr FROM made";

/// Spread like a MAC is.
pub(crate) fn fingerprint(number: u64) -> KeyFingerprint {
    KeyFingerprint::from_bytes(Sha256::digest(number.to_be_bytes()).into())
}

/// The first use of a key.
pub(crate) fn new_binding(number: u64) -> NewBinding {
    let low = u32::try_from(number % (1 << 24)).unwrap_or_default();
    let address = ClientIp::new(std::net::Ipv4Addr::from_bits(0x0A00_0000 | low).into());
    NewBinding {
        fingerprint: fingerprint(number),
        previous: None,
        hint: KeyHint::from_stored("sk-ab…wxyz".to_owned()),
        network: Network::widen(address, 32, 64),
        bound_at: SystemClock.now(),
        profile: "".into(),
    }
}
