//! The generic webhook, checked as a receiver of Standard Webhooks checks it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sentinel_core::alert::{AlertState, Part, Subject};
use sentinel_core::fingerprint::KeyFingerprint;

use super::*;
use crate::mac::hmac_sha256;
use crate::secret::Secret;
use crate::testing::alert;

fn secret(fill: u8) -> WebhookSecret {
    let text = format!("whsec_{}", BASE64_STANDARD.encode([fill; 32]));
    WebhookSecret::parse(&Secret::new(text)).expect("a secret")
}

/// As the specification's receivers do it: one of the listed signatures has to be right.
fn is_signed_by(request: &SeenRequest, fill: u8) -> bool {
    let header = |name| request.header(name).expect("a header");
    let signed = format!(
        "{}.{}.{}",
        header("webhook-id"),
        header("webhook-timestamp"),
        String::from_utf8_lossy(&request.body)
    );
    let expected = BASE64_STANDARD.encode(hmac_sha256(&[fill; 32], &[signed.as_bytes()]));
    header("webhook-signature")
        .split(' ')
        .any(|listed| listed.strip_prefix("v1,") == Some(expected.as_str()))
}

#[tokio::test]
async fn it_is_signed_under_every_secret_and_says_what_it_is_about() {
    let secrets = vec![secret(1), secret(2)];
    let receiver = Receiver::start(Answer::new(200, ""), |url| {
        Webhook::new(url, secrets).expect("two secrets")
    })
    .await;
    let alert = alert();
    let (request, body) = receiver.seen(&alert).await;
    assert!(is_signed_by(&request, 1) && is_signed_by(&request, 2) && !is_signed_by(&request, 3));
    assert_eq!(request.header("webhook-id"), Some(alert.notice_id()));
    assert_eq!(request.header("webhook-timestamp").as_deref(), Some("1767225600"));
    let fields = body.as_object().expect("an object");
    let is_flat = |value: &Value| match value {
        Value::Object(_) => false,
        Value::Array(items) => items.iter().all(Value::is_string),
        _ => true,
    };
    assert!(fields.values().all(is_flat));
    for (name, expected) in [
        ("type", Value::from("alert.firing")),
        ("timestamp", "2026-01-01T00:00:00Z".into()),
        ("id", "al_aaaabbbbccccdddd".into()),
        ("sequence", 0.into()),
        ("rule", "refusals_per_binding".into()),
        ("severity", "warning".into()),
        ("subject", "binding".into()),
        ("binding_id", 42.into()),
        ("key_hint", "sk-ab…wxyz".into()),
        ("networks", vec!["198.51.100.7/32"].into()),
        ("count", 12.into()),
        ("threshold", 10.into()),
        ("window_seconds", 60.into()),
        ("reference", "sr_abcdefghijklmnop".into()),
        ("reason", "key_ip_mismatch".into()),
        ("client_ip", "198.51.100.7".into()),
        ("path", "/v1/<b>&[x](https://evil)".into()),
        (
            "console_url",
            "https://sentinel.example.com/base/admin/ui/alerts/al_aaaabbbbccccdddd".into(),
        ),
        ("part", Value::Null),
    ] {
        assert_eq!(body[name], expected, "{name}");
    }
    for name in ["ban_url", "allow_network_url", "ignore_url"] {
        let url = body[name].as_str().unwrap_or_default();
        assert!(
            url.starts_with("https://sentinel.example.com/base/admin/ui/alerts/act?token="),
            "{name}: {url}"
        );
    }
}

#[tokio::test]
async fn a_repetition_has_the_same_name_and_body() {
    let receiver = Receiver::start(Answer::new(200, ""), |url| {
        Webhook::new(url, vec![secret(1)]).expect("a secret")
    })
    .await;
    let (first, _) = receiver.seen(&alert()).await;
    let later = NOW.plus(Duration::from_mins(7));
    bounded("an attempt", receiver.channel.send(&alert(), later))
        .await
        .expect("taken");
    let second = receiver.upstream.wait_for_body(1).await;
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_ne!(
        first.header("webhook-timestamp"),
        second.header("webhook-timestamp")
    );
    assert!(is_signed_by(&second, 1));
}

#[tokio::test]
async fn without_a_secret_there_is_no_signature_and_a_key_is_never_told() {
    let receiver = Receiver::start_with(
        Answer::new(204, ""),
        |url| Webhook::new(url, Vec::new()).expect("no secret"),
        None,
    )
    .await;
    let mut alert = alert();
    let fingerprint = KeyFingerprint::from_bytes([0xab; 32]);
    alert.subject = Subject::Key(fingerprint);
    alert.binding = None;
    let (request, body) = receiver.seen(&alert).await;
    assert_eq!(request.header("webhook-signature"), None);
    assert!(request.header("webhook-id").is_some());
    assert_eq!(
        (&body["subject"], &body["console_url"]),
        (&"key".into(), &Value::Null)
    );
    assert!(!String::from_utf8_lossy(&request.body).contains("abab"));
    alert.subject = Subject::Part(Part::Cache);
    alert.state = AlertState::Calmed;
    let (_, body) = receiver.seen(&alert).await;
    assert_eq!(
        (&body["subject"], &body["part"]),
        (&"part".into(), &"cache".into())
    );
    assert_eq!(body["type"], "alert.calmed");
}

#[test]
fn secrets_are_read_as_the_specification_writes_them() {
    let encoded = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![7; bytes]));
    for (text, is_good) in [
        (encoded(23), false),
        (encoded(24), true),
        (encoded(64), true),
        (encoded(65), false),
        (encoded(32).replace("whsec_", ""), false),
        ("whsec_!".to_owned(), false),
        (String::new(), false),
    ] {
        let read = WebhookSecret::parse(&Secret::new(text.clone()));
        assert_eq!(read.is_ok(), is_good, "{text}");
    }
    let url = || http("https://hooks.example.com/");
    assert!(Webhook::new(url(), vec![secret(1); SECRETS_MAX]).is_ok());
    assert!(Webhook::new(url(), vec![secret(1); SECRETS_MAX + 1]).is_err());
}
