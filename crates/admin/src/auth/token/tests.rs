use super::*;

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

/// A token with these claims, signed with this secret.
pub(crate) fn sign(claims: &serde_json::Value, secret: &[u8], algorithm: Algorithm) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).expect("signs")
}

fn secret(byte: u8) -> JwtSecret {
    JwtSecret::new(vec![byte; JWT_SECRET_BYTES_MIN]).expect("long enough")
}

fn tokens() -> Tokens {
    Tokens::new(&secret(7), TokenLife::default())
}

fn subject(is_alone: bool) -> Subject {
    Subject {
        name: "admin".to_owned(),
        role: Role::Operator,
        session: SessionId::from_bytes([7; 16]),
        is_alone,
    }
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn good_claims() -> serde_json::Value {
    serde_json::json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "admin",
        "iat": seconds(NOW), "nbf": seconds(NOW), "exp": seconds(NOW) + 3600,
        "sid": "07".repeat(16), "role": "operator", "alone": false,
    })
}

fn check(claims: &serde_json::Value) -> Result<Subject, TokenRefused> {
    let token = sign(claims, &[7; JWT_SECRET_BYTES_MIN], Algorithm::HS256);
    tokens().check(&token, NOW)
}

#[test]
fn a_token_is_good_until_it_expires() {
    let tokens = tokens();
    let issued = tokens.issue(&subject(false), NOW).expect("signs");
    assert_eq!(issued.expires_at, later(3600));
    assert_eq!(tokens.check(&issued.token, NOW), Ok(subject(false)));
    assert_eq!(tokens.check(&issued.token, later(3599)), Ok(subject(false)));
    assert_eq!(tokens.check(&issued.token, later(3600)), Err(TokenRefused));
}

#[test]
fn a_token_from_a_clock_ahead_is_good_within_the_skew() {
    let tokens = tokens();
    let skew = u64::try_from(CLOCK_SKEW_SECONDS_MAX).expect("positive");
    let ahead = tokens.issue(&subject(false), later(skew)).expect("signs");
    assert!(tokens.check(&ahead.token, NOW).is_ok());
    let too_far = tokens.issue(&subject(false), later(skew + 1)).expect("signs");
    assert_eq!(tokens.check(&too_far.token, NOW), Err(TokenRefused));
}

#[test]
fn another_secret_algorithm_or_none_is_refused() {
    let issued = tokens().issue(&subject(false), NOW).expect("signs");
    let other_secret = Tokens::new(&secret(8), TokenLife::default());
    assert_eq!(other_secret.check(&issued.token, NOW), Err(TokenRefused));

    assert_eq!(check(&good_claims()), Ok(subject(false)));
    let other_algorithm = sign(&good_claims(), &[7; JWT_SECRET_BYTES_MIN], Algorithm::HS512);
    assert_eq!(tokens().check(&other_algorithm, NOW), Err(TokenRefused));
    // {"alg":"none","typ":"JWT"} in front of the claims of a good token, without and with its signature.
    let parts: Vec<&str> = issued.token.split('.').collect();
    for forged in [
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]),
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.{}", parts[1], parts[2]),
        String::new(),
        "..".to_owned(),
    ] {
        assert_eq!(tokens().check(&forged, NOW), Err(TokenRefused), "{forged}");
    }
}

#[test]
fn every_claim_is_required_with_its_type() {
    for claim in ["iss", "aud", "sub", "iat", "nbf", "exp", "sid", "role", "alone"] {
        let mut without = good_claims();
        without.as_object_mut().expect("an object").remove(claim);
        assert_eq!(check(&without), Err(TokenRefused), "without {claim}");
        let mut wrong = good_claims();
        wrong[claim] = serde_json::json!({});
        assert_eq!(check(&wrong), Err(TokenRefused), "wrong {claim}");
    }
    for (claim, value) in [
        ("iss", "elsewhere"),
        ("aud", "elsewhere"),
        ("exp", "9999999999"),
        ("sid", "7"),
        ("role", "root"),
        ("alone", "false"),
    ] {
        let mut wrong = good_claims();
        wrong[claim] = serde_json::json!(value);
        assert_eq!(check(&wrong), Err(TokenRefused), "{claim} = {value}");
    }
}

#[test]
fn a_token_that_lives_longer_than_allowed_is_refused() {
    let mut long = good_claims();
    long["exp"] = serde_json::json!(seconds(NOW) + 3601);
    assert_eq!(check(&long), Err(TokenRefused));
}

#[test]
fn a_token_whose_session_no_store_knows_lives_shortly() {
    let alone = tokens().issue(&subject(true), NOW).expect("signs");
    assert_eq!(alone.expires_at, NOW.plus(ALONE_LIFE_MAX));
    assert_eq!(tokens().check(&alone.token, NOW), Ok(subject(true)));
    let mut long = good_claims();
    long["alone"] = serde_json::json!(true);
    assert_eq!(check(&long), Err(TokenRefused), "of an hour");
}

#[test]
fn the_bounds_of_secret_and_life_hold() {
    assert_eq!(
        JwtSecret::new(vec![0; JWT_SECRET_BYTES_MIN - 1]).err(),
        Some(AdminError::JwtSecretTooShort(JWT_SECRET_BYTES_MIN - 1))
    );
    assert!(TokenLife::new(TOKEN_LIFE_MIN).is_ok());
    assert!(TokenLife::new(TOKEN_LIFE_MAX).is_ok());
    let second = Duration::from_secs(1);
    assert_eq!(
        TokenLife::new(TOKEN_LIFE_MIN.saturating_sub(second)),
        Err(AdminError::TokenLife)
    );
    assert_eq!(
        TokenLife::new(TOKEN_LIFE_MAX + second),
        Err(AdminError::TokenLife)
    );
}

#[test]
fn the_secret_does_not_print() {
    assert_eq!(format!("{:?}", secret(b'x')), "JwtSecret(redacted)");
}
