use http_body::Body as _;

use super::*;

fn words(reason: RefusalReason, dialect: Dialect) -> (Response<ResponseBody>, String) {
    let client_ip = ClientIp::new([203, 0, 113, 9].into());
    let mut response = answer(
        reason,
        dialect,
        client_ip,
        &Reference::from_stored("sr_test".to_owned()),
    );
    let ResponseBody::Own(text) = response.body_mut() else {
        panic!("a refusal is our own text");
    };
    let text = String::from_utf8(text.clone().expect("text").to_vec()).expect("UTF-8");
    (response, text)
}

#[test]
fn every_reason_has_its_status_and_code_in_every_dialect() {
    for (reason, status) in [
        (RefusalReason::KeyIpMismatch, 403),
        (RefusalReason::KeyBanned, 403),
        (RefusalReason::ClientIpUnresolvable, 400),
        (RefusalReason::CredentialAmbiguous, 400),
        (RefusalReason::KeyMissing, 401),
        (RefusalReason::ClaimRateLimited, 429),
        (RefusalReason::BindingStoreUnavailable, 503),
        (RefusalReason::UpstreamUnreachable, 502),
        (RefusalReason::UpstreamTimeout, 504),
    ] {
        for dialect in [
            Dialect::OpenAi,
            Dialect::Anthropic,
            Dialect::Gemini,
            Dialect::Plain,
        ] {
            let (response, text) = words(reason, dialect);
            assert_eq!(response.status(), status, "{reason:?}");
            assert!(text.contains(reason.code()), "{text}");
            assert!(text.contains("sr_test"), "{text}");
            assert_eq!(response.headers()["x-sentinel-reference"], "sr_test");
            assert_eq!(response.body().size_hint().exact(), Some(text.len() as u64));
        }
    }
}

#[test]
fn each_dialect_has_its_shape() {
    let parse = |dialect| -> serde_json::Value {
        serde_json::from_str(&words(RefusalReason::KeyIpMismatch, dialect).1).expect("JSON")
    };
    let openai = parse(Dialect::OpenAi);
    assert_eq!(openai["error"]["type"], "permission_error");
    assert_eq!(openai["error"]["code"], "key_ip_mismatch");
    assert!(openai["error"]["param"].is_null());
    let anthropic = parse(Dialect::Anthropic);
    assert_eq!(anthropic["type"], "error");
    assert_eq!(anthropic["error"]["type"], "permission_error");
    let gemini = parse(Dialect::Gemini);
    assert_eq!(gemini["error"]["code"], 403);
    assert_eq!(gemini["error"]["status"], "PERMISSION_DENIED");
    assert!(
        openai["error"]["message"]
            .as_str()
            .expect("text")
            .contains("203.0.113.9")
    );
}

#[test]
fn who_may_come_back_is_told_when() {
    let wait = |reason| {
        words(reason, Dialect::OpenAi)
            .0
            .headers()
            .get(RETRY_AFTER)
            .cloned()
    };
    assert_eq!(
        wait(RefusalReason::ClaimRateLimited),
        Some(HeaderValue::from_static("60"))
    );
    assert_eq!(
        wait(RefusalReason::BindingStoreUnavailable),
        Some(HeaderValue::from_static("5"))
    );
    assert_eq!(wait(RefusalReason::KeyIpMismatch), None);
}
