use http::StatusCode;
use sentinel_core::event::AdminEvent;
use sentinel_core::time::Timestamp;
use serde_json::json;

use super::*;
use crate::testing::{Console, START, ip};

fn event(action: &str, detail: &str) -> AdminEvent {
    AdminEvent {
        at: START,
        actor: "root".to_owned(),
        client_ip: Some(ip("192.0.2.250")),
        action: action.to_owned(),
        detail: detail.to_owned(),
    }
}

fn console() -> Console {
    let console = Console::new();
    console.store.lock().events = vec![
        event(
            "ban",
            r#"{"binding":7,"hint":"sk-…","before":{"version":1},"after":{"version":2}}"#,
        ),
        event("unbind", r#"{"binding":7,"before":{"version":2},"after":null}"#),
        event("login", "a browser"),
    ];
    console
}

#[tokio::test]
async fn an_event_says_on_what_and_what_it_was_before_and_after() {
    let page = console().get("/admin/api/audit?limit=200").await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    let items = page.body["items"].as_array().expect("a list");
    // The sign-in of this very test is the newest.
    let items = &items[items.len() - 3..];
    assert_eq!(
        items[2],
        json!({
            "id": 1, "at": "2027-01-15T08:00:00Z", "actor": "root", "client_ip": "192.0.2.250", "action": "ban",
            "target": "binding:7", "before": {"version": 1}, "after": {"version": 2},
            "detail": "{\"binding\":7,\"hint\":\"sk-…\",\"before\":{\"version\":1},\"after\":{\"version\":2}}"
        })
    );
    assert_eq!(
        (&items[1]["target"], &items[1]["after"]),
        (&json!("binding:7"), &json!(null))
    );
    assert_eq!(
        (&items[0]["target"], &items[0]["before"], &items[0]["detail"]),
        (&json!(null), &json!(null), &json!("a browser"))
    );
}

#[tokio::test]
async fn every_filter_reaches_the_store_and_a_bad_one_is_named() {
    let console = console();
    let path = "/admin/api/audit?actor=root&action=ban&since=2027-01-01T00:00:00Z&until=2027-02-01T00:00:00Z&before=9&limit=3";
    assert_eq!(console.get(path).await.status, StatusCode::OK);
    let asked = console.store.lock().event_filters.pop();
    let moment = |text: &str| parse_moment("", text).ok();
    let wanted = EventFilter {
        actor: Some("root".to_owned()),
        action: Some("ban".to_owned()),
        binding: None,
        since: moment("2027-01-01T00:00:00Z"),
        until: moment("2027-02-01T00:00:00Z"),
        before: Some(9),
        limit: 4,
    };
    assert!(wanted.since > Some(Timestamp::from_unix_ms(0)));
    assert_eq!(asked, Some(wanted));
    let long = format!("actor={}", "x".repeat(WORD_CHARACTERS_MAX + 1));
    for (query, field) in [
        (long.as_str(), "actor"),
        ("since=today", "since"),
        ("before=x", "before"),
        ("limit=0", "limit"),
        ("target=7", "target"),
    ] {
        console
            .get(&format!("/admin/api/audit?{query}"))
            .await
            .names_field(field);
    }
}

#[tokio::test]
async fn a_touched_log_is_told() {
    let console = console();
    let whole = console.get("/admin/api/audit/verify").await;
    assert_eq!(whole.body["ok"], true, "{whole:?}");
    assert_eq!(whole.body["first_broken"], json!(null));
    console.store.lock().broken_event = Some(2);
    let broken = console.get("/admin/api/audit/verify").await;
    assert_eq!(broken.body, json!({"ok": false, "checked": 1, "first_broken": 2}));
}
