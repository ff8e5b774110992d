use super::*;

#[test]
fn a_key_never_prints() {
    let key = ApiKey::new("sk-abcdefghijklmnopqrstuvwxyz");
    assert_eq!(format!("{key:?}"), "ApiKey(redacted)");
    assert_eq!(key.hint().as_str(), "sk-ab…wxyz");
}

#[test]
fn short_keys_show_little() {
    assert_eq!(ApiKey::new("0123456789ab").hint().as_str(), "012…ab");
    assert_eq!(ApiKey::new("short").hint().as_str(), "…");
    assert_eq!(ApiKey::new("").hint().as_str(), "…");
}

#[test]
fn the_fingerprint_is_hmac_sha256() {
    // RFC 4231, test case 6's key is longer than a block; test case 2's "Jefe" is below our least length.
    let hasher = FingerprintHasher::new(&[0xaa; 131]).expect("long enough");
    let fingerprint = hasher.fingerprint(&NormalisedKey::Exact(
        "Test Using Larger Than Block-Size Key - Hash Key First",
    ));
    assert_eq!(
        fingerprint.as_bytes()[..8],
        [0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f],
        "the first bytes of the RFC's result"
    );
}

#[test]
fn folding_merges_case_and_only_case() {
    let hasher = FingerprintHasher::new(b"0123456789abcdef").expect("long enough");
    let long = "aB".repeat(100);
    let folded = |text: &str| hasher.fingerprint(&NormalisedKey::CaseFolded(text));
    assert_eq!(folded(&long), folded(&long.to_uppercase()));
    assert_ne!(folded(&long), folded(&long[1..]));
    assert_eq!(folded("abc"), hasher.fingerprint(&NormalisedKey::Exact("abc")));
}

#[test]
fn a_short_secret_is_refused() {
    assert!(FingerprintHasher::new(b"short").is_err());
}
