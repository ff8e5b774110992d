use http::StatusCode;
use sentinel_core::event::AdminEvent;
use serde_json::json;

use super::*;
use crate::testing::{Console, FINGERPRINT, START, binding, intercept, ip};

#[tokio::test]
async fn a_binding_tells_what_it_went_through() {
    let console = Console::new();
    {
        let mut stored = console.store.lock();
        stored.bindings = vec![binding(1)];
        stored.events = vec![AdminEvent {
            at: START,
            actor: "root".to_owned(),
            client_ip: None,
            action: "ban".to_owned(),
            detail: r#"{"binding":1}"#.to_owned(),
        }];
        stored.intercepts = vec![intercept(1), intercept(2)];
        stored.archived = vec![ArchivedBinding {
            fingerprint: FINGERPRINT,
            record: r#"{"networks":["10.0.0.0/8"],"bound_at":0}"#.to_owned(),
            reason: "unused".to_owned(),
            archived_at: START,
        }];
    }
    let answer = console.get("/admin/api/bindings/1/history").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let changes = answer.body["changes"].as_array().expect("a list");
    assert_eq!(changes.last().expect("the first one")["action"], "ban");
    assert_eq!(
        answer.body["refusals"],
        json!([{"network": "198.51.100.0/24", "count": 2, "first_at": "2027-01-15T08:00:00Z",
            "last_at": "2027-01-15T08:00:01Z"}])
    );
    assert_eq!(answer.body["uses"], json!({"count": 3, "last_used_at": null}));
    assert_eq!(answer.body["live"], json!({"streams": 3}));
    assert_eq!(
        answer.body["earlier"],
        json!([{"archived_at": "2027-01-15T08:00:00Z", "reason": "unused", "networks": ["10.0.0.0/8"],
            "bound_at": "1970-01-01T00:00:00Z"}])
    );
    assert!(!answer.text.contains("abab"), "no fingerprint");
    let stored = console.store.lock();
    assert_eq!(
        stored.event_filters.last().map(|filter| filter.limit),
        Some(CHANGES_MAX)
    );
    assert_eq!(
        stored.intercept_filters.last().map(|filter| filter.limit),
        Some(REFUSED_ROWS_MAX)
    );
}

#[tokio::test]
async fn at_most_earlier_max_are_shown_and_none_of_no_binding() {
    let console = Console::new();
    let archived = |number: i64| ArchivedBinding {
        fingerprint: FINGERPRINT,
        record: "{}".to_owned(),
        reason: "unbind".to_owned(),
        archived_at: Timestamp::from_unix_ms(number),
    };
    console.store.lock().bindings = vec![binding(1)];
    console.store.lock().archived = (0..=i64::from(EARLIER_MAX)).map(archived).collect();
    let answer = console.get("/admin/api/bindings/1/history").await;
    let earlier = answer.body["earlier"].as_array().expect("a list");
    assert_eq!(earlier.len(), EARLIER_MAX as usize);
    let gone = console.get("/admin/api/bindings/9/history").await;
    gone.is_problem(StatusCode::NOT_FOUND, "binding_not_found");
}

#[test]
fn refusals_are_added_up_by_the_last_networks() {
    let rows: Vec<StoredIntercept> = (0..=REFUSED_NETWORKS_MAX)
        .map(|number| {
            let mut row = intercept(1);
            row.intercept.client_ip = ip(&format!("10.0.{number}.7"));
            row
        })
        .collect();
    let added = refusals(&rows);
    assert_eq!(added.len(), REFUSED_NETWORKS_MAX);
    assert_eq!(added[0].network, "10.0.0.0/24");
}
