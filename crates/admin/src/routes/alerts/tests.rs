use http::StatusCode;
use sentinel_core::alert::conformance::draft;
use serde_json::json;

use super::*;
use crate::testing::alerts::{FAILING, WORKING};
use crate::testing::{Console, START};

fn stored(number: i64) -> StoredAlert {
    let mut alert = draft(number, START.unix_ms());
    alert.id = AlertId::from_stored(format!("al_{number}"));
    StoredAlert { number, alert }
}

fn dead(id: i64) -> Delivery {
    Delivery {
        id: DeliveryId(id),
        alert: stored(7).alert,
        channel: ChannelId::new(WORKING).expect("a name"),
        state: DeliveryState::Dead,
        attempts: 16,
        since: START,
        next_attempt_at: START,
        ended_at: Some(START),
        last_error: Some("the receiver answered with status 500".to_owned()),
    }
}

#[tokio::test]
async fn alerts_come_newest_first_and_page_by_page() {
    let console = Console::new();
    console.alerts.lock().alerts = (1..=3).map(stored).collect();
    let answer = console.get("/admin/api/alerts?limit=2").await;
    assert_eq!(answer.status, StatusCode::OK);
    let first = &answer.body["items"][0];
    assert_eq!(
        (&first["id"], &first["state"], &first["rule"], &first["count"]),
        (
            &json!("al_3"),
            &json!("firing"),
            &json!("refusals_per_binding"),
            &json!(10)
        )
    );
    assert_eq!(first["raised_at"], "2027-01-15T08:00:00Z");
    assert_eq!(answer.body["next_before"], 2);
    let rest = console.get("/admin/api/alerts?limit=2&before=2").await;
    assert_eq!(rest.body["items"][0]["id"], "al_1");
    assert_eq!(rest.body["next_before"], json!(null));
}

#[tokio::test]
async fn alerts_are_filtered_and_wrong_filters_named() {
    let console = Console::new();
    console.alerts.lock().alerts = vec![stored(1)];
    for (query, count) in [
        ("state=open", 1),
        ("state=calmed", 0),
        ("rule=banned_key_tried", 0),
        ("severity=warning", 1),
    ] {
        let answer = console.get(&format!("/admin/api/alerts?{query}")).await;
        assert_eq!(
            answer.body["items"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
    for field in ["state", "rule", "severity", "before", "limit"] {
        let answer = console.get(&format!("/admin/api/alerts?{field}=x")).await;
        answer.names_field(field);
    }
}

#[tokio::test]
async fn a_dead_delivery_is_shown_and_brought_back_once() {
    let console = Console::new();
    console.alerts.lock().deliveries = vec![dead(4)];
    let answer = console.get("/admin/api/alerts/deliveries?state=dead").await;
    let row = &answer.body["items"][0];
    assert_eq!(
        (&row["id"], &row["channel"], &row["attempts"]),
        (&json!(4), &json!(WORKING), &json!(16))
    );
    assert_eq!(row["last_error"], "the receiver answered with status 500");
    let path = "/admin/api/alerts/deliveries/retry";
    let answer = console.post(path, &json!({"id": 4})).await;
    assert_eq!(
        (answer.status, &answer.body),
        (StatusCode::OK, &json!({"done": true}))
    );
    let answer = console.post(path, &json!({"id": 4})).await;
    answer.is_problem(StatusCode::CONFLICT, "delivery_not_dead");
    let long = "x".repeat(NAME_CHARACTERS_MAX + 1);
    for (field, value) in [("state", "gone"), ("channel", "a b"), ("alert", long.as_str())] {
        let value = value.replace(' ', "%20");
        let answer = console
            .get(&format!("/admin/api/alerts/deliveries?{field}={value}"))
            .await;
        answer.names_field(field);
    }
}

#[tokio::test]
async fn a_channel_is_tried_and_says_how_it_went() {
    let console = Console::new();
    let answer = console.get("/admin/api/alerts/channels").await;
    assert_eq!(answer.body, json!({"channels": [WORKING, FAILING]}));
    let path = "/admin/api/alerts/test";
    let answer = console.post(path, &json!({"channel": WORKING})).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = console.post(path, &json!({"channel": FAILING})).await;
    answer.is_problem(StatusCode::BAD_GATEWAY, "channel_failed");
    assert!(answer.text.contains("the receiver is away"), "{}", answer.text);
    let answer = console.post(path, &json!({"channel": "nobody"})).await;
    answer.is_problem(StatusCode::NOT_FOUND, "channel_not_found");
    let store = console.store.lock();
    let tested = store
        .events
        .iter()
        .filter(|event| event.action == "alert_channel_tested");
    assert_eq!(tested.count(), 2);
}
