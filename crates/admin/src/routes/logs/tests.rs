use http::StatusCode;
use serde_json::json;

use sentinel_core::time::Timestamp;

use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::InterceptOutcome;

use super::query::{PART_CHARACTERS_MAX, REFERENCE_CHARACTERS_MAX};
use crate::testing::{Console, START, binding, intercept, ip};

#[tokio::test]
async fn rows_come_newest_first_with_what_an_operator_needs() {
    let console = Console::new();
    console.store.lock().intercepts = vec![intercept(1), intercept(2)];
    let answer = console.get("/admin/api/logs").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["next_before"], json!(null));
    assert_eq!(
        answer.body["items"][0],
        json!({
            "id": 2, "reference": "sr_0000000000000002", "at": "2027-01-15T08:00:00Z", "last_at": "2027-01-15T08:00:01Z",
            "reason": "key_ip_mismatch", "outcome": "refused", "binding_id": 1,
            "networks": ["192.0.2.0/24"], "hint": "sk-ab…wxyz",
            "client_ip": "198.51.100.7", "method": "POST", "path": "/v1/chat/completions",
            "user_agent": "curl/8", "count": 1, "profile": "new-api", "replica": "sentinel-0"
        })
    );
    assert!(!answer.text.contains("abab"), "no fingerprint");
}

#[tokio::test]
async fn the_cursor_leads_through_all_pages() {
    let console = Console::new();
    console.store.lock().intercepts = (1..=5).map(intercept).collect();
    let mut seen = Vec::new();
    let mut path = "/admin/api/logs?limit=2".to_owned();
    loop {
        let answer = console.get(&path).await;
        let items = answer.body["items"].as_array().expect("a list").clone();
        seen.extend(items.iter().map(|row| row["id"].as_i64().expect("a number")));
        let Some(before) = answer.body["next_before"].as_i64() else {
            break;
        };
        path = format!("/admin/api/logs?limit=2&before={before}");
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn every_filter_reaches_the_store() {
    let console = Console::new();
    let query = "reason=key_banned&reference=sr_x&binding=7&client_ip=2001:db8::1\
        &network=192.0.2.0/24&outcome=observed&path=chat&user_agent=curl&hint=sk-&q=models\
        &since=2027-01-15T08:00:00Z&until=2027-01-15T08:00:01Z&before=90&limit=200";
    let answer = console.get(&format!("/admin/api/logs?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let filter = console.store.lock().intercept_filters.pop().expect("asked");
    assert_eq!(filter.reason, Some(RefusalReason::KeyBanned));
    assert_eq!(filter.reference.as_deref(), Some("sr_x"));
    assert_eq!(filter.binding, Some(BindingId(7)));
    assert_eq!(filter.client_ip, Some(ip("2001:db8::1")));
    assert_eq!(
        filter.network.map(|network| network.to_string()).as_deref(),
        Some("192.0.2.0/24")
    );
    assert_eq!(filter.outcome, Some(InterceptOutcome::Observed));
    let parts = [filter.path, filter.user_agent, filter.hint, filter.text].map(Option::unwrap_or_default);
    assert_eq!(parts, ["chat", "curl", "sk-", "models"]);
    assert_eq!(filter.since, Some(START));
    assert_eq!(filter.until.map(Timestamp::unix_ms), Some(START.unix_ms() + 1000));
    assert_eq!((filter.before, filter.limit), (Some(90), 201));
}

#[tokio::test]
async fn a_bad_filter_is_named() {
    let console = Console::new();
    let long = format!("reference={}", "x".repeat(REFERENCE_CHARACTERS_MAX + 1));
    let part = format!("q={}", "x".repeat(PART_CHARACTERS_MAX + 1));
    for (query, field) in [
        (part.as_str(), "q"),
        ("network=x", "network"),
        ("outcome=allowed", "outcome"),
        ("format=csv", "format"),
        ("bom=1", "bom"),
        ("reason=none", "reason"),
        (long.as_str(), "reference"),
        ("binding=x", "binding"),
        ("client_ip=192.0.2.0/24", "client_ip"),
        ("since=yesterday", "since"),
        ("until=", "until"),
        ("before=1.5", "before"),
        ("limit=201", "limit"),
        ("colour=red", "colour"),
        ("limit=1&limit=2", "limit"),
    ] {
        console
            .get(&format!("/admin/api/logs?{query}"))
            .await
            .names_field(field);
    }
}

#[tokio::test]
async fn a_reference_is_explained_with_the_binding_as_it_is_now() {
    let console = Console::new();
    console.store.lock().intercepts = vec![intercept(1)];
    console.store.lock().bindings = vec![binding(1)];
    let path = "/admin/api/logs/by-reference/sr_0000000000000001";
    let answer = console.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["item"]["id"], 1);
    assert_eq!(answer.body["binding"]["id"], 1);
    let explanation = &answer.body["explanation"];
    assert_eq!(explanation["bound_to"], json!(["192.0.2.0/24"]));
    assert_eq!(explanation["came_from"], "198.51.100.7");
    let sentences = [&explanation["policy"], &explanation["reason"]];
    assert!(
        sentences
            .iter()
            .all(|text| text.as_str().is_some_and(|text| text.ends_with('.')))
    );
    assert!(!answer.text.contains("abab"), "no fingerprint");
    let asked = console.store.lock().intercept_filters.pop().expect("asked");
    assert_eq!(
        (asked.reference.as_deref(), asked.limit),
        (Some("sr_0000000000000001"), 1)
    );

    console.store.lock().bindings.clear();
    assert_eq!(console.get(path).await.body["binding"], json!(null));
    console.store.lock().intercepts.clear();
    console
        .get(path)
        .await
        .is_problem(StatusCode::NOT_FOUND, "not_found");
    let long = "x".repeat(REFERENCE_CHARACTERS_MAX + 1);
    let answer = console.get(&format!("/admin/api/logs/by-reference/{long}")).await;
    answer.names_field("reference");
}
