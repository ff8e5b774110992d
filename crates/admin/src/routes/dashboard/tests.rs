use http::StatusCode;
use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::ports::{StoreError, TopRefused, TrafficCounts, TrafficMeasure, TrafficStretch};
use sentinel_core::time::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Console, FakeHealth, START, binding, intercept, ip};

const HOUR_MS: i64 = 3_600_000;

fn hour(number: i64) -> Timestamp {
    Timestamp::from_unix_ms(START.unix_ms() + number * HOUR_MS)
}

/// Counts of a stretch: one of each allowed, observed and bound; refused once by the upstream, which is no refusal.
fn stretch(from: Timestamp, refused: u64) -> TrafficStretch {
    let upstream = TrafficMeasure::Refused(RefusalReason::UpstreamTimeout);
    let banned = TrafficMeasure::Refused(RefusalReason::KeyBanned);
    let counts = TrafficCounts::default()
        .with(TrafficMeasure::Allowed, 1)
        .with(TrafficMeasure::Observed, 1)
        .with(TrafficMeasure::Bound, 1)
        .with(upstream, 1)
        .with(banned, refused);
    TrafficStretch { from, counts }
}

fn counts(refused: u64) -> Value {
    json!({"allowed": 1, "refused": refused, "observed": 1, "bound": 1})
}

fn with_from(from: &str, counts: Value) -> Value {
    let mut entry = counts;
    entry["from"] = from.into();
    entry
}

fn nothing() -> Value {
    json!({"allowed": 0, "refused": 0, "observed": 0, "bound": 0})
}

fn replica(name: &str, seen_at: Timestamp, is_stopped: bool) -> Replica {
    Replica {
        run: format!("run of {name}"),
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        started_at: hour(-9),
        seen_at,
        is_stopped,
        propagation_ms: Some(12),
    }
}

#[tokio::test]
async fn the_dashboard_says_how_things_stand() {
    let console = Console::with_health(vec![("store", FakeHealth::Works)]);
    {
        let mut stored = console.store.lock();
        stored.bindings = vec![binding(1)];
        stored.intercepts = (1..=12).map(intercept).collect();
        stored.replicas = vec![
            replica("sentinel-0", START, false),
            replica("sentinel-1", hour(-1), true),
        ];
    }
    let answer = console.get("/admin/api/dashboard").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let body = &answer.body;
    assert_eq!(body["now"], "2027-01-15T08:00:00Z");
    assert_eq!(
        body["bindings"],
        json!({"total": 9, "active": 7, "banned": 2, "counted_at": "2027-01-15T08:00:00Z"})
    );
    assert_eq!(body["traffic"]["requests"], 12);
    assert_eq!(body["traffic"]["refused"], 3);
    assert_eq!(
        body["traffic"]["refused_by_reason"],
        json!([{"reason": "key_ip_mismatch", "count": 2}, {"reason": "key_banned", "count": 1}])
    );
    assert_eq!(body["live"], json!({"connections": 5, "streams": 2}));
    let newest = body["newest_intercepts"].as_array().expect("a list");
    assert_eq!(newest.len(), 10);
    assert_eq!(newest[0]["id"], 12);
    assert_eq!(body["health"], json!([{"name": "store", "ok": true}]));
    assert_eq!(
        body["replicas"],
        json!([{"name": "sentinel-0", "version": "1.2.3", "seen_at": "2027-01-15T08:00:00Z", "propagation_ms": 12}])
    );
    assert_eq!(body["propagation"], json!({"p50_ms": 1.5, "p99_ms": 20.0}));
    assert_eq!(body["open_alerts"], 0);
}

#[tokio::test]
async fn what_went_through_comes_by_hour_and_day_without_gaps() {
    let console = Console::new();
    {
        let mut stored = console.store.lock();
        stored.hours = vec![
            stretch(hour(-47), 3),
            stretch(hour(-23), 100),
            stretch(hour(0), 2),
        ];
        // Midnight, at which today begins: it is eight o'clock.
        stored.days = vec![stretch(hour(-32), 7), stretch(hour(-8), 5)];
    }
    let body = console.get("/admin/api/dashboard").await.body;
    assert_eq!((&body["today"], &body["yesterday"]), (&counts(5), &counts(7)));
    let hours = body["hours"].as_array().expect("a list");
    assert_eq!(hours.len(), 48);
    assert_eq!(hours[0], with_from("2027-01-13T09:00:00Z", counts(3)));
    assert_eq!(hours[1], with_from("2027-01-13T10:00:00Z", nothing()));
    assert_eq!(hours[47], with_from("2027-01-15T08:00:00Z", counts(2)));
    let last_day = body["last_24_hours"].as_array().expect("a list");
    assert_eq!(
        (last_day.len(), &last_day[0]),
        (24, &with_from("2027-01-14T09:00:00Z", counts(100)))
    );
    assert_eq!(last_day[23], hours[47]);
    let days = body["days"].as_array().expect("a list");
    assert_eq!(
        (days.len(), &days[0]),
        (30, &with_from("2026-12-17T00:00:00Z", nothing()))
    );
    assert_eq!(days[28], with_from("2027-01-14T00:00:00Z", counts(7)));
    assert_eq!(days[29], with_from("2027-01-15T00:00:00Z", counts(5)));
    assert_eq!(
        body["refused_by_reason"],
        json!([{"reason": "key_banned", "count": 5}])
    );
    let asked = console.store.lock().traffic_asked.clone();
    assert_eq!(
        asked,
        [
            (TrafficSpan::Hour, hour(-47)),
            (TrafficSpan::Day, hour(-8 - 29 * 24))
        ]
    );
}

#[tokio::test]
async fn those_refused_most_today_are_shown_as_they_may_be() {
    let console = Console::new();
    console.store.lock().top = TopRefused {
        keys: vec![
            TopKey {
                binding: Some(BindingId(7)),
                hint: Some(KeyHint::from_stored("sk-ab…wxyz".to_owned())),
                count: 9,
            },
            TopKey {
                binding: None,
                hint: None,
                count: 2,
            },
        ],
        addresses: vec![TopAddress {
            client_ip: ip("198.51.100.7"),
            count: 11,
        }],
        ..TopRefused::default()
    };
    let body = console.get("/admin/api/dashboard").await.body;
    assert_eq!(
        body["top_keys"],
        json!([{"binding_id": 7, "hint": "sk-ab…wxyz", "count": 9}, {"binding_id": null, "hint": "", "count": 2}])
    );
    assert_eq!(
        body["top_addresses"],
        json!([{"client_ip": "198.51.100.7", "count": 11}])
    );
    assert_eq!(
        console.store.lock().top_asked,
        Some((TrafficSpan::Day, hour(-8), TOP_SHOWN))
    );
}

#[tokio::test]
async fn parts_that_do_not_work_say_so_without_their_cause() {
    let away = StoreError::Unavailable("host 10.0.0.1".to_owned());
    let console = Console::with_parts(
        vec![("store", FakeHealth::Works)],
        vec![
            ("redis", FakeHealth::Fails(away)),
            ("other", FakeHealth::Fails(StoreError::Busy)),
        ],
    );
    let answer = console.get("/admin/api/dashboard").await;
    let parts = answer.body["parts"].as_array().expect("a list");
    let told: Vec<_> = parts
        .iter()
        .map(|part| (part["ok"].clone(), part["detail"].clone()))
        .collect();
    assert!(
        told[0]
            .1
            .as_str()
            .is_some_and(|text| text.starts_with("It answered within "))
    );
    assert_eq!(
        told[1],
        (
            json!(false),
            json!("It cannot be used just now; the log says why.")
        )
    );
    assert_eq!(
        told[2],
        (json!(false), json!("It is busy: more work waits than it takes."))
    );
    assert!(!answer.text.contains("10.0.0.1"), "{}", answer.text);
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
            &Value::Null,
        )
        .await;
    answer.is_problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable");
    assert_eq!(answer.headers[http::header::RETRY_AFTER], "2");
    assert!(!answer.text.contains("10.0.0.1"), "{}", answer.text);
}

#[test]
fn a_series_begins_at_a_full_hour_whatever_the_minute() {
    let now = Timestamp::from_unix_ms(START.unix_ms() + HOUR_MS - 1);
    let series = series(&[], TrafficSpan::Hour, now, 2);
    let entry = serde_json::to_value(&series[1]).expect("it can be written");
    assert_eq!(entry["from"], "2027-01-15T08:00:00Z");
}
