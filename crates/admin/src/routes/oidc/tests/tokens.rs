//! Tokens that must let nobody in, and keys that come and go. Each goes the whole way of a sign-in.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::*;
use crate::oidc::{
    CLOCK_SKEW_SECONDS_MAX, ID_TOKEN_BYTES_MAX, METADATA_LIFE_MAX, REFETCHED_EVERY, TOKEN_AGE_SECONDS_MAX,
};

const NOW: i64 = 1_800_000_000;

type Maker = Box<dyn Fn(&SigningKey, Value) -> String + Send + Sync>;

/// A token with other claims than it should have.
fn claiming(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Maker {
    Box::new(move |key, mut claims| {
        change(&mut claims);
        key.sign(&claims, None)
    })
}

fn with(name: &'static str, value: Value) -> Maker {
    claiming(move |claims| claims[name] = value.clone())
}

fn without(name: &'static str) -> Maker {
    claiming(move |claims| {
        claims.as_object_mut().expect("an object").remove(name);
    })
}

fn header(algorithm: Algorithm, name: Option<&str>) -> Header {
    Header {
        kid: name.map(str::to_owned),
        ..Header::new(algorithm)
    }
}

/// Without a signature, as a library takes it that believes the token's own word for the algorithm.
fn unsigned(claims: &Value, algorithm: &str, signature: &str) -> String {
    let header = json!({"alg": algorithm, "kid": "first", "typ": "JWT"}).to_string();
    let encoded = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    format!(
        "{}.{}.{signature}",
        encoded(&header),
        encoded(&claims.to_string())
    )
}

/// Signed with the public key as if it were a shared secret.
fn under_the_public_key(key: &SigningKey, claims: &Value, member: &str) -> String {
    let text = key.public()[member].as_str().expect("a member").to_owned();
    let secret = BASE64URL_NOPAD.decode(text.as_bytes()).expect("encoded so");
    jsonwebtoken::encode(
        &header(Algorithm::HS256, Some("first")),
        claims,
        &EncodingKey::from_secret(&secret),
    )
    .expect("signs")
}

/// Well signed, with claims that are not good.
fn bad_claims() -> Vec<(&'static str, Maker)> {
    let text = |text: &str| json!(text);
    vec![
        ("another nonce", with("nonce", text("another"))),
        ("no nonce", without("nonce")),
        ("a nonce of another type", with("nonce", json!(7))),
        ("another audience", with("aud", text("somebody else"))),
        ("no audience", without("aud")),
        ("no audience in a list", with("aud", json!([]))),
        (
            "several audiences",
            with("aud", json!(["sentinel admin", "other"])),
        ),
        ("another party", with("azp", text("other"))),
        ("a party of another type", with("azp", Value::Null)),
        ("another issuer", with("iss", text("https://evil.example"))),
        (
            "an issuer that looks alike",
            with("iss", text("https://id.example/realms/main/")),
        ),
        ("no issuer", without("iss")),
        ("no subject", without("sub")),
        ("an empty subject", with("sub", text(""))),
        ("an endless subject", with("sub", text(&"s".repeat(256)))),
        ("expired", with("exp", json!(NOW - CLOCK_SKEW_SECONDS_MAX))),
        ("no end", without("exp")),
        ("an end of another type", with("exp", text("2100-01-01"))),
        (
            "of the future",
            with("iat", json!(NOW + CLOCK_SKEW_SECONDS_MAX + 1)),
        ),
        (
            "not yet good",
            with("nbf", json!(NOW + CLOCK_SKEW_SECONDS_MAX + 1)),
        ),
        ("no beginning", without("iat")),
        (
            "of an earlier sign-in",
            with(
                "iat",
                json!(NOW - TOKEN_AGE_SECONDS_MAX - CLOCK_SKEW_SECONDS_MAX - 1),
            ),
        ),
        (
            "endless",
            claiming(|claims| claims["x"] = json!("x".repeat(ID_TOKEN_BYTES_MAX))),
        ),
    ]
}

/// With good claims, and not signed as they have to be.
fn bad_signatures() -> Vec<(&'static str, Maker)> {
    vec![
        (
            "no algorithm",
            Box::new(|_, claims| unsigned(&claims, "none", "")),
        ),
        (
            "no algorithm, in capitals",
            Box::new(|_, claims| unsigned(&claims, "NONE", "AAAA")),
        ),
        (
            "no signature",
            Box::new(|_, claims| unsigned(&claims, "ES256", "")),
        ),
        (
            "a shared secret",
            Box::new(|key, claims| under_the_public_key(key, &claims, "x")),
        ),
        (
            "the client's secret",
            Box::new(|_, claims| {
                let secret =
                    EncodingKey::from_secret(sentinel_testkit::IdentityProvider::CLIENT_SECRET.as_bytes());
                jsonwebtoken::encode(&header(Algorithm::HS256, None), &claims, &secret).expect("signs")
            }),
        ),
        (
            "a key that is not shown",
            Box::new(|_, claims| SigningKey::ec("unknown").sign(&claims, None)),
        ),
        (
            "another key under a name that is shown",
            Box::new(|_, claims| SigningKey::ec("first").sign(&claims, None)),
        ),
        (
            "another type of key under a name that is shown",
            Box::new(|_, claims| SigningKey::rsa("first").sign(&claims, None)),
        ),
        (
            "a key of its own",
            Box::new(|_, claims| {
                let own = SigningKey::ec("own");
                let jwk = serde_json::from_value(own.public().clone()).expect("a key");
                let header = Header {
                    jwk: Some(jwk),
                    jku: Some("https://evil.example/keys".to_owned()),
                    ..header(Algorithm::ES256, None)
                };
                own.sign(&claims, Some(&header))
            }),
        ),
        (
            "extensions that must be understood",
            Box::new(|key, claims| {
                let header = Header {
                    crit: Some(vec!["exp".to_owned()]),
                    ..header(Algorithm::ES256, Some("first"))
                };
                key.sign(&claims, Some(&header))
            }),
        ),
        (
            "other claims under the signature",
            Box::new(|key, mut claims| {
                let token = key.sign(&claims, None);
                claims["sub"] = json!("8");
                let parts: Vec<&str> = token.split('.').collect();
                let payload = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
                format!("{}.{payload}.{}", parts[0], parts[2])
            }),
        ),
        ("nonsense", Box::new(|_, _| "nonsense".to_owned())),
        ("empty", Box::new(|_, _| String::new())),
    ]
}

#[tokio::test]
async fn no_token_lets_anybody_in_that_is_not_good_in_every_way() {
    let stage = Stage::new();
    assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), DONE);
    for (flaw, maker) in bad_claims().into_iter().chain(bad_signatures()) {
        stage.calls.provider.make_tokens(maker);
        assert_eq!(
            word(&stage.sign_in(&ann(&["admins"])).await),
            "not_vouched_for",
            "{flaw}"
        );
        let event = stage.last_event();
        assert_eq!(
            (event.action.as_str(), event.actor.as_str()),
            ("login_failed", "unknown"),
            "{flaw}"
        );
        assert!(
            !event.detail.contains("admins") && event.detail.contains("not_vouched_for"),
            "{flaw}"
        );
        // A good one in between, so that the address is not locked out.
        stage.console.clock.advance(Duration::from_millis(1));
        stage
            .calls
            .provider
            .make_tokens(|key, claims| key.sign(&claims, None));
        let good = word(&stage.sign_in(&ann(&["staff"])).await);
        if good == "locked" {
            stage.console.clock.advance(Duration::from_hours(1));
            return_to_now(&stage);
        }
    }
    let all = stage.console.accounts.administrators().await.expect("works");
    assert_eq!((all.len(), all[0].role), (1, Role::Viewer));
}

/// The provider's clock goes with this one.
fn return_to_now(stage: &Stage) {
    let now = stage.console.clock.now().unix_ms() / 1000;
    stage.calls.provider.set_now(now);
}

#[tokio::test]
async fn what_is_good_in_every_way_is_taken_however_it_is_written() {
    for (key, makers) in [
        (SigningKey::ec("first"), None),
        (SigningKey::rsa("first"), None),
        (
            SigningKey::ec("first"),
            Some(with("aud", json!(["sentinel admin"]))),
        ),
        (
            SigningKey::ec("first"),
            Some(claiming(|claims| {
                claims["aud"] = json!(["other", "sentinel admin"]);
                claims["azp"] = json!("sentinel admin");
            })),
        ),
        (
            SigningKey::ec("first"),
            Some(Box::new(|key: &SigningKey, claims: Value| {
                key.sign(&claims, Some(&header(Algorithm::ES256, None)))
            }) as Maker),
        ),
        (
            SigningKey::ec("first"),
            Some(with("exp", json!(NOW - CLOCK_SKEW_SECONDS_MAX + 1))),
        ),
        (
            SigningKey::ec("first"),
            Some(with("iat", json!(NOW + CLOCK_SKEW_SECONDS_MAX))),
        ),
    ] {
        let stage = Stage::with_key(key);
        if let Some(maker) = makers {
            stage.calls.provider.make_tokens(maker);
        }
        assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), DONE);
    }
}

#[tokio::test]
async fn an_rsa_key_is_no_shared_secret_either() {
    let stage = Stage::with_key(SigningKey::rsa("first"));
    stage
        .calls
        .provider
        .make_tokens(|key, claims| under_the_public_key(key, &claims, "n"));
    assert_eq!(word(&stage.sign_in(&ann(&["admins"])).await), "not_vouched_for");
}

#[tokio::test]
async fn a_new_key_is_asked_for_once_a_minute_and_an_old_one_is_forgotten() {
    let stage = Stage::new();
    let provider = &stage.calls.provider;
    let asked = |path: &str| provider.asked().iter().filter(|asked| *asked == path).count();
    for _ in 0..3 {
        assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), DONE);
    }
    assert_eq!(
        (asked("/keys"), asked("/.well-known/openid-configuration")),
        (1, 1)
    );
    let old = SigningKey::ec("old");
    provider.rotate(old.clone(), true);
    assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), "not_vouched_for");
    assert_eq!(asked("/keys"), 1, "asked a moment ago");
    stage.console.clock.advance(REFETCHED_EVERY);
    assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), DONE);
    assert_eq!(asked("/keys"), 2);

    provider.rotate(SigningKey::ec("new"), false);
    stage.console.clock.advance(REFETCHED_EVERY);
    assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), DONE);
    provider.sign_with(old);
    assert_eq!(
        word(&stage.sign_in(&ann(&["staff"])).await),
        "not_vouched_for",
        "withdrawn"
    );
    assert_eq!(asked("/keys"), 3);
    stage.console.clock.advance(METADATA_LIFE_MAX);
    return_to_now(&stage);
    provider.rotate(SigningKey::ec("newest"), false);
    assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), DONE);
    assert_eq!(
        (asked("/keys"), asked("/.well-known/openid-configuration")),
        (4, 2)
    );
}

#[tokio::test]
async fn the_secret_goes_into_the_form_where_the_provider_wants_it_there() {
    let stage = Stage::new();
    let methods = json!(["client_secret_post"]);
    stage
        .calls
        .provider
        .describe("token_endpoint_auth_methods_supported", methods);
    assert_eq!(word(&stage.sign_in(&ann(&["staff"])).await), DONE);
    assert!(
        crate::oidc::CALL_WAIT_MAX * 3 < SIGN_IN_WAIT_MAX,
        "three calls have their time"
    );
    assert!(SIGN_IN_WAIT_MAX < crate::middleware::REQUEST_TIME_MAX);
}
