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

#[test]
fn a_second_secret_changes_nothing_about_the_first() {
    let [one, other] = [b"0123456789abcdef", b"fedcba9876543210"]
        .map(|secret| FingerprintHasher::new(secret).expect("long enough"));
    let both = one.clone().with_previous(&other);
    let key = NormalisedKey::Exact("sk-key");
    assert_eq!(both.fingerprint(&key), one.fingerprint(&key));
    assert_eq!(both.previous_fingerprint(&key), Some(other.fingerprint(&key)));
    assert_eq!(one.previous_fingerprint(&key), None);
    assert_eq!(
        (both.check(), both.previous_check()),
        (one.check(), Some(other.check()))
    );
    assert_ne!(one.check(), other.check());
}

#[test]
fn what_tells_secrets_apart_is_read_back_and_nothing_else_is() {
    let check = FingerprintHasher::new(b"0123456789abcdef")
        .expect("long enough")
        .check();
    assert_eq!(SecretCheck::from_text(&check.text()), Some(check));
    let mark = check.mark();
    assert_eq!(SecretMark::from_text(&mark.text()), Some(mark));
    assert!(check.text().starts_with(&mark.text()));
    for wrong in ["", "0", &check.text().to_uppercase(), &check.text()[1..]] {
        assert_eq!(SecretCheck::from_text(wrong), None);
    }
    for wrong in ["", "+123456789abcdef", &check.text()] {
        assert_eq!(SecretMark::from_text(wrong), None);
    }
}
