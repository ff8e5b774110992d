use http::StatusCode;
use sentinel_core::binding::Version;
use serde_json::{Value, json};

use super::*;
use crate::middleware::REQUEST_TIME_MAX;
use crate::testing::{Answer, Console, START, binding};

fn console() -> Console {
    let console = Console::new();
    let mut bindings: Vec<BindingRecord> = (1..=4).map(binding).collect();
    bindings[1].binding.status = BindingStatus::Banned;
    console.store.lock().bindings = bindings;
    console
}

async fn post(console: &Console, body: Value) -> Answer {
    console.post("/admin/api/bindings/bulk", &body).await
}

#[tokio::test]
async fn a_rehearsal_says_what_would_be_done_and_changes_nothing() {
    let console = console();
    let body = json!({"action": "ban", "ids": [1, 2, 3, 99], "dry_run": true});
    let answer = post(&console, body).await;
    let mut wanted = json!({
        "matched": 3, "changed": 2, "unchanged": 1, "failed": 0, "dry_run": true, "has_more": true
    });
    assert_eq!(answer.body, wanted, "{answer:?}");
    assert!(console.store.lock().edits.is_empty());
    let body = json!({"action": "ban", "ids": [1, 2, 3, 99]});
    let answer = post(&console, body).await;
    wanted["dry_run"] = json!(false);
    assert_eq!(answer.body, wanted);
    let stored = console.store.lock();
    assert_eq!((stored.edits.len(), stored.actors.len()), (2, 2));
}

#[tokio::test]
async fn a_filter_names_the_bindings_and_reaches_the_store() {
    let console = console();
    let filter = json!({"label": "batch", "within": "192.0.2.0/24"});
    let body = json!({"action": "label", "label": "old", "filter": filter});
    let answer = post(&console, body).await;
    assert_eq!(
        (answer.status, &answer.body["changed"]),
        (StatusCode::OK, &json!(4)),
        "{answer:?}"
    );
    let asked = console.store.lock().binding_filters.pop().expect("asked");
    assert_eq!(
        (asked.label.as_deref(), asked.limit as usize),
        (Some("batch"), BULK_MAX)
    );
    let again = post(
        &console,
        json!({"action": "label", "label": "old", "ids": [1, 2]}),
    )
    .await;
    assert_eq!(again.body["unchanged"], 2);
}

#[tokio::test]
async fn a_selection_that_changed_since_the_rehearsal_is_left_alone() {
    let console = console();
    let mut body = json!({"action": "ban", "filter": {"label": "batch"}, "dry_run": true});
    let seen = post(&console, body.clone()).await.body["changed"].clone();
    assert_eq!(seen, json!(3));
    body["dry_run"] = json!(false);
    body["expected"] = seen;
    // One more comes in between.
    console.store.lock().bindings.push(binding(5));
    let answer = post(&console, body.clone()).await;
    answer.is_problem(StatusCode::PRECONDITION_FAILED, "selection_changed");
    assert!(console.store.lock().edits.is_empty());
    console.store.lock().bindings.pop();
    let answer = post(&console, body).await;
    assert_eq!(
        (answer.status, &answer.body["changed"]),
        (StatusCode::OK, &json!(3)),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_bad_bulk_is_named() {
    let console = console();
    let many: Vec<usize> = (0..=BULK_MAX).collect();
    for (body, field) in [
        (json!({"action": "ban"}), "ids"),
        (json!({"action": "ban", "ids": []}), "ids"),
        (json!({"action": "ban", "ids": many}), "ids"),
        (json!({"action": "ban", "ids": [1], "filter": {}}), "filter"),
        (json!({"action": "unbind", "filter": {}}), "filter"),
        (
            json!({"action": "unbind", "filter": {"limit": "3"}}),
            "filter.limit",
        ),
        (
            json!({"action": "unbind", "filter": {"status": "gone"}}),
            "status",
        ),
        (json!({"action": "unbind", "ids": [1], "reason": "x"}), "reason"),
        (json!({"action": "label", "ids": [1]}), "label"),
        (json!({"action": "unban", "ids": [1], "label": "x"}), "label"),
        (json!({"action": "forget", "ids": [1]}), "action"),
        (
            json!({"action": "unban", "ids": [1], "expected": 1, "dry_run": true}),
            "expected",
        ),
        (
            json!({"action": "ban", "ids": [1], "expires_at": "2020-01-01T00:00:00Z"}),
            "expires_at",
        ),
    ] {
        post(&console, body).await.names_field(field);
    }
    assert!(console.store.lock().edits.is_empty());
    let most: Vec<usize> = (1..=BULK_MAX).collect();
    let answer = post(&console, json!({"action": "unban", "ids": most, "dry_run": true})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn what_changed_meanwhile_fails_and_what_there_is_no_time_for_is_left() {
    assert!(BULK_TIME_MAX < REQUEST_TIME_MAX);
    let console = console();
    let mut found: Vec<BindingRecord> = console.store.lock().bindings.clone();
    found[0].binding.version = Version(1);
    let actor = Actor {
        name: "root".to_owned(),
        client_ip: None,
        at: START,
    };
    let mut done = BulkDone::default();
    let now = Instant::now();
    carry_out(
        &*console.store,
        found.clone(),
        &BindingEdit::Unbind,
        &actor,
        now,
        &mut done,
    )
    .await
    .expect("the store works");
    assert_eq!((done.changed, done.failed, done.has_more), (0, 0, true));
    let later = now + BULK_TIME_MAX;
    let mut done = BulkDone::default();
    carry_out(
        &*console.store,
        found,
        &BindingEdit::Unbind,
        &actor,
        later,
        &mut done,
    )
    .await
    .expect("the store works");
    assert_eq!((done.changed, done.failed, done.has_more), (3, 1, false));
}

#[tokio::test]
async fn a_change_that_the_store_does_not_even_begin_is_no_answer_to_be_kept() {
    let console = console();
    console.store.lock().edit_failure = Some(StoreError::Busy);
    let body = json!({"action": "unbind", "ids": [1, 2, 3], "dry_run": false});
    let answer = post(&console, body.clone()).await;
    answer.is_problem(StatusCode::SERVICE_UNAVAILABLE, "store_busy");
    console.store.lock().edit_failure = None;
    assert_eq!(post(&console, body).await.status, StatusCode::OK);
}
