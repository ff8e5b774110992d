use std::net::SocketAddr;

use axum::body::Body;
use http::{Request, StatusCode, header};
use sentinel_core::network::PeerAddr;
use sentinel_core::policy::Rules;
use serde_json::{Value, json};

use crate::testing::Console;

const PATH: &str = "/admin/api/diagnostics/address";

async fn seen(console: &Console, peer: &str, headers: &[(&str, &str)]) -> Value {
    let token = console.token().await;
    let mut request = Request::get(PATH).header(header::AUTHORIZATION, format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).expect("a good request");
    let peer: SocketAddr = peer.parse().expect("a socket address");
    request.extensions_mut().insert(PeerAddr(peer));
    let answer = console.send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn a_direct_client_is_its_connection() {
    let console = Console::new();
    let rules = Rules {
        ipv4_prefix: 24,
        ..Rules::default()
    };
    console.rules.set(rules);
    assert_eq!(
        seen(&console, "203.0.113.7:5000", &[]).await,
        json!({
            "peer": "203.0.113.7",
            "hops": [{"address": "203.0.113.7", "is_trusted": false, "source": "connection"}],
            "client_ip": "203.0.113.7", "reason": null, "would_bind": true, "network": "203.0.113.0/24", "warnings": [],
        })
    );
}

#[tokio::test]
async fn a_trusted_proxys_word_counts_and_a_strangers_does_not() {
    let console = Console::new();
    let named = [("x-real-ip", "198.51.100.9")];
    let proxied = seen(&console, "192.0.2.80:5000", &named).await;
    assert_eq!(
        (&proxied["client_ip"], &proxied["network"]),
        (&json!("198.51.100.9"), &json!("198.51.100.9/32"))
    );
    assert_eq!(proxied["hops"][0]["is_trusted"], true);
    assert_eq!(
        proxied["hops"][1],
        json!({"address": "198.51.100.9", "is_trusted": false, "source": "x-real-ip"})
    );
    assert_eq!(proxied["warnings"], json!([]));

    let stranger = seen(&console, "192.0.2.81:5000", &named).await;
    assert_eq!(stranger["client_ip"], "192.0.2.81");
    let warning = &stranger["warnings"][0];
    assert_eq!(warning["code"], "proxy_not_trusted");
    let text = warning["text"].as_str().expect("it says what to do");
    assert!(text.contains("SENTINEL_TRUSTED_PROXIES"), "{text}");
}

#[tokio::test]
async fn what_would_be_refused_says_why_and_repeats_nothing() {
    let console = Console::new();
    for headers in [
        vec![],
        vec![("x-real-ip", "<script>")],
        vec![("x-real-ip", "192.0.2.1"), ("x-real-ip", "192.0.2.2")],
    ] {
        let refused = seen(&console, "192.0.2.80:5000", &headers).await;
        assert_eq!(
            (&refused["client_ip"], &refused["would_bind"]),
            (&Value::Null, &json!(false))
        );
        assert!(
            refused["reason"].is_string() && refused["warnings"][0]["code"] == "client_not_named",
            "{refused}"
        );
        assert!(!refused.to_string().contains("script"));
    }
    let itself = seen(&console, "192.0.2.80:5000", &[("x-real-ip", "192.0.2.80")]).await;
    assert_eq!(
        (&itself["would_bind"], &itself["network"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(itself["warnings"][0]["code"], "client_is_trusted");
}
