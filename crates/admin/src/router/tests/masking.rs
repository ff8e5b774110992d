//! Every GET route, asked by a viewer where addresses are masked: none shows a whole one.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use sentinel_core::account::Role;
use sentinel_core::alert::AlertId;
use sentinel_core::alert::conformance::draft;
use sentinel_core::alert::ports::StoredAlert;
use sentinel_core::event::AdminEvent;
use sentinel_core::network::PeerAddr;
use sentinel_core::ports::{ArchivedBinding, TopAddress, TopRefused};
use serde_json::Value;
use tower::ServiceExt as _;

use super::access::{call_of, protected};
use crate::testing::{Console, FINGERPRINT, START, binding, intercept, ip};

/// Whole addresses in a text: whatever reads as one, and is no network that is wide enough.
fn whole_addresses(text: &str) -> Vec<String> {
    let is_of_address = |character: char| character.is_ascii_hexdigit() || ".:/".contains(character);
    let words = text.split(|character| !is_of_address(character));
    let words = words.map(|word| word.trim_end_matches(['.', ':']));
    let whole = words.filter(|word| {
        let (address, prefix) = word.split_once('/').unwrap_or((word, "128"));
        let digits = prefix.split(|character: char| !character.is_ascii_digit()).next();
        let prefix: u8 = digits.and_then(|digits| digits.parse().ok()).unwrap_or(128);
        match address.parse() {
            Ok(IpAddr::V4(_)) => prefix > 24,
            Ok(IpAddr::V6(address)) => prefix > 48 && !address.is_unspecified(),
            Err(_) => false,
        }
    });
    whole.map(str::to_owned).collect()
}

/// Holds addresses wherever something is shown.
fn full_console() -> Console {
    let console = Console::masking_for_viewers();
    let mut stored = console.store.lock();
    let mut bound = binding(1);
    bound.binding.networks = ["192.0.2.77/32", "2001:db8:1:2::/64"]
        .map(|network| network.parse().expect("a network"))
        .into_iter()
        .collect();
    bound.ban_reason = "seen at 203.0.113.9:443".to_owned();
    bound.remarks.note = "office, 203.0.113.10".to_owned();
    stored.bindings = vec![bound];
    let mut refused = intercept(1);
    refused.intercept.networks = ["192.0.2.77/32".parse().expect("a network")]
        .into_iter()
        .collect();
    refused.intercept.path = "/fetch/198.51.100.9".to_owned();
    let mut ipv6 = intercept(2);
    ipv6.intercept.client_ip = ip("2001:db8:1:2::7");
    stored.intercepts = vec![refused, ipv6];
    stored.events = vec![AdminEvent {
        at: START,
        actor: "root".to_owned(),
        client_ip: Some(ip("203.0.113.8")),
        action: "set_networks".to_owned(),
        detail: "{\"before\":[\"192.0.2.77/32\"],\"after\":[\"2001:db8:1:2::7/128\"]}".to_owned(),
    }];
    stored.archived = vec![ArchivedBinding {
        fingerprint: FINGERPRINT,
        record: "{\"networks\":[\"192.0.2.77/32\"],\"bound_at\":1}".to_owned(),
        reason: "unbind".to_owned(),
        archived_at: START,
    }];
    stored.top = TopRefused {
        addresses: vec![TopAddress {
            client_ip: ip("198.51.100.7"),
            count: 3,
        }],
        ..TopRefused::default()
    };
    drop(stored);
    let mut alert = draft(1, START.unix_ms());
    alert.id = AlertId::from_stored("al_1".to_owned());
    console.alerts.lock().alerts = vec![StoredAlert { number: 1, alert }];
    console
}

/// What it answers; of events, those of the first moment.
async fn answer(console: &Console, path: &str, token: &str) -> (StatusCode, String) {
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header("last-event-id", "0")
        .body(Body::empty())
        .expect("good");
    request
        .extensions_mut()
        .insert(PeerAddr(([192, 0, 2, 1], 50_000).into()));
    let response = console.router.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    let mut body = response.into_body();
    let mut text = String::new();
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(Duration::from_secs(2), body.frame()).await {
        let bytes = frame.into_data().unwrap_or_default();
        text.push_str(std::str::from_utf8(&bytes).expect("text"));
    }
    (status, text)
}

#[tokio::test(start_paused = true)]
async fn no_route_shows_a_viewer_a_whole_address() {
    let console = full_console();
    let viewer = console.token_of(Role::Viewer).await;
    let owner = console.token().await;
    let (mut asked, mut with_addresses) = (0, 0);
    for (name, _) in protected().filter(|(name, least)| name.starts_with("GET") && *least == Role::Viewer) {
        let (_, path) = call_of(name);
        let path = path.replace("{reference}", "sr_0000000000000001");
        let paths = if path.ends_with("/export") {
            ["csv", "jsonl"]
                .map(|format| format!("{path}?format={format}"))
                .to_vec()
        } else {
            vec![path]
        };
        for path in paths {
            let (status, text) = answer(&console, &path, &viewer).await;
            let whole = whole_addresses(&text);
            assert!(whole.is_empty(), "{path} ({status}) shows {whole:?}: {text}");
            let (_, text) = answer(&console, &path, &owner).await;
            asked += 1;
            with_addresses += usize::from(!whole_addresses(&text).is_empty());
        }
    }
    // Bindings, one of them, its history; intercepts, by reference, both exports, the tail; dashboard, alerts, sessions, settings.
    assert!(
        asked >= 15 && with_addresses >= 10,
        "{with_addresses} of {asked} hold addresses"
    );
}

#[tokio::test]
async fn a_viewer_cannot_ask_for_what_is_masked() {
    let console = full_console();
    let viewer = console.token_of(Role::Viewer).await;
    for (query, field) in [
        ("logs?client_ip=198.51.100.7", "client_ip"),
        ("logs?network=198.51.100.0/25", "network"),
        ("logs/tail?q=198.51.100.7", "q"),
        ("bindings?address=192.0.2.77", "address"),
    ] {
        let path = format!("/admin/api/{query}");
        let asked = console
            .call(Method::GET, &path, Some(&viewer), &Value::Null)
            .await;
        asked.names_field(field);
        let owner = console.get(&path).await;
        assert_eq!(owner.status, StatusCode::OK, "{owner:?}");
    }
}
