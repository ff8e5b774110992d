use super::*;

fn words(reason: RefusalReason, dialect: Dialect) -> Refusal {
    let client_ip = ClientIp::new([203, 0, 113, 9].into());
    answer(
        reason,
        dialect,
        client_ip,
        Reference::from_stored("sr_test".to_owned()),
    )
}

fn written(refusal: &Refusal, closes: bool, to_head: bool) -> String {
    let mut out = Vec::new();
    refusal.write(closes, to_head, &mut out);
    String::from_utf8(out).expect("UTF-8")
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
            let refusal = words(reason, dialect);
            assert_eq!(refusal.status, status, "{reason:?}");
            assert!(refusal.body.contains(reason.code()), "{}", refusal.body);
            let text = written(&refusal, false, false);
            assert!(text.contains("x-sentinel-reference: sr_test\r\n"), "{text}");
            assert!(
                text.contains(&format!("content-length: {}\r\n", refusal.body.len())),
                "{text}"
            );
            assert!(text.ends_with(&refusal.body));
            assert!(status_line(status).starts_with(&format!("{status} ")));
        }
    }
}

#[test]
fn a_refusal_says_when_it_closes_and_spares_a_head_its_body() {
    let refusal = words(RefusalReason::KeyBanned, Dialect::Plain);
    assert!(written(&refusal, true, false).contains("connection: close\r\n"));
    assert!(written(&refusal, false, true).ends_with("\r\n\r\n"));
}

#[test]
fn what_cannot_be_read_is_told_in_plain_text() {
    for (kind, status) in [
        (Malformed::Request, 400),
        (Malformed::Body, 400),
        (Malformed::HeaderTooLarge, 431),
        (Malformed::Version, 505),
        (Malformed::Method, 405),
    ] {
        let refusal = unreadable(kind, Reference::from_stored("sr_test".to_owned()));
        let text = written(&refusal, true, false);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        assert!(text.contains("content-type: text/plain"), "{text}");
        assert!(text.contains("x-sentinel-reference: sr_test\r\n"), "{text}");
        assert!(refusal.body.starts_with(&format!("{}: ", kind.code())), "{text}");
        assert!(text.ends_with("Reference: sr_test\n"));
    }
}

#[test]
fn each_dialect_has_its_shape() {
    let parse = |dialect| -> serde_json::Value {
        serde_json::from_str(&words(RefusalReason::KeyIpMismatch, dialect).body).expect("JSON")
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
            .retry_after
            .map(|wait| wait.as_secs())
    };
    assert_eq!(wait(RefusalReason::ClaimRateLimited), Some(60));
    assert_eq!(wait(RefusalReason::BindingStoreUnavailable), Some(5));
    assert_eq!(wait(RefusalReason::KeyIpMismatch), None);
}
