use http::StatusCode;
use sentinel_core::ports::{InterceptBucket, StoreError};
use serde_json::json;

use super::*;
use crate::testing::{Console, FakeHealth, START, binding, intercept};

fn hour(number: i64) -> Timestamp {
    Timestamp::from_unix_ms(START.unix_ms() + number * HOUR_MS)
}

#[tokio::test]
async fn the_dashboard_says_how_things_stand() {
    let console = Console::with_health(vec![("store", FakeHealth::Works)]);
    {
        let mut stored = console.store.lock();
        stored.bindings = vec![binding(1)];
        stored.intercepts = (1..=12).map(intercept).collect();
        stored.buckets = vec![
            InterceptBucket {
                from: hour(-23),
                refused: 100,
                observed: 10,
            },
            // Midnight, at which today begins: it is eight o'clock.
            InterceptBucket {
                from: hour(-8),
                refused: 3,
                observed: 1,
            },
            InterceptBucket {
                from: hour(0),
                refused: 2,
                observed: 0,
            },
        ];
    }
    let answer = console.get("/admin/api/dashboard").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let body = &answer.body;
    assert_eq!(body["now"], "2027-01-15T08:00:00Z");
    assert_eq!(body["bindings"], json!({"total": 9, "active": 7, "banned": 2}));
    assert_eq!(body["today"], json!({"refused": 5, "observed": 1}));
    let series = body["last_24_hours"].as_array().expect("a list");
    assert_eq!(series.len(), 24);
    assert_eq!(
        series[0],
        json!({"from": "2027-01-14T09:00:00Z", "refused": 100, "observed": 10})
    );
    assert_eq!(
        series[1],
        json!({"from": "2027-01-14T10:00:00Z", "refused": 0, "observed": 0})
    );
    assert_eq!(
        series[23],
        json!({"from": "2027-01-15T08:00:00Z", "refused": 2, "observed": 0})
    );
    assert_eq!(body["traffic"]["requests"], 12);
    assert_eq!(body["traffic"]["refused"], 3);
    assert_eq!(
        body["traffic"]["refused_by_reason"],
        json!([{"reason": "key_ip_mismatch", "count": 2}, {"reason": "key_banned", "count": 1}])
    );
    let newest = body["newest_intercepts"].as_array().expect("a list");
    assert_eq!(newest.len(), 10);
    assert_eq!(newest[0]["id"], 12);
    assert_eq!(body["health"], json!([{"name": "store", "ok": true}]));
    assert_eq!(console.store.lock().buckets_asked, Some((hour(-23), HOUR_MS)));
}

#[tokio::test]
async fn a_store_that_is_away_is_told_without_its_cause() {
    let console = Console::new();
    let token = console.token().await;
    console.store.lock().failure = Some(StoreError::Unavailable("host 10.0.0.1".to_owned()));
    let answer = console
        .call(
            http::Method::GET,
            "/admin/api/dashboard",
            Some(&token),
            &serde_json::Value::Null,
        )
        .await;
    answer.is_problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable");
    assert_eq!(answer.headers[http::header::RETRY_AFTER], "2");
    assert!(!answer.text.contains("10.0.0.1"), "{}", answer.text);
}

#[test]
fn the_series_begins_at_a_full_hour_whatever_the_minute() {
    let now = Timestamp::from_unix_ms(START.unix_ms() + HOUR_MS - 1);
    assert_eq!(series_start(now), hour(-23));
}
